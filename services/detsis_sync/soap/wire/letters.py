"""The correspondence package of one letter on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.detsis_sync.soap.wire.rows import RowShape


@dataclass(slots=True)
class WireRecipient:
    """One recipient of a correspondence package; the certificate is base64."""

    number: str | None
    addressee: str | None
    postal_address: str | None
    kep_address: str | None
    kep_kind: str | None
    encryption_certificate: str | None


@dataclass(slots=True)
class WireSignatory:
    """One manager of the chain."""

    manager_code: str | None
    given_name: str | None
    surname: str | None
    title: str | None
    acting_kind: str | None
    unit_number: str | None


@dataclass(slots=True)
class WirePackage:
    """One correspondence package."""

    letterhead: str | None
    number_unit: str | None
    addressee: str | None
    closing_phrase: str | None
    distribution: str | None
    postal_address: str | None
    phone: str | None
    fax: str | None
    email: str | None
    website: str | None
    recipients: tuple[WireRecipient, ...] = ()
    signatories: tuple[WireSignatory, ...] = ()


_PACKAGE_ELEMENTS = (
    "Antet",
    "RYSayiDetsisNo",
    "MuhatapAd",
    "ArzRica",
    "DagitimListesi",
    "GonderenAdresi",
    "GonderenTelefonNumarasi",
    "GonderenFaksNumarasi",
    "GonderenEPostaAdresi",
    "GonderenInternetSitesiAdresi",
)
"""In the order of the fields of ``WirePackage``."""
RECIPIENT = RowShape(
    "eYazismaMuhatapBilgileri",
    WireRecipient,
    ("KurumID", "MuhatapAd", "MuhatapAdresi", "MuhatapKepAdresi", "MuhatapKepTipi", "MuhatapSifrelemeSertifikasi"),
)
SIGNATORY = RowShape(
    "EyazismaImzaYetkilisi",
    WireSignatory,
    ("TCYoneticiKodu", "YoneticiAd", "YoneticiSoyad", "Unvan", "VekaletTuru", "DetsisNo"),
)


def package_from_reply(content: Any) -> WirePackage:
    """The correspondence package object."""
    package = WirePackage(*(content[element] for element in _PACKAGE_ELEMENTS))
    package.recipients = tuple(RECIPIENT.from_reply(content["MuhatapBilgi"]))
    package.signatories = tuple(SIGNATORY.from_reply(content["ImzaYetkilileri"]))
    return package
