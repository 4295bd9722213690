"""The decision tables: every outcome, every wait, every look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kep_relay.drivers.protocol import (
    Accepted,
    Blocked,
    OutcomeUnknown,
    PermanentFailure,
    TemporaryFailure,
)
from services.kep_relay.outbound.outcome import RetryPolicy, decide, decide_fault, decide_search
from shared.domain.message import OUTBOUND_TRANSITIONS, OutboundState
from shared.errors import RETRYABLE, DomainError, ErrorCode

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
POLICY = RetryPolicy((1, 2, 5), (30, 60), (2, 10), timedelta(minutes=15))
OUTCOMES = [
    (Accepted("250 ok"), OutboundState.SUBMITTED, None, None),
    (TemporaryFailure("provider-unavailable", "451"), OutboundState.RETRY_WAIT, "provider-unavailable", 1),
    (Blocked("mailbox-not-ready", "535"), OutboundState.BLOCKED, "mailbox-not-ready", 30),
    (OutcomeUnknown("provider-unavailable", "lost"), OutboundState.OUTCOME_UNKNOWN, "provider-unavailable", 2),
    (PermanentFailure("provider-refused", "550"), OutboundState.FAILED, "provider-refused", None),
]


@pytest.mark.parametrize(("outcome", "state", "code", "pause"), OUTCOMES)
def test_first_outcome(outcome, state, code, pause) -> None:
    decision = decide(outcome, 0, NOW, POLICY)
    assert (decision.state, decision.reason_code) == (state, code)
    assert decision.next_attempt_at == (None if pause is None else NOW + timedelta(seconds=pause))


@pytest.mark.parametrize("outcome", [row[0] for row in OUTCOMES])
def test_every_decision_is_a_known_transition(outcome) -> None:
    assert decide(outcome, 3, NOW, POLICY).state in OUTBOUND_TRANSITIONS[OutboundState.SUBMITTING]


@pytest.mark.parametrize(("setbacks", "pause"), [(0, 1), (1, 2), (2, 5), (3, 5), (99, 5)])
def test_pauses_grow_and_the_last_one_repeats(setbacks, pause) -> None:
    decision = decide(TemporaryFailure("x", "y"), setbacks, NOW, POLICY)
    assert decision.next_attempt_at == NOW + timedelta(seconds=pause)
    assert decision.setbacks == setbacks + 1


def test_success_and_unknown_start_counting_anew() -> None:
    assert decide(Accepted("250"), 7, NOW, POLICY).setbacks == 0
    assert decide(OutcomeUnknown("x", "y"), 7, NOW, POLICY).setbacks == 0


@pytest.mark.parametrize("code", list(ErrorCode))
def test_a_fault_before_the_provider_never_ends_a_letter(code: ErrorCode) -> None:
    decision = decide_fault(DomainError(code, "why"), 0, NOW, POLICY)
    assert decision.state in {OutboundState.RETRY_WAIT, OutboundState.BLOCKED}
    assert decision.state in OUTBOUND_TRANSITIONS[OutboundState.QUEUED]
    assert (decision.reason_code, decision.reason) == (code.value, "why")
    assert decision.next_attempt_at is not None


@pytest.mark.parametrize(
    "code", [ErrorCode.SIGNER_UNAVAILABLE, ErrorCode.DIRECTORY_UNAVAILABLE, ErrorCode.DURABILITY_UNAVAILABLE]
)
def test_a_neighbour_that_is_down_is_retried_soon(code: ErrorCode) -> None:
    assert code in RETRYABLE
    assert decide_fault(DomainError(code, ""), 0, NOW, POLICY).state == OutboundState.RETRY_WAIT


def test_found_means_submitted() -> None:
    for now in (NOW, NOW + timedelta(days=1)):
        assert decide_search(True, looks=3, unknown_from=NOW, now=now, policy=POLICY).state == OutboundState.SUBMITTED


@given(st.floats(min_value=0, max_value=100_000), st.sampled_from([False, None]), st.integers(0, 50))
def test_nothing_is_sent_again_inside_the_window_or_without_a_proper_no(seconds, found, looks) -> None:
    now = NOW + timedelta(seconds=seconds)
    decision = decide_search(found, looks=looks, unknown_from=NOW, now=now, policy=POLICY)
    window_over = now - NOW >= POLICY.reconcile_window
    if found is False and window_over:
        assert decision.state == OutboundState.QUEUED
    else:
        assert decision.state == OutboundState.OUTCOME_UNKNOWN
        assert decision.next_attempt_at is not None
        assert decision.next_attempt_at > now
