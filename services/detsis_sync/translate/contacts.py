"""Contacts and officers: from wire rows to typed rows."""

from __future__ import annotations

from services.detsis_sync.rows import ContactRow, OfficerRow
from services.detsis_sync.soap.wire import WireContact, WireOfficer, WireRowError
from services.detsis_sync.translate.texts import integer, number, plain, required


def contact_row(entry: WireContact) -> ContactRow:
    """Translate one contact. Raises ``WireRowError``, also for one that says nothing."""
    return ContactRow(
        detsis_no=number("detsis_no", entry.number),
        kind=integer("kind", entry.kind),
        value=required("value", entry.value),
        label=plain("label", entry.label),
    )


def officer_row(entry: WireOfficer) -> OfficerRow:
    """Translate one officer. Raises ``WireRowError``, also for one nothing is said about."""
    if not any((entry.given_name, entry.surname, entry.phone, entry.email)):
        raise WireRowError("officer", "empty")
    return OfficerRow(
        given_name=plain("given_name", entry.given_name),
        surname=plain("surname", entry.surname),
        phone=plain("phone", entry.phone),
        email=plain("email", entry.email),
        role=plain("role", entry.role),
    )
