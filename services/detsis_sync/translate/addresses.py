"""KEP addresses and UETS numbers: from wire rows to typed rows."""

from __future__ import annotations

from services.detsis_sync.rows import KepAddressRow
from services.detsis_sync.soap.wire import WireKepAddress, WireUetsNumber
from services.detsis_sync.translate.texts import address, boolean, number, plain, required


def kep_address_row(entry: WireKepAddress) -> KepAddressRow:
    """Translate one address. Raises ``WireRowError`` when the number or the address is none."""
    return KepAddressRow(
        detsis_no=number("detsis_no", entry.number),
        address=address(entry.address),
        active=boolean("active", entry.active),
        status_text=plain("status_text", entry.status),
    )


def uets_number(entry: WireUetsNumber) -> str:
    """The number as text. Raises ``WireRowError`` when there is none."""
    return required("uets_number", entry.uets_number)
