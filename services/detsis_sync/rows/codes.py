"""Code lists, places and the file plan as typed rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One category or one status. What only the other kind of list has is None."""

    code_id: int
    label: str | None
    plural: str | None
    parent_id: int | None
    active: bool
    opens_status_id: int | None
    """Of a category: the status it opens."""
    addressee_removed: str | None
    """Of a status: the ending that is cut from the name in the addressee line."""
    addressee_added: str | None
    """Of a status: the ending that takes its place."""
    used: bool | None
    """Of a status: whether units have it."""


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """One province, district or other place."""

    place_id: int
    """What units point to."""
    name: str | None
    place_code: int
    """What a search by place wants."""
    province_code: int
    province_name: str | None
    kind_id: int
    kind: str | None
    active: bool
    phone_area_code: str | None


@dataclass(frozen=True, slots=True)
class FilePlanRow:
    """One entry of an institution's file plan (Standart Dosya Planı)."""

    code_id: int
    code: str | None
    """As it stands in a letter's reference, for example 010.06.02."""
    title: str | None
    main_code: str | None
    sub_codes: tuple[str, ...]
    """Up to three, from the top."""
    retention_years_text: str | None
    """How long, as DETSİS words it; not always a number."""
    retention_phase_text: str | None
    """When the time runs, as DETSİS words it."""
    retention_code: str | None
    footnote: str | None
    explanation: str | None
    type_flag: bool
    """Unpublished meaning: kept as it is."""
    group_start: str | None
    group_end: str | None
    level: str | None
    active: bool
