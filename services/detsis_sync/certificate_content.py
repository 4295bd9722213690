"""What a certificate says about itself, for the mirror. Whether it may be believed is signer's business."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

_LONGEST_NAME = 1000
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class CertificateContent:
    """Everything None but ``unreadable`` where the bytes are no certificate."""

    not_before: datetime | None = None
    """Aware, in UTC."""
    not_after: datetime | None = None
    """Aware, in UTC."""
    subject: str | None = None
    """RFC 4514."""
    issuer: str | None = None
    """RFC 4514."""
    serial: str | None = None
    """Hexadecimal."""
    unreadable: str | None = None
    """Why the bytes are no certificate."""


def read_certificate(der: bytes) -> CertificateContent:
    """Read one certificate; bytes that are none give a reason, never an exception."""
    try:
        found = x509.load_der_x509_certificate(der)
        return CertificateContent(
            not_before=found.not_valid_before_utc,
            not_after=found.not_valid_after_utc,
            subject=_name(found.subject),
            issuer=_name(found.issuer),
            serial=f"{found.serial_number:x}",
        )
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        return CertificateContent(unreadable=_bounded(f"not a certificate: {error}")[:200])


def _name(name: x509.Name) -> str:
    return _bounded(name.rfc4514_string())


def _bounded(text: str) -> str:
    """Without control characters, which whoever made the certificate may have put in."""
    return _CONTROLS.sub(" ", text)[:_LONGEST_NAME]
