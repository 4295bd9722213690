"""Code lists, places and the file plan: from wire rows to typed rows."""

from __future__ import annotations

from services.detsis_sync.rows import CodeRow, FilePlanRow, PlaceRow
from services.detsis_sync.soap.wire import WireCategory, WireFilePlanEntry, WirePlace, WireStatus
from services.detsis_sync.translate.texts import boolean, identifier, integer, plain


def category_row(entry: WireCategory) -> CodeRow:
    """Translate one category. Raises ``WireRowError``."""
    return CodeRow(
        code_id=integer("code_id", entry.code),
        label=plain("label", entry.label),
        plural=plain("plural", entry.plural),
        parent_id=identifier("parent_id", entry.parent),
        active=boolean("active", entry.active),
        opens_status_id=identifier("opens_status_id", entry.opens_status),
        addressee_removed=None,
        addressee_added=None,
        used=None,
    )


def status_row(entry: WireStatus) -> CodeRow:
    """Translate one status. Raises ``WireRowError``."""
    return CodeRow(
        code_id=integer("code_id", entry.code),
        label=plain("label", entry.label),
        plural=plain("plural", entry.plural),
        parent_id=identifier("parent_id", entry.parent),
        active=boolean("active", entry.active),
        opens_status_id=None,
        addressee_removed=plain("addressee_removed", entry.addressee_removed),
        addressee_added=plain("addressee_added", entry.addressee_added),
        used=boolean("used", entry.used),
    )


def place_row(entry: WirePlace) -> PlaceRow:
    """Translate one place. Raises ``WireRowError``."""
    return PlaceRow(
        place_id=integer("place_id", entry.place),
        name=plain("name", entry.name),
        place_code=integer("place_code", entry.place_code),
        province_code=integer("province_code", entry.province_code),
        province_name=plain("province_name", entry.province_name),
        kind_id=integer("kind_id", entry.kind_id),
        kind=plain("kind", entry.kind),
        active=boolean("active", entry.active),
        phone_area_code=plain("phone_area_code", entry.phone_area_code),
    )


def file_plan_row(entry: WireFilePlanEntry) -> FilePlanRow:
    """Translate one entry of a file plan. Raises ``WireRowError``."""
    parts = (plain("sub_codes", part) for part in (entry.first_part, entry.second_part, entry.third_part))
    return FilePlanRow(
        code_id=integer("code_id", entry.entry),
        code=plain("code", entry.code),
        title=plain("title", entry.title),
        main_code=plain("main_code", entry.main_code),
        sub_codes=tuple(part for part in parts if part is not None),
        retention_years_text=plain("retention_years_text", entry.retention_years),
        retention_phase_text=plain("retention_phase_text", entry.retention_phase),
        retention_code=plain("retention_code", entry.retention_code),
        footnote=plain("footnote", entry.footnote),
        explanation=plain("explanation", entry.explanation),
        type_flag=boolean("type_flag", entry.type_flag),
        group_start=plain("group_start", entry.group_start),
        group_end=plain("group_end", entry.group_end),
        level=plain("level", entry.level),
        active=boolean("active", entry.active),
    )
