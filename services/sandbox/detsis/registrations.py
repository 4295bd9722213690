"""Registering KEP addresses the way the portal does (circular EK-2/2-5): entered, confirmed by mail, then in force."""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from services.sandbox.detsis.register import Register
from services.sandbox.pki.identity import write_private
from shared.domain.identifiers import ascii_lower


class RegistrationState(StrEnum):
    """What has become of a registration."""

    WAITING = "waiting"
    """The mail is out; the address waits for its confirmation, the one before it is still in force."""
    ACTIVE = "active"
    """Confirmed: the address is open to everybody, the one before it is closed."""
    REPLACED = "replaced"
    """Another address was registered before this one was confirmed."""


class Registration(BaseModel):
    """One address entered at the portal for one unit."""

    model_config = ConfigDict(extra="forbid")

    registration_id: str
    detsis_no: int
    kep_address: str
    state: RegistrationState = RegistrationState.WAITING
    registered_at: datetime
    confirmed_at: datetime | None = None
    confirmed_by_opening: bool = False
    """Whether opening the link is enough, without the button on the page."""
    token: str = Field(repr=False)
    """The secret inside the mail's link."""


class UnknownRegistrationError(LookupError):
    """No registration has this id or token."""


_LIST = TypeAdapter(list[Registration])


class RegistrationDesk:
    """All registrations, kept in one file and entered again into the register at the next start."""

    def __init__(self, register: Register, file: Path | None = None) -> None:
        self._register = register
        self._file = file
        kept = file is not None and file.exists()
        self._registrations = _LIST.validate_json(file.read_bytes()) if file is not None and kept else []
        for registration in self._registrations:
            # A register of another size, or without the days lived before, may lack the unit.
            if register.unit(registration.detsis_no) is None:
                continue
            register.announce_kep_address(registration.detsis_no, registration.kep_address)
            if registration.state is RegistrationState.ACTIVE:
                register.confirm_kep_address(registration.detsis_no)

    def register(
        self, detsis_no: int, kep_address: str, now: datetime, *, confirmed_by_opening: bool = False
    ) -> Registration:
        """Enter an address. An earlier one that still waits for the same unit is given up.

        Raises ``KeyError`` for an unknown unit, ``ValueError`` if the address is already somebody's.
        """
        if self._register.unit(detsis_no) is None:
            raise KeyError(detsis_no)
        owner = self._register.owner(kep_address)
        if owner is not None and (owner.active or owner.number != detsis_no):
            raise ValueError(f"{kep_address} is already registered for {owner.number}")
        for earlier in self._registrations:
            if earlier.detsis_no == detsis_no and earlier.state is RegistrationState.WAITING:
                earlier.state = RegistrationState.REPLACED
        registration = Registration(
            registration_id=secrets.token_hex(8),
            detsis_no=detsis_no,
            kep_address=ascii_lower(kep_address),
            registered_at=now,
            confirmed_by_opening=confirmed_by_opening,
            token=secrets.token_urlsafe(32),
        )
        self._registrations.append(registration)
        self._register.announce_kep_address(detsis_no, registration.kep_address)
        self._keep()
        return registration

    def confirm(self, token: str, now: datetime) -> Registration:
        """Bring the address of this link into force; a second time changes nothing.

        Raises ``UnknownRegistrationError``. One that was replaced stays so: look at its state.
        """
        registration = self.by_token(token)
        if registration.state is RegistrationState.WAITING:
            registration.state = RegistrationState.ACTIVE
            registration.confirmed_at = now
            self._register.confirm_kep_address(registration.detsis_no)
            self._keep()
        return registration

    def by_token(self, token: str) -> Registration:
        """The registration whose link carries ``token``. Raises ``UnknownRegistrationError``."""
        for registration in self._registrations:
            if hmac.compare_digest(registration.token.encode(), token.encode()):
                return registration
        raise UnknownRegistrationError(token)

    def called(self, registration_id: str) -> Registration:
        """The registration with this id. Raises ``UnknownRegistrationError``."""
        for registration in self._registrations:
            if registration.registration_id == registration_id:
                return registration
        raise UnknownRegistrationError(registration_id)

    def all(self) -> list[Registration]:
        """Oldest first."""
        return list(self._registrations)

    def _keep(self) -> None:
        if self._file is not None:
            write_private(self._file, _LIST.dump_json(self._registrations, indent=1))
