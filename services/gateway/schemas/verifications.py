"""What is said about verifications of signatures, certificates and time-stamps."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from services.gateway.schemas.text import Body, DetsisNo, Line, Moment
from shared.contracts.signatures import (
    MOST_CERTIFICATES,
    CertificatePurpose,
    Maturity,
    Profile,
    SignatureFormat,
    VerificationReport,
)
from shared.domain.verdict import Conclusion, Indication, SubIndication
from shared.errors import ErrorCode

MOST_FILES = 50
"""In one batch."""


class VerificationState(StrEnum):
    """How far a kept verification is."""

    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    """signer finds nothing in the file that it could judge; ``problem`` says why."""
    ERASED = "erased"
    """File and report were deleted after the time of retention; digests and verdicts stay."""


class VerificationOptions(Body):
    """The plain fields of a verification form."""

    format: SignatureFormat = SignatureFormat.AUTO
    profile: Profile = Profile.QUALIFIED_SIGNATURE
    moment: Moment | None = None
    offline: bool = False
    keep: bool = False
    institution: DetsisNo | None = None
    client_ref: Annotated[Line, Field(min_length=1, max_length=200)] | None = None


class VerifiedFile(Body):
    """Bytes that were handed over, by digest."""

    sha256: str
    size: int


class VerdictEntry(Body):
    """One verdict of the history."""

    sequence: int
    at: datetime
    conclusion: Conclusion
    indication: Indication
    sub_indication: SubIndication | None
    maturity: Maturity
    final_after: datetime | None
    report_sha256: str
    """Of the report then, as `/report` hands it out."""


class VerificationProblem(Body):
    """Why there is no verdict."""

    code: ErrorCode
    detail: str


class SignatureVerificationAnswer(Body):
    """A verification that is kept."""

    verification_id: UUID
    institution_no: int
    state: VerificationState
    client_ref: str | None
    file: VerifiedFile
    content: VerifiedFile | None
    """What a detached signature covers, when it was given."""
    report: VerificationReport | None
    report_sha256: str | None
    problem: VerificationProblem | None
    verdicts: list[VerdictEntry]
    """Every verdict so far, oldest first."""
    next_look_at: datetime | None
    """When it is verified again by itself: a preliminary verdict after its grace period, an open one when a missing
    source may answer. Null: it is settled, or was looked at often enough."""
    created_at: datetime
    updated_at: datetime
    erased_at: datetime | None


class BatchEntry(Body):
    """What became of one file of a batch: a report, or the problem it alone had."""

    name: str
    """Of the part: ``file1`` …"""
    sha256: str
    report: VerificationReport | None
    problem: VerificationProblem | None


class BatchAnswer(Body):
    """One entry for each file, in the order of their numbers."""

    entries: list[BatchEntry]


class CertificateVerificationBody(Body):
    """Certificates to be judged by themselves."""

    purpose: CertificatePurpose = CertificatePurpose.ENCRYPTION
    certificates: list[Annotated[str, Field(min_length=1, max_length=100_000)]] = Field(
        min_length=1, max_length=MOST_CERTIFICATES
    )
    """Each one as PEM, or its DER in base64."""
