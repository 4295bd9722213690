"""KEP addresses as the mirror holds them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.directory.freshness import Freshness
from shared.contracts.directory.resolution import ResolutionLevel, ResolutionProblem
from shared.contracts.directory.sources import DirectoryWarning


class AddressState(StrEnum):
    """What DETSİS last said of an address."""

    ACTIVE = "active"
    """Open to others."""
    NOT_ACTIVE = "not-active"
    """Listed, but waiting for its verification, or already replaced."""
    ABSENT = "absent"
    """Listed no longer."""


class KepAddressEntry(Contract):
    """One KEP address of one unit."""

    address: str
    """In ASCII lower case."""
    state: AddressState
    status_text: str | None = None
    """As DETSİS words it; its texts are unpublished and nothing is decided on them."""
    absent_since: datetime | None = None


class UnitKepAddresses(Contract):
    """All KEP addresses the mirror ever had for one unit: two while one is being replaced."""

    detsis_no: int
    name: str | None = None
    """None when the mirror knows addresses of this unit but not the unit."""
    addresses: list[KepAddressEntry]
    """Active ones first, absent ones last."""
    chosen: str | None = None
    """The address a letter would go to by the mirror; each letter asks DETSİS again."""
    rule: str
    """Why: ``mirror.only-active-address``, ``mirror.first-active-address``, or ``mirror.none`` with ``problem``."""
    problem: ResolutionProblem | None = None
    """Why no letter can go out."""
    level: ResolutionLevel
    warnings: list[DirectoryWarning] = Field(default_factory=list)
    moment: datetime | None = None
    """The moment of the past this speaks about, if one was asked for."""
    freshness: Freshness


class AddressOwner(Contract):
    """One unit an address is or was listed for."""

    detsis_no: int
    name: str | None = None
    """None when the mirror does not know the unit."""
    main_institution_no: int | None = None
    open_to_letters: bool
    """The unit is active, operating and an addressee from outside."""
    state: AddressState
    status_text: str | None = None
    absent_since: datetime | None = None


class KepAddressAnswer(Contract):
    """Who owns a KEP address."""

    address: str
    """As asked, in ASCII lower case."""
    owner_no: int | None = None
    """The one unit it is active for; None when there is none, or several."""
    owners: list[AddressOwner]
    """Active ones first, absent ones last."""
    level: ResolutionLevel
    warnings: list[DirectoryWarning] = Field(default_factory=list)
    freshness: Freshness
