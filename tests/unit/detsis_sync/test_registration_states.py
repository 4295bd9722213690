"""The state of a registration follows from what was written down, in whatever order it came."""

from __future__ import annotations

from itertools import permutations

import pytest

from services.detsis_sync.registrations.states import LISTED_AS, Step, accepts, fold
from services.detsis_sync.registrations.steps import PortalStep
from shared.contracts.directory.registrations import (
    ENDED,
    Officer,
    RegistrationFact,
    RegistrationRecord,
    RegistrationState,
    Standing,
)
from shared.domain.identifiers import new_id
from tests.support.detsis import NOW

S = RegistrationState


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ([Step.OPENED], S.AWAITING_ENTRY),
        ([Step.OPENED, Step.ENTERED], S.ENTERED),
        ([Step.OPENED, Step.VERIFICATION_RECEIVED], S.VERIFICATION_RECEIVED),
        ([Step.OPENED, Step.ENTERED, Step.NOT_LISTED], S.ENTERED),
        ([Step.OPENED, Step.ELSEWHERE], S.AWAITING_ENTRY),
        ([Step.OPENED, Step.CONFIRMED, Step.ENTERED], S.CONFIRMED),
        ([Step.OPENED, Step.ACTIVE, Step.VERIFICATION_RECEIVED, Step.CONFIRMED], S.ACTIVE),
        ([Step.OPENED, Step.ENTERED, Step.CANCELLED], S.CANCELLED),
        ([Step.OPENED, Step.ACTIVE, Step.SUPERSEDED], S.SUPERSEDED),
    ],
)
def test_the_furthest_step_counts(steps: list[Step], state: RegistrationState) -> None:
    assert {fold(order) for order in permutations(steps)} == {state}


def test_every_answer_of_detsis_has_a_step() -> None:
    assert set(LISTED_AS) == set(Standing)


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("fact", list(RegistrationFact))
def test_what_is_over_takes_no_facts_but_an_active_one_late_ones(state: S, fact: RegistrationFact) -> None:
    late = state is S.ACTIVE and fact is not RegistrationFact.CANCELLED
    assert accepts(state, fact) == (state not in ENDED or late)


def registration(state: RegistrationState) -> RegistrationRecord:
    return RegistrationRecord(
        registration_id=new_id(), institution_no=10000001, detsis_no=10000011, unit_name="YAZI İŞLERİ {x}",
        kep_address="yeni@hs91.kep.tr", previous_address="eski@hs91.kep.tr", mailbox_id=None, state=state, note=None,
        opened_by="ebys", opened_at=NOW, updated_at=NOW, checked_at=None,
    )  # fmt: skip


def test_the_officer_is_told_exactly_what_to_enter_in_both_languages() -> None:
    step = PortalStep("https://yetkili.example")
    found = step.instructions(registration(S.AWAITING_ENTRY), [Officer(surname="Yetkili")])
    assert found is not None
    for lines in (found.lines_tr, found.lines_en):
        text = "\n".join(lines)
        for value in ("https://yetkili.example", "10000011", "YAZI İŞLERİ {x}", "yeni@hs91.kep.tr", "eski@hs91.kep.tr"):
            assert value in text
    assert (found.officers_known, [person.surname for person in found.officers]) == (True, ["Yetkili"])


def test_officers_that_could_not_be_asked_are_not_said_to_be_none() -> None:
    found = PortalStep("https://yetkili.example").instructions(registration(S.AWAITING_ENTRY), None)
    assert found is not None
    assert (found.officers_known, found.officers) == (False, [])


@pytest.mark.parametrize("state", list(S))
def test_there_is_something_to_do_until_it_is_over(state: S) -> None:
    found = PortalStep("https://yetkili.example").instructions(registration(state), None)
    assert (found is None) == (state in ENDED)
    if found is not None:
        assert len(found.lines_tr) == len(found.lines_en)
