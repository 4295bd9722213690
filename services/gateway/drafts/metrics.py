"""Metrics of packages under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.gateway.schemas.drafts import DraftState
from shared.errors import DomainError

STEPS = ("create", "metadata", "file", "initials", "signature", "final-metadata", "seal", "discard", "expire")


class DraftMetrics:
    """Packages and steps; every label set exists from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.packages = Gauge(
            "kepgw_package_drafts", "Packages written over REST, by state.", ["state"], registry=registry
        )
        self.steps = Counter(
            "kepgw_package_draft_steps_total", "Steps of packages, by how they ended.", ["step", "result"],
            registry=registry,
        )  # fmt: skip
        for state in DraftState:
            self.packages.labels(state.value)
        for step in STEPS:
            for result in ("done", "repeated", "refused", "unavailable"):
                self.steps.labels(step, result)

    @contextmanager
    def refusals(self, step: str) -> Iterator[None]:
        """Count a failure of the block as one of the step."""
        try:
            yield
        except DomainError as error:
            self.steps.labels(step, "unavailable" if error.retryable else "refused").inc()
            raise
