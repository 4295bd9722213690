"""Metrics of prints."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.gateway.printing.orders import Obstacle
from services.gateway.printing.profiles import ProfileName


class PrintMetrics:
    """Counters of prints; every label set exists from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.prints = Counter("kepgw_prints_total", "Prints handed out, by profile.", ["profile"], registry=registry)
        self.obstacles = Counter(
            "kepgw_print_obstacles_total", "Letters that could not be printed, by what stood in the way.", ["obstacle"],
            registry=registry,
        )  # fmt: skip
        self.duration = Histogram(
            "kepgw_print_duration_seconds", "How long making a print took, the wait for its turn included.",
            buckets=(0.5, 1, 2, 5, 10, 20, 40, 60, 120), registry=registry,
        )  # fmt: skip
        for profile in ProfileName:
            self.prints.labels(profile)
        for obstacle in Obstacle:
            self.obstacles.labels(obstacle)
