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


class UnitKind(Contract):
    """One of the kinds DETSİS sorts a unit under."""

    kind_id: int
    label: str | None = None


class UnitSighting(Contract):
    """A list of DETSİS that names the unit, or did."""

    list_name: str
    """``external``: units that correspond with others; ``own``: an institution's own tree; ``main_institutions``."""
    absent_since: datetime | None = None
    """Since when this list, in nobody's refresh, names the unit any more. Other lists still may."""
    tombstoned_at: datetime | None = None
    """When a second full list did not name it either."""


class Unit(Contract):
    """One unit of the register.

    Three things that are easily taken for each other: ``active`` and ``operating`` are what DETSİS says of the unit;
    ``absent_since`` and ``tombstoned_at`` mean that DETSİS does not name it any more; ``stale`` in ``freshness`` means
    that our copy is too old to know.
    """

    detsis_no: int
    name: str
    parent_no: int | None = None
    second_parent_no: int | None = None
    """The unit it also answers to, if any."""
    main_institution_no: int | None = None
    main_institution_name: str | None = None
    path: list[str] = Field(default_factory=list)
    """Names from the main institution down to this unit, built from parents."""
    level: int | None = None
    """Depth in the hierarchy as DETSİS states it."""
    category_id: int | None = None
    category: str | None = None
    """Its label in the code list, where known."""
    status_id: int | None = None
    status: str | None = None
    """Its label in the code list, where known."""
    kinds: list[UnitKind] = Field(default_factory=list)
    active: bool
    """As DETSİS says; a flag it writes in a way nobody knows counts as not active."""
    operating: bool
    external_addressee: bool
    sendable: bool
    """active ∧ operating ∧ external addressee ∧ an active KEP address (detsis.md 8)."""
    absent_since: datetime | None = None
    """Since when no list names it any more that ever did; null while one does."""
    tombstoned_at: datetime | None = None
    """When a second full list did not name it either, for the last of those lists."""
    sightings: list[UnitSighting] = Field(default_factory=list)
    """Which lists name it, or did."""
    first_snapshot_id: int | None = None
    """The refresh that brought it."""
    changed_snapshot_id: int | None = None
    """The refresh that changed it last."""
    postal_address: str | None = None
    place_id: int | None = None
    place_name: str | None = None
    kep_addresses: list[UnitKepAddress] = Field(default_factory=list)


class UnitAnswer(Contract):
    """One unit, with its freshness."""

    unit: Unit
    moment: datetime | None = None
    """The moment asked about; null: now. ``freshness`` is then that of the mirror at that moment."""
    freshness: Freshness


class WordCorrection(Contract):
    """A word that no name has, and the nearest ones that were searched instead."""

    written: str
    """Folded: lower-case ASCII letters and digits."""
    taken_as: list[str]


class UnitPage(Contract):
    """Search results, best first."""

    units: list[Unit]
    next_cursor: str | None = None
    corrections: list[WordCorrection] = Field(default_factory=list)
    """Words that were taken for others: show them as "did you mean"."""
    freshness: Freshness
