"""Units of the register."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.directory.freshness import Freshness


class UnitKepAddress(Contract):
    """One KEP address DETSİS lists for a unit."""

    address: str
    active: bool
    """Whether DETSİS lists it as active, and still lists it."""
    status_text: str | None = None
    absent_since: datetime | None = None
    """Since when the list of active addresses does not name it any more."""


class Unit(Contract):
    """One unit of the register."""

    detsis_no: int
    name: str
    parent_no: int | None = None
    main_institution_no: int | None = None
    main_institution_name: str | None = None
    path: list[str] = Field(default_factory=list)
    """Names from the main institution down to this unit, built from parents."""
    active: bool
    operating: bool
    external_addressee: bool
    sendable: bool
    """active ∧ operating ∧ external addressee ∧ an active KEP address (detsis.md 8)."""
    absent_since: datetime | None = None
    postal_address: str | None = None
    place_name: str | None = None
    kep_addresses: list[UnitKepAddress] = Field(default_factory=list)


class UnitAnswer(Contract):
    """One unit, with its freshness."""

    unit: Unit
    freshness: Freshness


class UnitPage(Contract):
    """Search results, best first."""

    units: list[Unit]
    next_cursor: str | None = None
    freshness: Freshness
