"""Contacts and officers as typed rows."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.identifiers import DetsisNumber


@dataclass(frozen=True, slots=True)
class ContactRow:
    """One contact of one unit, which can have several of a kind."""

    detsis_no: DetsisNumber
    kind: int
    """1 web, 2 e-mail, 4 phone, 5 fax; others are unknown and kept as they are (detsis.md 8)."""
    value: str
    label: str | None


@dataclass(frozen=True, slots=True)
class OfficerRow:
    """One of the institution's own DETSİS officers: whom to call to have a record corrected (EK-3/5)."""

    given_name: str | None
    surname: str | None
    phone: str | None
    email: str | None
    role: str | None
