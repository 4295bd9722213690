"""What asking for evidence counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

POLL_RESULTS = ("answered", "unavailable", "refused")
ENTRIES = ("known", "unknown-code", "other-recipient", "unreadable")
FETCH_RESULTS = ("fetched", "failed", "given-up")


class ListedMetrics:
    """Lists, their entries and documents."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.polls = Counter(
            "kepgw_evidence_polls_total", "Questions for evidence about one letter.", ["result"], registry=registry
        )
        self.entries = Counter(
            "kepgw_listed_evidence_total", "New entries in providers' lists of evidence.", ["entry"], registry=registry
        )
        self.fetches = Counter(
            "kepgw_listed_documents_total", "Tries to get a listed document.", ["result"], registry=registry
        )
        self.waiting = Gauge(
            "kepgw_evidence_documents_waiting", "Listed documents that are not here yet.", registry=registry
        )
        self.oldest_waiting = Gauge(
            "kepgw_evidence_document_oldest_age_seconds", "How long the oldest of them has been listed.",
            registry=registry,
        )  # fmt: skip
        for result in POLL_RESULTS:
            self.polls.labels(result)
        for entry in ENTRIES:
            self.entries.labels(entry)
        for result in FETCH_RESULTS:
            self.fetches.labels(result)
