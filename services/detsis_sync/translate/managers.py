"""Managers: from wire rows to typed rows."""

from __future__ import annotations

from services.detsis_sync.rows import ManagerRow
from services.detsis_sync.soap.wire import WireManager
from services.detsis_sync.translate.texts import boolean, day, integer, other_number, plain


def manager_row(entry: WireManager) -> ManagerRow:
    """Translate one manager in one post. Raises ``WireRowError``."""
    return ManagerRow(
        post_id=integer("post_id", entry.post),
        unit_name=plain("unit_name", entry.unit_name),
        manager_code=integer("manager_code", entry.manager_code),
        name=plain("name", entry.name),
        title=plain("title", entry.title),
        legal_basis=plain("legal_basis", entry.legal_basis),
        kind_of_post=plain("kind_of_post", entry.kind_of_post),
        from_day=day("from_day", entry.start),
        to_day=day("to_day", entry.end),
        active=boolean("active", entry.active),
        path_text=plain("path_text", entry.path),
        parent_no=other_number((entry.parent or "").strip()),
    )
