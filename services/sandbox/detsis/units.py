"""What the register consists of: units, their KEP addresses, their encryption certificates."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

IN_FORCE, WAITING, CLOSED = "Aktif", "Doğrulama Bekliyor", "Pasif"
"""Status texts of addresses; the real ones are not published."""


@dataclass(frozen=True)
class PinnedUnit:
    """A unit given from outside, next to the generated ones; its number lies below 20 000 000.

    ``parent_no`` 0 makes it a main institution.
    """

    detsis_no: int
    name: str
    parent_no: int = 0
    active: bool = True
    operating: bool = True
    external_addressee: bool = True
    kep_address: str | None = None
    encryption_certificate: bytes | None = field(default=None, repr=False)
    """DER."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit as the service answers it. Numbers are 0 where there is none."""

    number: int
    name: str
    parent_no: int
    second_parent_no: int
    main_no: int
    path: tuple[str, ...]
    level: int
    category_id: int
    status_id: int
    kind: str | None
    place_id: int | None
    place_name: str | None
    postal_address: str | None
    active: bool
    operating: bool
    external_addressee: bool


@dataclass(frozen=True, slots=True)
class KepEntry:
    """One address of one unit, with the status text people see on the portal."""

    number: int
    address: str
    active: bool
    status: str


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """One uploaded certificate. ``active`` only says that none was uploaded after it."""

    number: int
    content: bytes
    """DER, or what somebody took for it."""
    registered_on: date
    updated_on: date
    valid_until: date
    active: bool


def active_entry(number: int, address: str) -> KepEntry:
    """An address in force."""
    return KepEntry(number, address, active=True, status=IN_FORCE)
