"""Metrics of kept verifications."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.gateway.schemas.verifications import VerificationState
from shared.domain.verdict import Conclusion


class VerificationMetrics:
    """Every label set exists from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.verifications = Gauge(
            "kepgw_kept_verifications", "Kept verifications, by state.", ["state"], registry=registry
        )
        self.overdue = Gauge(
            "kepgw_kept_verifications_overdue_seconds",
            "For how long the kept verification that is due longest has waited.", registry=registry,
        )  # fmt: skip
        self.looks = Counter(
            "kepgw_kept_verification_looks_total",
            "Looks at kept verifications, by what they came to; `unavailable` ones are repeated.",
            ["result"], registry=registry,
        )  # fmt: skip
        self.erased = Counter(
            "kepgw_kept_verifications_erased_total",
            "Kept verifications whose file and report were deleted after the time of retention.", registry=registry,
        )  # fmt: skip
        for state in VerificationState:
            self.verifications.labels(state.value)
        for result in (*(item.value for item in Conclusion), "refused", "unavailable"):
            self.looks.labels(result)
