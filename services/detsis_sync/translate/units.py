"""Units, former numbers and budget types: from wire rows to typed rows."""

from __future__ import annotations

from services.detsis_sync.rows import BudgetRow, FormerNumberRow, UnitKind, UnitRow
from services.detsis_sync.soap.wire import WireBudget, WireFormerNumber, WireUnit
from services.detsis_sync.translate.texts import boolean, flag_and_text, integer, number, other_number, plain, required


def unit_row(unit: WireUnit) -> UnitRow:
    """Translate one unit. Raises ``WireRowError`` when its number or a required field is not what the contract says.

    An active flag that is not understood makes the unit inactive and keeps the text for the alert.
    """
    active, active_text = flag_and_text(unit.active)
    return UnitRow(
        detsis_no=number("detsis_no", unit.number),
        name=plain("name", unit.name) or "",
        parent_no=other_number(unit.parent),
        second_parent_no=other_number(unit.second_parent),
        main_institution_no=other_number(unit.main_institution),
        category_id=integer("category_id", unit.category),
        status_id=integer("status_id", unit.status),
        kinds=_kinds(unit.kinds) if unit.kinds else (),
        place_id=integer("place_id", unit.place) if unit.place else None,
        place_name=plain("place_name", unit.place_name),
        postal_address=plain("postal_address", unit.postal_address),
        path_text=plain("path_text", unit.path),
        level=integer("level", unit.level),
        active=active,
        active_text=active_text,
        operating=boolean("operating", unit.operating),
        external_addressee=boolean("external_addressee", unit.external_addressee),
    )


def former_number_row(entry: WireFormerNumber) -> FormerNumberRow:
    """Translate one former number. Raises ``WireRowError`` when one of the two numbers is none."""
    active, active_text = flag_and_text(entry.active)
    return FormerNumberRow(
        detsis_no=number("detsis_no", entry.number),
        name=plain("name", entry.name),
        former_number=required("former_number", entry.former_number),
        main_institution_no=other_number(entry.main_institution),
        active=active,
        active_text=active_text,
    )


def budget_row(entry: WireBudget) -> BudgetRow:
    """Translate one main institution's budget type. Raises ``WireRowError``."""
    return BudgetRow(
        detsis_no=number("detsis_no", entry.number),
        name=plain("name", entry.name),
        budget_type_id=integer("budget_type_id", entry.budget_type_id),
        budget_type=plain("budget_type", entry.budget_type),
        legal_person_id=integer("legal_person_id", entry.legal_person_id),
        legal_person=plain("legal_person", entry.legal_person),
    )


def _kinds(pairs: tuple[tuple[str | None, str | None], ...]) -> tuple[UnitKind, ...]:
    kinds = (UnitKind(integer("kinds", kind), plain("kinds", label)) for kind, label in pairs)
    return tuple(sorted(kinds, key=lambda kind: (kind.kind_id, kind.label or "")))
