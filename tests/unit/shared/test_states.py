"""The state tables: complete, connected, and indifferent to the order in which evidence arrives."""

from __future__ import annotations

from functools import reduce
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.evidence import EvidenceCode
from shared.domain.message import (
    AWAITING_EVIDENCE,
    BEFORE_SUBMISSION,
    CONTRADICTIONS,
    EVIDENCE_RANK,
    EVIDENCE_STATE,
    INBOUND_TERMINAL,
    INBOUND_TRANSITIONS,
    OUTBOUND_TERMINAL,
    OUTBOUND_TRANSITIONS,
    InboundState,
    OutboundState,
    advance,
    contradicts,
    worst_state,
)
from shared.domain.verdict import Conclusion, worst

S = OutboundState
PROVEN = sorted(set(EVIDENCE_STATE.values()))


def proof(*codes: int) -> list[OutboundState]:
    return [EVIDENCE_STATE[EvidenceCode(code)] for code in codes]


def fold(start: OutboundState, proven: list[OutboundState]) -> OutboundState:
    return reduce(advance, proven, start)


def flagged(start: OutboundState, proven: list[OutboundState]) -> bool:
    """Whether a contradiction is noticed while the pieces arrive one by one."""
    state, found = start, False
    for piece in proven:
        found = found or contradicts(state, piece)
        state = advance(state, piece)
    return found


@pytest.mark.parametrize(
    ("arrived", "state", "attention"),
    [
        ([], S.SUBMITTED, False),
        ([10], S.ACCEPTED, False),
        ([10, 20, 40, 60], S.READ, False),
        ([40, 20, 10], S.DELIVERED, False),
        ([10, 40], S.DELIVERED, False),
        ([60], S.READ, False),
        ([10, 10, 20, 20], S.RELAYED, False),
        ([10, 31], S.RELAY_FAILED, False),
        ([10, 21], S.RELAY_FAILED, False),
        ([10, 31, 20], S.RELAY_FAILED, False),
        ([10, 31, 40], S.DELIVERED, True),
        ([10, 40, 31], S.DELIVERED, True),
        ([31, 41], S.UNDELIVERED, False),
        ([10, 20, 41], S.UNDELIVERED, False),
        ([41, 40], S.DELIVERED, True),
        ([11], S.REJECTED, False),
        ([10, 11], S.REJECTED, True),
        ([11, 10], S.REJECTED, True),
        ([20, 11], S.REJECTED, True),
        ([11, 40], S.DELIVERED, True),
    ],
)
def test_what_evidence_makes_of_a_submitted_letter(arrived: list[int], state: OutboundState, attention: bool) -> None:
    assert fold(S.SUBMITTED, proof(*arrived)) is state
    assert flagged(S.SUBMITTED, proof(*arrived)) is attention


@given(
    st.lists(st.sampled_from(PROVEN), max_size=12).flatmap(
        lambda found: st.tuples(st.just(found), st.permutations(found))
    )
)
def test_order_of_arrival_matters_neither_for_the_state_nor_for_the_flag(
    both: tuple[list[OutboundState], list[OutboundState]],
) -> None:
    one, other = both
    for start in (S.SUBMITTED, S.SUBMITTING, S.OUTCOME_UNKNOWN, S.CANCELLED, S.FAILED):
        assert fold(start, one) is fold(start, other)
    assert flagged(S.SUBMITTED, one) is flagged(S.SUBMITTED, other)
    assert flagged(S.SUBMITTED, one) is any(
        frozenset(pair) in CONTRADICTIONS for pair in combinations(sorted(set(one)), 2)
    )


@given(st.sampled_from(list(S)), st.lists(st.sampled_from(PROVEN), max_size=6))
def test_evidence_seen_twice_changes_nothing(start: OutboundState, proven: list[OutboundState]) -> None:
    assert fold(start, proven + proven) is fold(start, proven)


@given(st.sampled_from(PROVEN), st.sampled_from(PROVEN))
def test_a_state_that_evidence_proved_never_goes_back(current: OutboundState, proven: OutboundState) -> None:
    assert EVIDENCE_RANK[advance(current, proven)] >= EVIDENCE_RANK[current]


@pytest.mark.parametrize("unproven", sorted(set(S) - set(EVIDENCE_RANK)))
@pytest.mark.parametrize("proven", PROVEN)
def test_evidence_always_tells_more_than_what_we_believed(unproven: OutboundState, proven: OutboundState) -> None:
    assert advance(unproven, proven) is proven
    ended_unsent = unproven in {S.FAILED, S.EXPIRED, S.CANCELLED}
    went_out = proven in {S.ACCEPTED, S.RELAYED, S.DELIVERED, S.READ}
    assert contradicts(unproven, proven) == (ended_unsent and went_out)


