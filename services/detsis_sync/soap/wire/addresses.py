"""KEP addresses and UETS numbers on the wire."""

from __future__ import annotations

from dataclasses import dataclass

from services.detsis_sync.soap.wire.rows import RowShape


@dataclass(slots=True)
class WireKepAddress:
    """One KEP address of one unit, as text."""

    number: str | None = None
    address: str | None = None
    active: str | None = None
    status: str | None = None


@dataclass(slots=True)
class WireUetsNumber:
    """One UETS number, as text."""

    uets_number: str | None


KEP_ADDRESS = RowShape("KepBilgileriWs", WireKepAddress, ("KurumDetsisNo", "KepAdresi", "Aktifmi", "Durum"))
KEP_ADDRESS_LIST = KEP_ADDRESS.contract
UETS_NUMBER = RowShape("TebligatNumarasiWs", WireUetsNumber, ("TebligatNo",))
