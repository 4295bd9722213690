"""What the gateway answers about a unit's encryption certificates: detsis_sync's rows with signer's verdicts."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.directory import CertificateHolder, DirectoryWarning, Freshness
from shared.contracts.directory.certificates import UnitCertificate
from shared.contracts.signatures import CertificateVerdict


class CheckedCertificate(UnitCertificate):
    """One certificate, with what signer found."""

    check: CertificateVerdict | None = None
    """Chain and revocation; None: not looked at, because it is not used anyway or signer did not answer."""


class ChoiceRule(StrEnum):
    """Why a certificate is the one to encrypt with."""

    OWN = "own-newest"
    """The newest of the unit's own that may be used."""
    OWNER = "owner-newest"
    """The unit has none of its own that may be used: the newest of its certificate owner's."""


class ChosenCertificate(Contract):
    """The certificate to encrypt with."""

    sha256: str
    holder: CertificateHolder
    holder_no: int
    rule: ChoiceRule
    established: bool
    """Its chain and revocation were found good just now. False: that is open, and ``warnings`` says why."""


class UnitCertificatesAnswer(Contract):
    """The certificates that serve a unit, in order of preference, and the one to encrypt with."""

    detsis_no: int
    owner_no: int | None = None
    """Whose certificate serves the unit, if DETSİS names one."""
    certificates: list[CheckedCertificate]
    chosen: ChosenCertificate | None = None
    warnings: list[DirectoryWarning] = Field(default_factory=list)
    freshness: Freshness
