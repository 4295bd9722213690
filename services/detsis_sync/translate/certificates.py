"""Encryption certificates, their owners and EYP versions: from wire rows to typed rows."""

from __future__ import annotations

import hashlib

from services.detsis_sync.rows import CertificateOwnerRow, CertificateRow
from services.detsis_sync.soap.wire import WireCertificate, WireCertificateOwner, WireEypVersion
from services.detsis_sync.translate.texts import boolean, certificate, moment, number, plain, required
from shared.domain.identifiers import DetsisNumber, Sha256


def certificate_row(entry: WireCertificate) -> CertificateRow:
    """Translate one certificate. Raises ``WireRowError``, also for one that is missing, too long or not base64."""
    der = certificate("der", entry.encoded)
    return CertificateRow(
        detsis_no=number("detsis_no", entry.number),
        der=der,
        sha256=Sha256(hashlib.sha256(der).hexdigest()),
        registered_at=moment("registered_at", entry.registered_at),
        updated_at=moment("updated_at", entry.updated_at),
        active=boolean("active", entry.active),
        stated_expiry=plain("stated_expiry", entry.stated_expiry),
    )


def certificate_owner_row(entry: WireCertificateOwner) -> CertificateOwnerRow:
    """Translate one ownership. Raises ``WireRowError`` when one of the two numbers is none."""
    return CertificateOwnerRow(unit_no=number("unit_no", entry.unit), owner_no=number("owner_no", entry.owner))


def eyp_version(entry: WireEypVersion) -> str:
    """The version as text. Raises ``WireRowError`` when there is none."""
    return required("version", entry.version)


def changed_institution(text: str | None) -> DetsisNumber:
    """One number of the list of changes. Raises ``WireRowError``."""
    return number("detsis_no", text)