def test_every_code_proves_a_state_with_a_rank_of_its_own() -> None:
    assert set(EVIDENCE_STATE) == set(EvidenceCode)
    assert set(EVIDENCE_RANK) == {S.SUBMITTED, *EVIDENCE_STATE.values()}
    assert len(set(EVIDENCE_RANK.values())) == len(EVIDENCE_RANK)


def test_only_delivery_evidence_makes_a_letter_delivered() -> None:
    """Design decision 7."""
    delivering = {code for code, state in EVIDENCE_STATE.items() if state in {S.DELIVERED, S.READ}}
    assert delivering == {EvidenceCode.DELIVERED, EvidenceCode.READ}
    for targets in OUTBOUND_TRANSITIONS.values():
        assert not targets & set(EVIDENCE_STATE.values())


def test_every_outbound_state_is_before_on_the_way_or_at_an_end() -> None:
    under_way = {S.SUBMITTING, S.OUTCOME_UNKNOWN}
    groups = [BEFORE_SUBMISSION, under_way, AWAITING_EVIDENCE, OUTBOUND_TERMINAL]
    assert set().union(*groups) == set(S)
    assert sum(map(len, groups)) == len(S)


def test_our_own_actions_never_leave_an_end_and_reach_every_state_they_should() -> None:
    assert not set(OUTBOUND_TRANSITIONS) & OUTBOUND_TERMINAL
    reached = {S.QUEUED}
    while (more := reached.union(*(OUTBOUND_TRANSITIONS.get(state, frozenset()) for state in reached))) != reached:
        reached = more
    assert reached == set(S) - set(EVIDENCE_STATE.values())


def test_a_letter_is_cancelled_only_before_it_is_submitted() -> None:
    assert {state for state, targets in OUTBOUND_TRANSITIONS.items() if S.CANCELLED in targets} == BEFORE_SUBMISSION


def test_a_submission_whose_outcome_is_unknown_is_never_simply_repeated() -> None:
    assert S.SUBMITTING not in OUTBOUND_TRANSITIONS[S.OUTCOME_UNKNOWN]
    assert S.RETRY_WAIT not in OUTBOUND_TRANSITIONS[S.OUTCOME_UNKNOWN]


def test_every_inbound_state_is_reached_and_open_ones_can_be_left() -> None:
    reached = {InboundState.STORED}
    while (more := reached.union(*(INBOUND_TRANSITIONS.get(state, frozenset()) for state in reached))) != reached:
        reached = more
    assert reached == set(InboundState)
    assert set(InboundState) - INBOUND_TERMINAL <= set(INBOUND_TRANSITIONS)
    for state, targets in INBOUND_TRANSITIONS.items():
        assert state not in targets


def test_nothing_is_available_before_it_was_verified_or_released_by_a_person() -> None:
    sources = {state for state, targets in INBOUND_TRANSITIONS.items() if InboundState.AVAILABLE in targets}
    assert sources == {
        InboundState.VERIFIED, InboundState.LEASED, InboundState.QUARANTINED, InboundState.DEAD_LETTERED,
    }  # fmt: skip


@given(st.lists(st.sampled_from(list(S)), min_size=1))
def test_a_letter_shows_its_worst_recipient(states: list[OutboundState]) -> None:
    shown = worst_state(states)
    assert shown in states
    assert worst_state([*states, shown]) is shown
    assert worst_state(states[::-1]) is shown


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        ([S.READ, S.DELIVERED], S.DELIVERED),
        ([S.READ, S.UNDELIVERED], S.UNDELIVERED),
        ([S.DELIVERED, S.QUEUED], S.QUEUED),
        ([S.RELAY_FAILED, S.FAILED], S.FAILED),
        ([S.READ], S.READ),
    ],
)
def test_examples_of_worst_recipients(states: list[OutboundState], shown: OutboundState) -> None:
    assert worst_state(states) is shown


def test_a_letter_without_recipients_has_no_state() -> None:
    with pytest.raises(ValueError, match=r"."):
        worst_state([])


@pytest.mark.parametrize(
    ("conclusions", "expected"),
    [
        ([], Conclusion.INDETERMINATE),
        ([Conclusion.PASSED], Conclusion.PASSED),
        ([Conclusion.PASSED, Conclusion.INDETERMINATE], Conclusion.INDETERMINATE),
        ([Conclusion.INDETERMINATE, Conclusion.FAILED, Conclusion.PASSED], Conclusion.FAILED),
    ],
)
def test_several_signatures_are_as_good_as_the_worst(conclusions: list[Conclusion], expected: Conclusion) -> None:
    assert worst(conclusions) is expected
