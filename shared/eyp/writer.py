"""Writing a 2.0 package, one immutable step per thing that must happen in order (eyp.md 3.3).

    draft = PackageDraft.create(metadata, cover_letter=pdf, annex_files={annex_id: file})
    signed = draft.with_signature(sign(draft.digest_to_be_signed()))
    unsealed = signed.with_final_metadata(final, created=moment)
    package = unsealed.with_seal(seal(unsealed.seal_to_be_signed()))
    package.write_to(file)

Signing happens elsewhere. Every step raises ``DomainError``: VALIDATION_FAILED for content the
rules forbid, SIGNATURE_INVALID for a CMS file made over other bytes. The same inputs give the same
package, byte for byte (with one version of zlib).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import BinaryIO, Self
from uuid import UUID

from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp.checks.annexes import check_annex_list, withheld_annexes
from shared.eyp.checks.content import check_final_metadata, check_metadata
from shared.eyp.checks.signatures import signed_content
from shared.eyp.digests import ALLOWED, DigestAlgorithm
from shared.eyp.findings import Finding, Profile, Severity
from shared.eyp.limits import DEFAULT_LIMITS
from shared.eyp.markup import parse
from shared.eyp.model import (
    Annex,
    AnnexKind,
    CoreProperties,
    FinalMetadata,
    Generation,
    ManifestKind,
    Metadata,
    PackageKind,
)
from shared.eyp.packaging import NewPart, PartSource, write_package
from shared.eyp.structure import check_structure
from shared.eyp.wire.core import creator_text, write_core
from shared.eyp.wire.manifests import write_manifest
from shared.eyp.wire.metadata_out import write_final_metadata, write_metadata
from shared.eyp.wire.names import (
    BINARY,
    CATEGORIES,
    CORE_CONTENT_TYPE,
    PACKAGE_CONTENT_TYPE,
    PLACES,
    Role,
    folded_file_name,
)

VERSION = "2.0"
_PRODUCER = "KepGateway/1"
_DEFAULT_ALGORITHMS = (DigestAlgorithm.SHA384, DigestAlgorithm.SHA512)
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
_WRITING = Profile(
    "writing",
    {
        "R.23.media-type": Severity.FATAL,
        "R.29.unit": Severity.FATAL,
        "R.30": Severity.FATAL,
        "R.34.retired": Severity.FATAL,
        "R.37.format": Severity.FATAL,
    },
)


@dataclass(frozen=True)
class _Parts:
    """The parts written so far and the algorithms their digests are taken with."""

    metadata: Metadata
    algorithms: tuple[DigestAlgorithm, ...]
    parts: tuple[NewPart, ...]

    def _part(self, role: Role, content: PartSource, name: str | None = None) -> NewPart:
        place = PLACES[role]
        return NewPart.create(
            role, name or place.name, place.content_type or BINARY, content, self.algorithms, place.relationship_id
        )

    def _manifest(self, kind: ManifestKind, roles: Iterable[Role]) -> bytes:
        order = list(roles)
        covered = sorted((part for part in self.parts if part.role in order), key=lambda part: order.index(part.role))
        return write_manifest(kind, self.metadata.document_id, [(part.name, part.digests) for part in covered])


@dataclass(frozen=True)
class PackageDraft(_Parts):
    """Cover letter, annexes and metadata; nothing signed yet, initials at most."""

    @classmethod
    def create(
        cls,
        metadata: Metadata,
        *,
        cover_letter: PartSource,
        annex_files: Mapping[str, PartSource] | None = None,
        algorithms: tuple[DigestAlgorithm, DigestAlgorithm] = _DEFAULT_ALGORITHMS,
    ) -> Self:
        """Fold names, check everything the rules say and digest the files.

        ``annex_files`` maps annex ids to the files of annexes of kind FILE. A source is bytes or a
        callable that opens the file anew (it is read once here and once when writing).
        """
        if len(set(algorithms)) != 2 or DigestAlgorithm.SHA512 not in algorithms:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "two digests are taken, one of them SHA-512")
        if not ALLOWED[Generation.V2].issuperset(algorithms):
            raise DomainError(ErrorCode.VALIDATION_FAILED, "a digest algorithm is not allowed in 2.x")
        metadata = _normalised(metadata)
        files = {annex_id.upper(): source for annex_id, source in (annex_files or {}).items()}
        document = _checked_document(metadata)
        _check_files(metadata, files)
        draft = cls(metadata, algorithms, ())
        cover_name = PLACES[Role.COVER_LETTER].name + metadata.cover_letter_file_name
        cover = draft._part(Role.COVER_LETTER, cover_letter, cover_name)
        parts = [
            replace(cover, content_type=metadata.media_type or BINARY),
            draft._part(Role.METADATA, document),
            *(_annex_part(annex, files[annex.id], algorithms) for annex in metadata.annexes if annex.id in files),
        ]
        return cls(metadata, algorithms, tuple(parts))

    def initials_to_be_signed(self) -> bytes:
        """The initials digest: what those who prepared the letter sign first, if they do."""
        return self._manifest(ManifestKind.INITIALS, (Role.METADATA, Role.COVER_LETTER, Role.ANNEX))

    def with_initials(self, cms: bytes) -> Self:
        """Add the initials: an attached CMS signature over ``initials_to_be_signed``."""
        manifest = self.initials_to_be_signed()
        _require_content(cms, manifest)
        added = (self._part(Role.INITIALS_DIGEST, manifest), self._part(Role.INITIALS, cms))
        return replace(self, parts=self.parts + added)

    def digest_to_be_signed(self) -> bytes:
        """The package digest: the exact bytes the letter's signature must carry as its content."""
        return self._manifest(
            ManifestKind.PACKAGE,
            (Role.METADATA, Role.COVER_LETTER, Role.INITIALS_DIGEST, Role.INITIALS, Role.ANNEX),
        )

    def with_signature(self, cms: bytes) -> SignedPackage:
        """Add the letter's signature: attached CMS (DER) over ``digest_to_be_signed``."""
        manifest = self.digest_to_be_signed()
        _require_content(cms, manifest)
        added = (self._part(Role.PACKAGE_DIGEST, manifest), self._part(Role.SIGNATURE, cms))
        return SignedPackage(self.metadata, self.algorithms, self.parts + added)


