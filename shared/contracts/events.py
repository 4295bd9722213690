"""What happened, as one numbered list for each institution."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.contracts.acceptance import AcceptanceState
from shared.contracts.base import Contract
from shared.contracts.signatures import Maturity
from shared.domain.verdict import Conclusion

MOST_EVENTS = 500
"""In one answer."""


class EventType(StrEnum):
    """What an event tells; more kinds may follow."""

    INBOUND_AVAILABLE = "inbound-message.available"
    """A letter was verified for the first time and is offered."""
    INBOUND_VERDICT_CHANGED = "inbound-message.verdict-changed"
    """A later verification of a letter came out otherwise, or made a preliminary verdict final."""
    EVIDENCE_VERDICT_CHANGED = "evidence.verdict-changed"
    """The same of a piece of evidence (delil)."""
    ACCEPTANCE_DUE = "inbound-message.acceptance-due"
    """The period for refusing a letter goes on: half of it is over, or its last morning has come.

    Also of a refused one (``acceptance``) while no notice to its sender was ordered: who is not told in time was not refused.
    """
    ACCEPTANCE_DECIDED = "inbound-message.acceptance-decided"
    """A letter was accepted or refused, or counts as accepted because the period ran out."""

    INBOUND_WITHHELD = "inbound-message.withheld"
    """A virus was found in a mail, or the scanner would not look at it: it is kept and handed to nobody."""
    INBOUND_RELEASED = "inbound-message.released"
    """A person has released a mail that was withheld."""
    PROVIDER_COPY_DELETED = "inbound-message.provider-copy-deleted"
    """A mail was deleted at the provider after its archived copy was compared; of evidence without a letter."""
    SECOND_FACTOR_NEEDED = "mailbox.second-factor-needed"
    """A mailbox's provider hands out no messages until a person has given a second factor."""


class Event(Contract):
    """One event; nothing in it ever changes."""

    position: int
    """Its number among the institution's events, from 1, without gaps."""
    type: EventType
    at: datetime
    institution_no: int
    message_id: UUID | None
    """The letter it is about; None of evidence whose letter is not known."""
    evidence_id: UUID | None = None
    conclusion: Conclusion | None = None
    """Of a verdict; None of other events."""
    previous_conclusion: Conclusion | None = None
    """None: there was none."""
    maturity: Maturity | None = None
    """``preliminary``: the verdict may still change when a grace period is over."""
    acceptance: AcceptanceState | None = None
    """Where a letter's period stands; None of other events."""
    due_at: datetime | None = None
    """End of that period."""
    rule: str | None = None
    """Id of the rule that sets the period, or by which it ended."""
    mailbox_id: str | None = None
    """The mailbox it is about; None of events about letters."""
    reason_code: str | None = None
    """Why a mail is, or was, withheld: ``virus-found`` or ``not-scanned``; None of other events."""


class EventPage(Contract):
    """Events after a position, oldest first."""

    events: list[Event]
    next_after: int
    """What to ask with next: the position up to which everything was looked at, never before what was asked with."""
