"""Registrations of KEP addresses as clients see them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from services.gateway.schemas.text import Body, Line, StrictDetsisNo
from shared.contracts.directory.registrations import (
    Instructions,
    ListedAddress,
    RegistrationEventRecord,
    RegistrationRecord,
)
from shared.contracts.verification_mails import IntakeCheck, VerificationMail

_Person = Annotated[Line, Field(min_length=2, max_length=150)]


class RegistrationBody(Body):
    """A KEP address that is to become a unit's."""

    institution_no: StrictDetsisNo | None = None
    """May be left out when the API key is bound to one institution only."""
    detsis_no: StrictDetsisNo | None = None
    """The unit whose address it becomes, within the institution; the institution itself if left out."""
    kep_address: Annotated[str, Field(min_length=3, max_length=320, pattern=r"^[!-~]+@[!-~]+$")]
    """The new address."""
    mailbox_id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$")] | None = None
    """Its mailbox here; found by the address if left out."""
    note: Annotated[Line, Field(min_length=1, max_length=1000)] | None = None
    """Kept with the registration."""


class EnteredBody(Body):
    """The address was entered at DETSİS."""

    entered_by: _Person
    """The officer who did."""


class ConfirmationBody(Body):
    """The link of a verification mail was opened."""

    verification_mail_id: UUID
    """Which mail: one of ``verification_mails``."""
    confirmed_by: _Person
    """The authorised person who looked at the mail and opened the link."""


class CancellationBody(Body):
    """The registration is given up."""

    reason: Annotated[Line, Field(min_length=2, max_length=500)]


class KepRegistration(Body):
    """A registration, with what is known about it on both sides: DETSİS and the mailbox."""

    registration: RegistrationRecord
    checks: list[IntakeCheck]
    """Whether the new mailbox takes mail in: once the link is opened, others send at once."""
    instructions: Instructions | None
    """What people have to do next; null when it is over."""
    addresses: list[ListedAddress]
    """The new address first, then the unit's others, each with what DETSİS says about it."""
    verification_mails: list[VerificationMail]
    """In the new mailbox, newest first. Nothing here ever opens a link: a person does, unless warnings speak against it."""
    events: list[RegistrationEventRecord]
    """Every step, append-only."""


class RegistrationList(Body):
    """Registrations, newest first."""

    registrations: list[RegistrationRecord]
    next_cursor: str | None
