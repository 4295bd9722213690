"""How far a registration has come, from the steps written down about it. Pure.

Facts come from people, from a mail and from DETSİS, each in its own time: DETSİS may show an address
as active before anybody has seen the mail. So the state is the furthest step, whatever the order.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from shared.contracts.directory.registrations import ENDED, RegistrationFact, RegistrationState, Standing


class Step(StrEnum):
    """What an event says; the facts that can be reported are among them."""

    OPENED = "opened"
    ENTERED = "entered"
    VERIFICATION_RECEIVED = "verification-received"
    CONFIRMED = "confirmed"
    ACTIVE = "active"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    NOT_LISTED = "not-listed"
    """DETSİS no longer lists what it had listed: entered and taken back, or given up there."""
    ELSEWHERE = "listed-elsewhere"
    """DETSİS lists the address for another unit."""


_FURTHEST_FIRST = (
    (Step.SUPERSEDED, RegistrationState.SUPERSEDED),
    (Step.CANCELLED, RegistrationState.CANCELLED),
    (Step.ACTIVE, RegistrationState.ACTIVE),
    (Step.CONFIRMED, RegistrationState.CONFIRMED),
    (Step.VERIFICATION_RECEIVED, RegistrationState.VERIFICATION_RECEIVED),
    (Step.ENTERED, RegistrationState.ENTERED),
)

LISTED_AS = {
    Standing.WAITING: Step.ENTERED,
    Standing.ACTIVE: Step.ACTIVE,
    Standing.NOT_LISTED: Step.NOT_LISTED,
    Standing.ELSEWHERE: Step.ELSEWHERE,
}
"""What an answer of DETSİS is written down as."""


def fold(steps: Collection[str]) -> RegistrationState:
    """The state that follows from these steps, in whatever order they came."""
    for step, state in _FURTHEST_FIRST:
        if step in steps:
            return state
    return RegistrationState.AWAITING_ENTRY


def accepts(state: RegistrationState, fact: RegistrationFact) -> bool:
    """Whether ``fact`` may still be written down.

    An address that became active cannot be cancelled, but its mail may turn up late, and who opened
    the link is worth a line even then.
    """
    if state is RegistrationState.ACTIVE:
        return fact is not RegistrationFact.CANCELLED
    return state not in ENDED
