"""Metrics every service has; each service's own stand in its ``metrics`` module."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


def new_registry() -> CollectorRegistry:
    """A registry of its own per process: nothing is registered globally, so tests may build many."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class HttpMetrics:
    """Requests of an HTTP interface by route template, never by path: ids would explode the labels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "kepgw_http_requests_total", "HTTP requests answered.", ["method", "route", "status"], registry=registry
        )
        self.duration = Histogram(
            "kepgw_http_request_duration_seconds",
            "Time to the last byte of the answer.",
            ["method", "route"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )


class BackgroundMetrics:
    """Whether the parts that run beside the HTTP interface are alive."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.running = Gauge(
            "kepgw_background_running", "1 while this part runs, 0 while it waits to be restarted.", ["part"],
            registry=registry,
        )  # fmt: skip
        self.restarts = Counter(
            "kepgw_background_restarts_total", "Times this part failed and was restarted.", ["part"], registry=registry
        )