@dataclass(frozen=True)
class SignedPackage(_Parts):
    """Signed; number and date are now known."""

    def with_final_metadata(
        self, final: FinalMetadata, *, created: datetime, producer: str = _PRODUCER, core_id: UUID | None = None
    ) -> UnsealedPackage:
        """Add final metadata and core properties.

        ``created`` (aware) goes into the core properties and the ZIP's time fields. ``core_id``
        names the core properties part; by default the document id does.
        """
        findings = check_final_metadata(final)
        _refuse(findings)
        if self.metadata.originator is None:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "the letter has no originator")
        core = CoreProperties(
            identifier=self.metadata.document_id,
            subject=self.metadata.subject,
            creator=creator_text(self.metadata.originator),
            created=created,
            category=CATEGORIES[PackageKind.PLAIN],
            content_type=PACKAGE_CONTENT_TYPE,
            version=VERSION,
            revision=producer,
        )
        try:
            documents = write_final_metadata(final), write_core(core)
        except (ValueError, KeyError) as error:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "the final metadata cannot be written") from error
        core_hex = (core_id or UUID(self.metadata.document_id)).hex
        place = PLACES[Role.CORE]
        core_part = NewPart.create(
            Role.CORE,
            f"{place.name}{core_hex}.psmdcp",
            CORE_CONTENT_TYPE,
            documents[1],
            self.algorithms,
            place.relationship_id + core_hex[:16],
        )
        added = (self._part(Role.FINAL_METADATA, documents[0]), core_part)
        return UnsealedPackage(self.metadata, self.algorithms, self.parts + added, created)


@dataclass(frozen=True)
class UnsealedPackage(_Parts):
    """Complete but for the institution's seal."""

    created: datetime

    def seal_to_be_signed(self) -> bytes:
        """The final digest: the exact bytes the seal must carry as its content."""
        return self._manifest(
            ManifestKind.FINAL,
            (
                Role.METADATA,
                Role.COVER_LETTER,
                Role.INITIALS_DIGEST,
                Role.INITIALS,
                Role.PACKAGE_DIGEST,
                Role.SIGNATURE,
                Role.FINAL_METADATA,
                Role.ANNEX,
                Role.CORE,
            ),
        )

    def with_seal(self, cms: bytes) -> FinishedPackage:
        """Add the seal: attached CMS (DER) over ``seal_to_be_signed``."""
        manifest = self.seal_to_be_signed()
        _require_content(cms, manifest)
        added = (self._part(Role.FINAL_DIGEST, manifest), self._part(Role.SEAL, cms))
        return FinishedPackage(self.metadata, self.algorithms, self.parts + added, self.created)


