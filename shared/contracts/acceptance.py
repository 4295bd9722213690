"""Whether a letter of another administration is taken as proper, and until when that can be said (legal.md L.9 to L.11)."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from pydantic import Field

from shared.contracts.base import Contract


class AcceptanceState(StrEnum):
    """``deemed-accepted`` is worked out, by the rule that is named; the others are what somebody did."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DEEMED_ACCEPTED = "deemed-accepted"


class RefusalReason(Contract):
    """One reason why a letter is refused."""

    rule: str = Field(min_length=1, max_length=100)
    """Id of the package rule that is broken, or ``other``."""
    text: str = Field(min_length=1, max_length=1000)
    """For the sender."""


class Acceptance(Contract):
    """The period for refusing a letter, and what came of it."""

    state: AcceptanceState
    rule: str
    """Id of the rule that sets the period."""
    started_at: datetime
    """Delivery, as far as it is known: when the letter lay in the mailbox."""
    due_at: datetime
    """End of the period."""
    last_day: date
    estimated: bool
    """A religious holiday that is not announced yet may still move the end."""
    decided_at: datetime | None = None
    decided_by: str | None = None
    """Who said so; None of what was worked out."""
    decided_rule: str | None = None
    """Id of the rule by which it was worked out."""
    reasons: list[RefusalReason] = Field(default_factory=list)


class AcceptanceDecision(Contract):
    """What an authorised person decides about a letter."""

    decision: AcceptanceState
    """``accepted`` or ``refused``."""
    decided_by: str = Field(min_length=1, max_length=200)
    reasons: list[RefusalReason] = Field(default_factory=list, max_length=50)
    """At least one of a refusal; none of an acceptance."""
