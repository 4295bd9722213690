"""Letters that arrived more secret than KEP may carry, between gateway and kep_relay (legal.md L.27)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract


class FoundIn(StrEnum):
    """Where the degree stood that sealed a letter."""

    PACKAGE = "package"
    """In the package as it came, an update's original included."""
    ENVELOPE = "envelope"
    """In the package that was encrypted."""
    ANNEX = "annex"
    """In a package among the annexes."""


class IncidentClosing(Contract):
    """What a person decided about an incident. The letter stays sealed."""

    decision: str
    decided_by: str
    closed_at: datetime


class ClassifiedIncident(Contract):
    """One letter that was sealed. Nothing here comes from inside the letter but its degree."""

    incident_id: UUID
    message_id: UUID
    institution_no: int
    mailbox_address: str
    sender_address: str | None
    degree: str
    """``secret`` or ``top-secret``: the highest one where there was doubt."""
    found_in: FoundIn
    raw_sha256: str
    raw_size: int
    package_sha256: str | None
    state_before: str
    """The letter's state when it was sealed; beyond ``parsed``, a document system may have seen it."""
    rule: str
    """Id of the rule that was applied."""
    rules_of: str
    """Since when the rules applied are in force, as a date."""
    measure: str
    """What was done: ``sealed``."""
    received_at: datetime
    detected_at: datetime
    closing: IncidentClosing | None = None


class ClassifiedIncidents(Contract):
    """A page of incidents, oldest first."""

    incidents: list[ClassifiedIncident]
    next_cursor: str | None = None


class IncidentDecision(Contract):
    """Close an incident. The same again is fine; another decision on a closed one is a conflict."""

    decision: str = Field(min_length=1, max_length=2000)
    decided_by: str = Field(min_length=1, max_length=200)
