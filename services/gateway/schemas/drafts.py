"""Packages under way: what a client sends to write one, and what it is told."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from services.gateway.schemas.correspondence import CorrespondenceBody
from services.gateway.schemas.letters import LetterMetadata, LetterSignature, Short, Text
from services.gateway.schemas.text import Body, Line, Moment, StrictDetsisNo
from shared.contracts.base import Contract
from shared.contracts.inbound import PackageFinding
from shared.contracts.signatures import VerificationReport
from shared.domain.verdict import Conclusion
from shared.eyp import SecurityCode


class DraftKind(StrEnum):
    """A letter, or an update of a letter's degree."""

    LETTER = "letter"
    UPDATE = "update"


class DraftState(StrEnum):
    """How far a package is; it only ever goes on."""

    DRAFT = "draft"
    """Metadata and files can change."""
    INITIALLED = "initialled"
    SIGNED = "signed"
    UNSEALED = "unsealed"
    """Complete but for the institution's seal."""
    FINISHED = "finished"
    DISCARDED = "discarded"


class SigningStep(StrEnum):
    """What is signed outside or by the gateway."""

    INITIALS = "initials"
    SIGNATURE = "signature"
    SEAL = "seal"


class NextStep(StrEnum):
    """What a package waits for, or may get."""

    COVER_LETTER = "cover-letter"
    ANNEX_CONTENT = "annex-content"
    INITIALS = "initials"
    SIGNATURE = "signature"
    FINAL_METADATA = "final-metadata"
    SEAL = "seal"


class PackageBody(Body):
    """Begin a package."""

    institution_no: StrictDetsisNo | None = None
    """The sending institution; may be left out when the API key is bound to one only."""
    version: Literal["auto", "2.0", "2.1", "1.3"] = "auto"
    """``auto``: the highest one that every recipient reads by the directory, 2.0 where that is not known."""
    metadata: LetterMetadata
    correspondence: CorrespondenceBody | None = None
    """Ask for the data of the letter (EK-3/4) and fill what ``metadata`` leaves empty with it."""


class MetadataBody(Body):
    """Replace what a package says, before anybody has initialled or signed it."""

    metadata: LetterMetadata
    correspondence: CorrespondenceBody | None = None
    """As when the package was begun."""


class FinalMetadataBody(Body):
    """What is known once the letter is signed."""

    document_no: Short | None = None
    """Required in 2.x; in 1.3 it stands in the metadata already."""
    date: Moment | None = None
    """Required in 2.x; in 1.3 it stands in the metadata already."""
    signatories: list[LetterSignature] = Field(min_length=1, max_length=50)


class SealBody(Body):
    """With which key the gateway is to seal."""

    key_id: Short | None = None
    """Needed when the institution has several keys for sealing."""


class PackageUpdateBody(Body):
    """The part ``message`` of ``POST /v1/package-updates`` (eyp.md 7)."""

    institution_no: StrictDetsisNo | None = None
    """May be left out when the API key is bound to one institution only."""
    subject: Annotated[Line, Field(min_length=1, max_length=500)]
    new_degree: SecurityCode
    changed_at: Moment
    """When the commission's decision took effect."""
    explanation: Text
    decision_document_no: Short
    """Number of the commission's decision."""
    decision_document_id: UUID
    """Document id of the decision."""


class FilledValue(Contract):
    """A value the gateway took from the directory because the caller left it empty."""

    pointer: str
    value: str
    origin: str
    """``live``, ``mirror`` or ``stored``, as the data of a letter names it; ``gateway``: entered here by the operator."""
    rule: str
    as_of: datetime | None = None


class DraftFile(Contract):
    """A file the package needs."""

    name: str
    """``cover-letter``, ``annex`` or ``original``."""
    annex_id: UUID | None = None
    file_name: str | None = None
    media_type: str | None = None
    present: bool
    sha256: str | None = None
    size: int | None = None


class ToBeSigned(Contract):
    """The exact bytes to be signed now, by their digests."""

    step: SigningStep
    size: int
    sha256: str
    sha384: str
    sha512: str


class DraftSignature(Contract):
    """A signature file of the package, and what signer says of it."""

    step: SigningStep
    sha256: str
    conclusion: Conclusion | None = None
    """None: it could not be checked."""
    report: VerificationReport | None = None
    unavailable: str | None = None
    """Why there is no verdict: a problem code."""


class DraftEvent(Contract):
    """One thing that happened to a package."""

    sequence: int
    at: datetime
    client_id: str | None = None
    """None: the gateway itself."""
    kind: str
    state: DraftState
    sha256: str | None = None
    """Digest of what was put or made."""
    detail: dict[str, str] = Field(default_factory=dict)


class FinishedFile(Contract):
    """The finished package."""

    file_name: str
    sha256: str
    size: int


class PackageDraftSummary(Contract):
    """A package under way, in a list."""

    package_id: UUID
    institution_no: int
    kind: DraftKind
    state: DraftState
    version: str
    """Of the e-Yazışma package."""
    document_id: str
    subject: str
    created_at: datetime
    updated_at: datetime


class PackageDraftPage(Contract):
    """Packages, newest first."""

    packages: list[PackageDraftSummary]
    next_cursor: str | None = None


class PackageDraftAnswer(PackageDraftSummary):
    """Everything about a package under way."""

    version_reason: str
    """Why it is of that version."""
    files: list[DraftFile]
    next: list[NextStep]
    """What comes next. Missing files are all needed; of the others the first is, and further ones may come before it."""
    to_be_signed: list[ToBeSigned]
    signatures: list[DraftSignature]
    findings: list[PackageFinding]
    """What the strict inspection of the finished package found; nothing in it is fatal."""
    filled: list[FilledValue]
    package: FinishedFile | None = None
    history: list[DraftEvent]
