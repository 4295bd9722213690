"""Code lists, places and main institutions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from shared.contracts.base import Contract
from shared.contracts.directory.freshness import Freshness


class CodeKind(StrEnum):
    """The code lists there are."""

    CATEGORY = "category"
    STATUS = "status"
    PLACE = "place"


class Place(Contract):
    """One province, district or other place."""

    place_id: int
    """What units point to."""
    name: str | None = None
    place_code: int
    province_code: int
    province_name: str | None = None
    kind_id: int
    kind: str | None = None
    active: bool
    phone_area_code: str | None = None
    absent_since: datetime | None = None


class PlacePage(Contract):
    """Places by number."""

    places: list[Place]
    next_cursor: str | None = None
    freshness: Freshness


class CategoryDetail(Contract):
    """What only a category has."""

    plural: str | None = None
    opens_status_id: int | None = None
    """The status it opens."""


class StatusDetail(Contract):
    """What only a status has: how a name becomes an addressee line."""

    plural: str | None = None
    addressee_removed: str | None = None
    """The ending that is cut from the name, for example … BAŞKANLIĞI."""
    addressee_added: str | None = None
    """The ending that takes its place, for example … BAŞKANLIĞINA."""
    used: bool | None = None
    """Whether units have it."""


class CodeEntry(Contract):
    """One code; of ``category``, ``status`` and ``place`` the one of its kind is filled."""

    code_id: int
    """What units point to."""
    label: str | None = None
    parent_id: int | None = None
    active: bool
    absent_since: datetime | None = None
    category: CategoryDetail | None = None
    status: StatusDetail | None = None
    place: Place | None = None


class CodePage(Contract):
    """Codes of one kind by number."""

    kind: CodeKind
    codes: list[CodeEntry]
    next_cursor: str | None = None
    freshness: Freshness


class MainInstitution(Contract):
    """One main institution, with what only main institutions have."""

    detsis_no: int
    name: str
    active: bool
    operating: bool
    external_addressee: bool
    sendable: bool
    """active ∧ operating ∧ external addressee ∧ an active KEP address."""
    budget_type_id: int | None = None
    """None when DETSİS lists no budget for it."""
    budget_type: str | None = None
    legal_person_id: int | None = None
    legal_person: str | None = None


class MainInstitutionPage(Contract):
    """Main institutions by name."""

    institutions: list[MainInstitution]
    next_cursor: str | None = None
    freshness: Freshness