@dataclass(frozen=True)
class FinishedPackage(_Parts):
    """A package that only has to be written."""

    created: datetime

    @property
    def file_name(self) -> str:
        """The name the file must have."""
        return f"{self.metadata.document_id}.eyp"

    def write_to(self, file: BinaryIO) -> None:
        """Write the ZIP. Raises DIGEST_MISMATCH if a source no longer gives the bytes that were digested."""
        write_package(self.parts, self.created, file)

    def to_bytes(self) -> bytes:
        """The whole package in memory."""
        buffer = io.BytesIO()
        self.write_to(buffer)
        return buffer.getvalue()


def _normalised(metadata: Metadata) -> Metadata:
    """Names as they may stand in part names, ids in upper case, file annexes marked signed unless told otherwise."""
    annexes = tuple(
        replace(
            annex,
            id=annex.id.upper(),
            file_name=folded_file_name(annex.file_name) if annex.file_name else None,
            signed=True if annex.kind is AnnexKind.FILE and annex.signed is None else annex.signed,
        )
        for annex in metadata.annexes
    )
    distributions = tuple(
        replace(item, withheld_annexes=tuple(map(str.upper, item.withheld_annexes)) if item.withheld_annexes else None)
        for item in metadata.distributions
    )
    references = tuple(
        replace(item, id=item.id.upper(), annex_id=item.annex_id.upper() if item.annex_id else None)
        for item in metadata.references
    )
    return replace(
        metadata,
        document_id=metadata.document_id.upper(),
        cover_letter_file_name=folded_file_name(metadata.cover_letter_file_name),
        annexes=annexes,
        distributions=distributions,
        references=references,
    )


def _checked_document(metadata: Metadata) -> bytes:
    _refuse([*check_metadata(metadata, Generation.V2), *check_annex_list(metadata)])
    try:
        document = write_metadata(metadata)
    except (ValueError, KeyError) as error:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "a value cannot be written in 2.x") from error
    _refuse(check_structure(parse(document, DEFAULT_LIMITS), "Metadata", Generation.V2, PLACES[Role.METADATA].name))
    return document


def _check_files(metadata: Metadata, files: Mapping[str, PartSource]) -> None:
    declared = [annex for annex in metadata.annexes if annex.kind is AnnexKind.FILE]
    withheld = withheld_annexes(metadata, None)
    faults = [
        Fault("/annexes", f"the file of annex {annex.id} is missing")
        for annex in declared
        if annex.id not in files and annex.id not in withheld
    ]
    known = {annex.id for annex in declared}
    faults += [Fault("/annexes", f"the metadata knows no file annex {name}") for name in files if name not in known]
    for signed in (True, False):
        names = [(annex.file_name or "").upper() for annex in declared if annex.signed is signed]
        if len(set(names)) < len(names):
            faults.append(Fault("/annexes", "two annex files get the same name in the package"))
    media_types = [metadata.media_type, *(annex.media_type for annex in declared)]
    if not all(media_type and _MEDIA_TYPE.fullmatch(media_type) for media_type in media_types):
        faults.append(Fault("/media_type", "a media type is malformed"))
    if faults:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the files do not fit the metadata", faults=faults)


def _annex_part(annex: Annex, source: PartSource, algorithms: tuple[DigestAlgorithm, ...]) -> NewPart:
    role = Role.ANNEX if annex.signed else Role.UNSIGNED_ANNEX
    place = PLACES[role]
    return NewPart.create(
        role,
        place.name + (annex.file_name or ""),
        annex.media_type or BINARY,
        source,
        algorithms,
        place.relationship_id + annex.id,
    )


def _refuse(findings: Iterable[Finding]) -> None:
    fatal = [item for item in map(_WRITING.weigh, findings) if item.severity is Severity.FATAL]
    if fatal:
        faults = [Fault("", f"{item.rule}: {item.message_en}") for item in fatal[:50]]
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the letter breaks the rules of the package", faults=faults)


def _require_content(cms: bytes, manifest: bytes) -> None:
    if signed_content(cms) != manifest:
        raise DomainError(
            ErrorCode.SIGNATURE_INVALID, "the signature does not carry the bytes that were to be signed as its content"
        )


__all__ = ["VERSION", "FinishedPackage", "PackageDraft", "PartSource", "SignedPackage", "UnsealedPackage"]
