"""Metrics of the gateway; requests are counted by ``shared.telemetry.metrics.HttpMetrics``."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram


class ClaimOutcome(StrEnum):
    """What an Idempotency-Key turned out to be."""

    NEW = "new"
    CONTINUED = "continued"
    REPLAYED = "replayed"
    IN_PROGRESS = "in_progress"
    REUSED = "reused"


class KeyOutcome(StrEnum):
    """How a presented API key fared."""

    ACCEPTED = "accepted"
    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    WRONG = "wrong"
    EXPIRED = "expired"
    REVOKED = "revoked"
    RATE_LIMITED = "rate_limited"


class GatewayMetrics:
    """Counters of the gateway; every label set exists from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.submissions = Counter(
            "kepgw_submissions_total", "Letters handed over, by how that ended.", ["result"], registry=registry
        )
        self.claims = Counter(
            "kepgw_idempotency_keys_total", "Idempotency keys presented, by what they were.", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.duplicates = Counter(
            "kepgw_duplicates_suppressed_total", "What came again and was recognised.", ["kind"], registry=registry
        )
        self.keys = Counter(
            "kepgw_api_key_presentations_total", "API keys presented, by outcome.", ["outcome"], registry=registry
        )
        self.package_bytes = Histogram(
            "kepgw_payload_bytes", "Size of packages handed over.", ["direction"],
            buckets=(10_000, 100_000, 500_000, 1_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000),
            registry=registry,
        )  # fmt: skip
        for result in ("accepted", "replayed", "refused", "unavailable"):
            self.submissions.labels(result)
        for claim in ClaimOutcome:
            self.claims.labels(claim)
        for outcome in KeyOutcome:
            self.keys.labels(outcome)
        self.duplicates.labels("api")
        self.package_bytes.labels("outbound")
