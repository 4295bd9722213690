"""A package at any step, made again from its inputs (record 0020). Pure but for the files it is given to read.

Everything here digests files: call it in a thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from services.gateway.drafts.translation import change_of, final_of, metadata_of, party_of
from services.gateway.schemas.drafts import FinalMetadataBody, PackageUpdateBody, SigningStep, ToBeSigned
from services.gateway.schemas.letters import LetterMetadata, OrganisationParty
from shared.errors import DomainError, ErrorCode
from shared.eyp import (
    AnnexKind,
    FinishedPackage,
    FinishedUpdate,
    OlderDraft,
    OlderSigned,
    OlderUnsealed,
    PackageDraft,
    PartSource,
    SignedPackage,
    UnsealedPackage,
    UnsealedUpdate,
)

OLDER_VERSION = "1.3"
COVER_LETTER, ORIGINAL, ANNEX_PREFIX = "cover-letter", "original", "annex:"

Started: TypeAlias = PackageDraft | OlderDraft
Signed: TypeAlias = SignedPackage | OlderSigned
Unsealed: TypeAlias = UnsealedPackage | OlderUnsealed | UnsealedUpdate
Finished: TypeAlias = FinishedPackage | FinishedUpdate


@dataclass(frozen=True)
class UpdateOrder:
    """What an update package says, and who says it."""

    body: PackageUpdateBody
    originator: OrganisationParty


@dataclass(frozen=True)
class Inputs:
    """All a package is made from."""

    package_id: UUID
    version: str
    request: LetterMetadata | UpdateOrder
    files: Mapping[str, PartSource] = field(default_factory=dict)
    """Cover letter, annexes and original by name, as far as they are there."""
    initials: bytes | None = None
    signature: bytes | None = None
    final: FinalMetadataBody | None = None
    created: datetime | None = None

    @property
    def older(self) -> bool:
        """Whether it is a letter of 1.3, where nobody initials."""
        return self.version == OLDER_VERSION


def annex_file(annex_id: UUID) -> str:
    """The name an annex's file is kept under."""
    return f"{ANNEX_PREFIX}{str(annex_id).upper()}"


def wanted_files(request: LetterMetadata | UpdateOrder) -> tuple[str, ...]:
    """The files a package needs, by name. An annex that nobody gets needs none."""
    if isinstance(request, UpdateOrder):
        return (ORIGINAL,)
    withheld = [set(item.withheld_annexes) for item in request.distributions]
    nobody_gets = set.intersection(*withheld) if withheld else set()
    annexes = (item.id for item in request.annexes if item.kind is AnnexKind.FILE)
    return (COVER_LETTER, *(annex_file(item) for item in annexes if item is not None and item not in nobody_gets))


def uploaded_files(request: LetterMetadata | UpdateOrder) -> frozenset[str]:
    """The files that can be put in, by name."""
    if isinstance(request, UpdateOrder):
        return frozenset()
    annexes = (item.id for item in request.annexes if item.kind is AnnexKind.FILE)
    return frozenset({COVER_LETTER, *(annex_file(item) for item in annexes if item is not None)})


def check_letter(letter: LetterMetadata, version: str) -> None:
    """Raise VALIDATION_FAILED, with the rules broken, for metadata no package can be written with.

    The files may still be missing: what they hold breaks no rule here.
    """
    empty: dict[str, PartSource] = dict.fromkeys(wanted_files(letter), b"")
    started(Inputs(UUID(int=0), version, letter, empty))


def started(inputs: Inputs) -> Started:
    """The unsigned letter, with its initials if it has any. Raises VALIDATION_FAILED."""
    letter = _letter(inputs)
    metadata = metadata_of(letter)
    annexes = {
        name.removeprefix(ANNEX_PREFIX): source
        for name, source in inputs.files.items()
        if name.startswith(ANNEX_PREFIX)
    }
    cover = inputs.files[COVER_LETTER]
    if inputs.older:
        return OlderDraft.create(metadata, cover_letter=cover, annex_files=annexes)
    draft = PackageDraft.create(metadata, cover_letter=cover, annex_files=annexes)
    return draft if inputs.initials is None else draft.with_initials(inputs.initials)


def with_initials(inputs: Inputs, cms: bytes) -> None:
    """Raise SIGNATURE_INVALID unless ``cms`` can be the letter's initials, earlier ones included."""
    draft = started(inputs)
    if isinstance(draft, OlderDraft):
        raise DomainError(ErrorCode.STATE_CONFLICT, "nobody initials a package of 1.3")
    draft.with_initials(cms)


def signed(inputs: Inputs) -> Signed:
    """The letter with its signature."""
    assert inputs.signature is not None
    return started(inputs).with_signature(inputs.signature)


def with_signature(inputs: Inputs, cms: bytes) -> None:
    """Raise SIGNATURE_INVALID unless ``cms`` can be the letter's signature, earlier signers included."""
    if inputs.signature is None:
        started(inputs).with_signature(cms)
    else:
        signed(inputs).with_further_signature(cms)


def unsealed(inputs: Inputs) -> Unsealed:
    """Complete but for the seal. Raises VALIDATION_FAILED for final metadata or an update the rules forbid."""
    assert inputs.created is not None
    if isinstance(inputs.request, UpdateOrder):
        return UnsealedUpdate.create(
            inputs.files[ORIGINAL],
            change_of(inputs.request.body),
            package_id=inputs.package_id,
            created=inputs.created,
            originator=party_of(inputs.request.originator),
            subject=inputs.request.body.subject,
        )
    assert inputs.final is not None
    letter = signed(inputs)
    final = final_of(inputs.final)
    if isinstance(letter, OlderSigned):
        stated = (letter.metadata.document_no, letter.metadata.date)
        if (final.document_no or stated[0], final.date or stated[1]) != stated:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "number and date of a 1.3 package are signed already")
        return letter.with_signatories(final.signatories, created=inputs.created)
    return letter.with_final_metadata(final, created=inputs.created, version=inputs.version)


def finished(inputs: Inputs, seal: bytes) -> Finished:
    """The sealed package. Raises SIGNATURE_INVALID for a seal over other bytes."""
    return unsealed(inputs).with_seal(seal)


def to_be_signed(inputs: Inputs, step: SigningStep) -> bytes:
    """The exact bytes to be signed in a step that is open."""
    if step is SigningStep.SEAL:
        return unsealed(inputs).seal_to_be_signed()
    letter = started(inputs)
    if step is SigningStep.SIGNATURE:
        return letter.digest_to_be_signed()
    if isinstance(letter, OlderDraft):
        raise DomainError(ErrorCode.STATE_CONFLICT, "nobody initials a package of 1.3")
    return letter.initials_to_be_signed()


def described(step: SigningStep, content: bytes) -> ToBeSigned:
    """Those bytes by their digests."""
    return ToBeSigned(
        step=step,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        sha384=hashlib.sha384(content).hexdigest(),
        sha512=hashlib.sha512(content).hexdigest(),
    )


def _letter(inputs: Inputs) -> LetterMetadata:
    if isinstance(inputs.request, UpdateOrder):
        raise DomainError(ErrorCode.STATE_CONFLICT, "an update package has a seal and no other signature")
    return inputs.request
