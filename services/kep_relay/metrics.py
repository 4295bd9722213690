"""What kep_relay counts. State gauges come from the database and are set by the leading process only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.domain.message import InboundState, OutboundState
from shared.telemetry.metrics import LATENCY_BUCKETS

OPERATIONS = ("submit", "find_sent")
CALL_OUTCOMES = (
    "accepted", "temporary_failure", "permanent_failure", "blocked", "outcome_unknown", "found", "absent", "error",
)  # fmt: skip
SUBMISSION_OUTCOMES = CALL_OUTCOMES[:5]
SEARCH_RESULTS = ("found", "absent", "unavailable", "resubmitted")
DIRECTIONS = ("outbound", "inbound")

_UNTIL_STATE = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400, 259200)
_TIMED_OUTBOUND = (
    OutboundState.SUBMITTED, OutboundState.ACCEPTED, OutboundState.RELAYED, OutboundState.DELIVERED, OutboundState.READ,
)  # fmt: skip
_TIMED_INBOUND = (InboundState.AVAILABLE, InboundState.CONSUMED)


@dataclass
class ProviderCall:
    """One call to a provider; ``outcome`` is set by the caller before the block ends."""

    outcome: str = "error"


class TransitionTimes:
    """Seconds from a letter's acceptance (outgoing) or arrival (incoming) to states it reaches, seen by this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._histogram = Histogram(
            "kepgw_state_transition_seconds",
            "From a letter's acceptance (outgoing) or arrival (incoming) until it came to the state.",
            ["direction", "state"], buckets=_UNTIL_STATE, registry=registry,
        )  # fmt: skip
        for outbound in _TIMED_OUTBOUND:
            self._histogram.labels("outbound", outbound.value)
        for inbound in _TIMED_INBOUND:
            self._histogram.labels("inbound", inbound.value)

    def outbound(self, state: OutboundState, accepted_at: datetime, at: datetime) -> None:
        """A recipient's letter has come to ``state``; call it once that is committed. States that fail are not timed."""
        if state in _TIMED_OUTBOUND:
            self._histogram.labels("outbound", state.value).observe(max(0.0, (at - accepted_at).total_seconds()))

    def inbound(self, state: InboundState, received_at: datetime, at: datetime) -> None:
        """A letter has come to ``state``; call it once that is committed."""
        if state in _TIMED_INBOUND:
            self._histogram.labels("inbound", state.value).observe(max(0.0, (at - received_at).total_seconds()))


class RelayMetrics:
    """All metrics of this service that are not its HTTP interface's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.provider_requests = Counter(
            "kepgw_provider_requests_total", "Calls to KEP providers.", ["operation", "outcome"], registry=registry
        )
        self.provider_seconds = Histogram(
            "kepgw_provider_request_duration_seconds", "Duration of calls to KEP providers.", ["operation"],
            buckets=LATENCY_BUCKETS, registry=registry,
        )  # fmt: skip
        self.outcomes = Counter(
            "kepgw_submission_outcomes_total", "Outcomes of submissions, as written down.", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.outcome_unknown = Counter(
            "kepgw_outcome_unknown_total", "Submissions whose answer got lost, by a broken link or a died process.",
            registry=registry,
        )  # fmt: skip
        self.reconciliations = Counter(
            "kepgw_reconciliations_total", "Looks for a message whose answer got lost.", ["result"], registry=registry
        )
        self.leader = Gauge("kepgw_leader", "1 in the process that sweeps and counts.", registry=registry)
        self.sweeps = Counter("kepgw_sweeps_total", "Sweeps done.", ["result"], registry=registry)
        self.swept = Counter(
            "kepgw_swept_rows_total", "Rows the sweeper had to help along.", ["what"], registry=registry
        )
        self.messages_in_state = Gauge(
            "kepgw_messages_in_state", "Letters (outgoing: recipients) by state.", ["direction", "state"],
            registry=registry,
        )  # fmt: skip
        self.oldest_age = Gauge(
            "kepgw_oldest_message_age_seconds", "Age of the oldest letter that is still under way.", ["direction"],
            registry=registry,
        )  # fmt: skip
        self.ledger_imbalance = Gauge(
            "kepgw_ledger_imbalance_messages", "Letters accepted but neither finished nor under way: must be 0.",
            ["direction"], registry=registry,
        )  # fmt: skip
        self.evidence_overdue = Gauge(
            "kepgw_evidence_overdue", "Letters handed over that lack evidence of delivery for too long.",
            registry=registry,
        )  # fmt: skip
        self.mailboxes_stopped = Gauge(
            "kepgw_mailboxes_stopped", "Accounts not used because the provider refused the login.", registry=registry
        )
        self.transitions = TransitionTimes(registry)
        self.store_free = Gauge("kepgw_store_free_bytes", "Room left in the blob store.", registry=registry)
        self._initialise()

    def _initialise(self) -> None:
        for operation in OPERATIONS:
            self.provider_seconds.labels(operation)
            for outcome in CALL_OUTCOMES:
                self.provider_requests.labels(operation, outcome)
        for outcome in SUBMISSION_OUTCOMES:
            self.outcomes.labels(outcome)
        for result in SEARCH_RESULTS:
            self.reconciliations.labels(result)
        for result in ("done", "failed"):
            self.sweeps.labels(result)
        for what in SWEPT:
            self.swept.labels(what)
        self.clear_state()

    def clear_state(self) -> None:
        """Another process counts now: what this one knew would be counted twice."""
        self.leader.set(0)
        for state in OutboundState:
            self.messages_in_state.labels("outbound", state.value).set(0)
        for inbound_state in InboundState:
            self.messages_in_state.labels("inbound", inbound_state.value).set(0)
        for direction in DIRECTIONS:
            self.oldest_age.labels(direction).set(0)
            self.ledger_imbalance.labels(direction).set(0)
        self.evidence_overdue.set(0)
        self.mailboxes_stopped.set(0)

    @contextmanager
    def provider_call(self, operation: str) -> Iterator[ProviderCall]:
        """Count and time one call."""
        call, started = ProviderCall(), time.perf_counter()
        try:
            yield call
        finally:
            self.provider_requests.labels(operation, call.outcome).inc()
            self.provider_seconds.labels(operation).observe(time.perf_counter() - started)


SWEPT = (
    "interrupted", "abandoned", "queued", "retry_due", "unblocked", "reconcile_due", "expired", "evidence_overdue",
    "evidence_long_overdue", "evidence_arrived", "stalled_jobs", "dead_instances", "lost_claims",
)  # fmt: skip
