"""Units as typed rows."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.identifiers import DetsisNumber


@dataclass(frozen=True, slots=True)
class UnitKind:
    """One kind (school, hospital, …) of a unit; a unit has none, one or several."""

    kind_id: int
    label: str | None


@dataclass(frozen=True, slots=True)
class UnitRow:
    """One unit of the register. Texts are trimmed, with single spaces; empty text is None."""

    detsis_no: DetsisNumber
    name: str
    parent_no: DetsisNumber | None
    """May name a unit outside the list: normal at the borders of a set."""
    second_parent_no: DetsisNumber | None
    main_institution_no: DetsisNumber | None
    category_id: int
    status_id: int
    kinds: tuple[UnitKind, ...]
    """Sorted by ``kind_id``."""
    place_id: int | None
    place_name: str | None
    postal_address: str | None
    path_text: str | None
    """Display text; it can disagree with the parents and is no key."""
    level: int
    active: bool
    """False as well when the text on the wire was not understood (then ``active_text`` is set)."""
    active_text: str | None
    """The text of the active flag when it was not understood, else None. Such a unit must raise an alert."""
    operating: bool
    external_addressee: bool

    @property
    def open_to_letters(self) -> bool:
        """Active, operating and an addressee from outside; a KEP address is needed besides."""
        return self.active and self.operating and self.external_addressee


@dataclass(frozen=True, slots=True)
class FormerNumberRow:
    """One number of the older register (kütük) and the unit that has it now."""

    detsis_no: DetsisNumber
    name: str | None
    former_number: str
    main_institution_no: DetsisNumber | None
    active: bool
    """False as well when the text on the wire was not understood (then ``active_text`` is set)."""
    active_text: str | None


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """Budget type and legal person of one main institution."""

    detsis_no: DetsisNumber
    name: str | None
    budget_type_id: int
    budget_type: str | None
    legal_person_id: int
    legal_person: str | None
