"""Encryption certificates and their owners as typed rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.identifiers import DetsisNumber, Sha256


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """One encryption certificate of one institution. Several in a renewal: the newest valid one counts.

    The bytes are no more than decoded: whether they are a certificate is for who uses it to check.
    """

    detsis_no: DetsisNumber
    der: bytes = field(repr=False)
    sha256: Sha256
    """Of ``der``: with ``detsis_no`` the only key there is."""
    registered_at: datetime | None
    """Aware, in UTC."""
    updated_at: datetime | None
    """Aware, in UTC."""
    active: bool
    stated_expiry: str | None
    """Text of unknown form, for people. What counts is the end of validity inside the certificate."""


@dataclass(frozen=True, slots=True)
class CertificateOwnerRow:
    """Whose certificate serves a unit."""

    unit_no: DetsisNumber
    owner_no: DetsisNumber
