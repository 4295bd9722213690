"""Encryption certificates and EYP versions as the mirror holds them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.directory.correspondence import CertificateHolder
from shared.contracts.directory.freshness import Freshness
from shared.contracts.directory.sources import AnswerSource


class CertificateRefusal(StrEnum):
    """Why a certificate is not used, whatever its chain is worth."""

    ABSENT = "absent"
    """DETSİS lists it no longer."""
    UNREADABLE = "unreadable"
    INACTIVE = "inactive"
    """DETSİS lists it as not active."""
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"


class UnitCertificate(Contract):
    """One encryption certificate that serves a unit."""

    sha256: str
    """Hexadecimal, of the DER."""
    der_base64: str = Field(repr=False)
    holder: CertificateHolder
    holder_no: int
    """The institution it was uploaded for: the unit itself, or the one whose certificate serves it."""
    subject: str | None = None
    issuer: str | None = None
    serial: str | None = None
    """Hexadecimal."""
    not_before: datetime | None = None
    not_after: datetime | None = None
    active: bool
    stated_expiry: str | None = None
    """Text of DETSİS, of unknown form. What counts is ``not_after``."""
    registered_at: datetime | None = None
    updated_at: datetime | None = None
    absent_since: datetime | None = None
    unreadable: str | None = None
    """Why it could not be read as a certificate."""
    expires_soon: bool = False
    """Within ``KEPGW_DETSIS_SYNC_CERTIFICATE_WARNING_DAYS``."""
    refusal: CertificateRefusal | None = None
    """None: it may be used if its chain and its revocation are found good."""


class UnitCertificates(Contract):
    """The certificates of one unit and of the institution whose certificate serves it, in order of preference.

    Those without ``refusal`` come first: the unit's own before its owner's, newest first.
    """

    detsis_no: int
    owner_no: int | None = None
    """Whose certificate serves the unit, if DETSİS names one."""
    certificates: list[UnitCertificate]
    freshness: Freshness


class EypVersion(Contract):
    """One version of the e-Yazışma package."""

    version: str
    absent_since: datetime | None = None
    """Since when the institution is known not to name it any more."""


class UnitEypVersions(Contract):
    """Which e-Yazışma package versions an institution takes, as it last answered."""

    detsis_no: int
    answered_for: int | None = None
    """Whose versions these are: the unit's own, else its main institution's; None when neither is known."""
    versions: list[EypVersion]
    checked_at: datetime | None = None
    """When DETSİS was last asked; None: never."""
    wanted: bool = False
    """DETSİS said that they changed, and they are asked for in one of the next nights."""
    source: AnswerSource
    freshness: Freshness
