"""Encryption certificates, their owners and EYP versions on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.detsis_sync.soap.wire.result import items
from services.detsis_sync.soap.wire.rows import RowShape


@dataclass(slots=True)
class WireCertificate:
    """One certificate of one institution; ``encoded`` is base64."""

    number: str | None
    encoded: str | None
    registered_at: str | None
    updated_at: str | None
    stated_expiry: str | None
    active: str | None


@dataclass(slots=True)
class WireCertificateOwner:
    """Whose certificate serves a unit, as text."""

    unit: str | None
    owner: str | None


@dataclass(slots=True)
class WireEypVersion:
    """One EYP version, as text."""

    version: str | None


CERTIFICATE = RowShape(
    "Sertifika",
    WireCertificate,
    ("DetsisId", "SertifikaDosya", "KayitTarihi", "SonGuncellemeTarihi", "GecerlilikTarihi", "Aktifmi"),
)
CERTIFICATE_LIST = CERTIFICATE.contract
CERTIFICATE_OWNER = RowShape(
    "EYazismaSertifikaSahipligi", WireCertificateOwner, ("KurumBirimId", "SertifikaSahibiKurumId")
)
CERTIFICATE_OWNER_LIST = CERTIFICATE_OWNER.contract
EYP_VERSION = RowShape("ElektronikYazismaVersiyon", WireEypVersion, ("Versiyon",))


def eyp_version_changes_from_reply(content: Any) -> list[str | None]:
    """The numbers of all institutions: the answer is a list of lists."""
    return [
        number
        for part in items(content, "YeniEYazismaVersiyonListe")
        for number in (part["DetsisIds"] or {"int": ()})["int"] or ()
    ]
