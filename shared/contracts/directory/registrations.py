"""KEP addresses on their way into DETSİS (EK-1/2–6, EK-2/2–5)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.directory.resolution import AddressSource


class RegistrationState(StrEnum):
    """How far a KEP address has come. Facts may arrive in any order; the furthest one counts."""

    AWAITING_ENTRY = "awaiting_entry"
    """Somebody has to enter it at DETSİS."""
    ENTERED = "entered"
    """DETSİS lists it, not open to others yet; or the officer says that it was entered."""
    VERIFICATION_RECEIVED = "verification_received"
    """The verification mail is in the new mailbox."""
    CONFIRMED = "confirmed"
    """An authorised person says that its link was opened."""
    ACTIVE = "active"
    """DETSİS lists it as active: others send to it."""
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    """A later registration of the same unit became active."""


ENDED = frozenset({RegistrationState.ACTIVE, RegistrationState.CANCELLED, RegistrationState.SUPERSEDED})


class Standing(StrEnum):
    """What DETSİS says about an address (legal.md L.2)."""

    NOT_LISTED = "not_listed"
    WAITING = "waiting"
    """Entered, not open to others."""
    ACTIVE = "active"
    ELSEWHERE = "elsewhere"
    """Listed, but for another unit."""


class RegistrationFact(StrEnum):
    """What people and mails say about a registration; what DETSİS says is asked for, never taken from others."""

    ENTERED = "entered"
    VERIFICATION_RECEIVED = "verification-received"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


Detail: TypeAlias = dict[str, str | int | list[str] | None]


class NewRegistration(Contract):
    """Open a registration."""

    institution_no: int
    detsis_no: int
    """The unit whose address it becomes; it belongs to the institution."""
    kep_address: str = Field(max_length=320)
    mailbox_id: str | None = Field(default=None, max_length=100)
    note: str | None = Field(default=None, max_length=1000)
    opened_by: str = Field(min_length=1, max_length=200)


class FactReport(Contract):
    """One fact, and who reports it. ``message_id`` is the verification mail's, where there is one."""

    what: RegistrationFact
    actor: str = Field(min_length=1, max_length=200)
    message_id: UUID | None = None
    detail: Detail = Field(default_factory=dict)


class VerificationNotice(Contract):
    """kep_relay has taken in a verification mail."""

    institution_no: int
    kep_address: str
    """Of the mailbox it came to."""
    message_id: UUID
    received_at: datetime


class RegistrationEventRecord(Contract):
    """One step, append-only."""

    position: int
    happened_at: datetime
    actor: str
    """``person:…``, ``client:…`` of the gateway, ``detsis`` for what DETSİS showed, ``kep_relay`` for what came by mail."""
    what: str
    detail: Detail = Field(default_factory=dict)


class ListedAddress(Contract):
    """One address of the unit and what DETSİS says about it."""

    address: str
    standing: Standing | None
    """None while it could not be asked and the mirror does not know."""
    source: AddressSource | None
    as_of: datetime | None


class Officer(Contract):
    """A person of the institution whom DETSİS lets change its data (EK-3/5)."""

    given_name: str | None = None
    surname: str | None = None
    phone: str | None = None
    email: str | None = None
    role: str | None = None


class Instructions(Contract):
    """What a person has to do, where DETSİS offers no call that does it."""

    step: str
    """The adapter: ``portal`` means by hand."""
    portal_url: str
    lines_tr: list[str]
    lines_en: list[str]
    officers: list[Officer]
    officers_known: bool
    """False when DETSİS could not be asked who they are."""


class RegistrationRecord(Contract):
    """One registration."""

    registration_id: UUID
    institution_no: int
    detsis_no: int
    unit_name: str | None
    kep_address: str
    previous_address: str | None
    """What DETSİS listed as active for the unit when this was opened: it stays until the new one is active."""
    mailbox_id: str | None
    state: RegistrationState
    note: str | None
    opened_by: str
    opened_at: datetime
    updated_at: datetime
    checked_at: datetime | None
    """When DETSİS last answered about it."""


class RegistrationDetail(Contract):
    """One registration with everything known about it."""

    registration: RegistrationRecord
    events: list[RegistrationEventRecord]
    addresses: list[ListedAddress]
    """The new address first, then the unit's others."""
    instructions: Instructions | None
    """While somebody still has to enter the address."""


class RegistrationPage(Contract):
    """Newest first."""

    registrations: list[RegistrationRecord]
    next_cursor: str | None = None


class AddressGuard(Contract):
    """Whether the mailbox of an address may be closed."""

    address: str
    standing: Standing | None
    """Of the address at DETSİS; None if neither DETSİS nor a fresh mirror can say."""
    source: AddressSource | None
    as_of: datetime | None
    detsis_no: int | None = None
    """The unit it is listed for."""
    replaced: bool = False
    """Whether that unit has another, active address, so that one which is not active is no longer needed."""
    registration_id: UUID | None = None
    """An open registration that needs it, as the new address or as the one to be replaced."""
    verdict: Literal["free", "listed", "in-registration", "unknown"]
