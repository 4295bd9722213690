"""Contacts and officers on the wire."""

from __future__ import annotations

from dataclasses import dataclass

from services.detsis_sync.soap.wire.rows import RowShape


@dataclass(slots=True)
class WireContact:
    """One contact of one unit, as text."""

    number: str | None
    kind: str | None
    value: str | None
    label: str | None


@dataclass(slots=True)
class WireOfficer:
    """One officer who keeps the institution's records, as text."""

    given_name: str | None
    surname: str | None
    phone: str | None
    email: str | None
    role: str | None


CONTACT = RowShape("IletisimBilgileriWS", WireContact, ("DetsisNo", "IletisimTip", "Iletisim", "IletisimAdi"))
CONTACT_LIST = CONTACT.contract
OWN_CONTACT = RowShape(
    "KurumBirimIletisim",
    WireContact,
    # the same name as above, and here it is the label
    ("KurumBirimId", "IletisimTipId", "IletisimBilgisi", "IletisimTip"),
    unread=("KurumBirimAdi", "KurumBirimHiyerarsi"),
)
OWN_CONTACT_LIST = OWN_CONTACT.contract
OFFICER = RowShape("DetsisKullanici", WireOfficer, ("Adi", "Soyadi", "Telefon", "Email", "Yetkisi"))
