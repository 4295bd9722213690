"""What the writers of both generations share: parts in hand, checks before anything is signed, the finished package."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from typing import Any, BinaryIO, Self, TypeVar, cast
from uuid import UUID

from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp.checks.annexes import check_annex_list, withheld_annexes
from shared.eyp.checks.content import check_metadata
from shared.eyp.checks.signatures import signed_content
from shared.eyp.digests import DigestAlgorithm
from shared.eyp.external import ExternalEntries
from shared.eyp.findings import Finding, Profile, Severity
from shared.eyp.limits import DEFAULT_LIMITS
from shared.eyp.markup import MarkupError, parse
from shared.eyp.model import Annex, AnnexKind, CoreProperties, Generation, ManifestKind, Metadata, PackageKind
from shared.eyp.packaging import NewPart, PartSource, Writable, open_source, write_package
from shared.eyp.signers import signature_values
from shared.eyp.structure import check_structure
from shared.eyp.wire.core import creator_text, write_core
from shared.eyp.wire.manifests import write_manifest
from shared.eyp.wire.metadata_out import write_metadata
from shared.eyp.wire.names import (
    BINARY,
    CATEGORIES,
    CORE_CONTENT_TYPE,
    FILE_EXTENSIONS,
    PACKAGE_CONTENT_TYPE,
    PLACES,
    Role,
    folded_file_name,
    place_name,
)

T = TypeVar("T")

PRODUCER = "KepGateway/1"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
_LONGEST_FILE_NAME = 255
_OTHER_PARTS = 20
"""More parts than a package has besides its annexes."""
_WRITING = Profile(
    "writing",
    {
        "R.23.media-type": Severity.FATAL,
        "R.29.unit": Severity.FATAL,
        "R.30": Severity.FATAL,
        "R.34.retired": Severity.FATAL,
        "R.35": Severity.FATAL,
        "R.36": Severity.FATAL,
        "R.37.format": Severity.FATAL,
        "R.41": Severity.FATAL,
    },
)


@dataclass(frozen=True)
class PartialPackage:
    """The parts written so far and the algorithms their digests are taken with."""

    generation: Generation
    metadata: Metadata
    algorithms: tuple[DigestAlgorithm, ...]
    parts: tuple[NewPart, ...]
    external: ExternalEntries = field(default=(), kw_only=True)
    """What the package digest lists besides parts; the final digest may not (eyp.md 3.2)."""

    def _part(self, role: Role, content: PartSource) -> NewPart:
        place = PLACES[role]
        return NewPart.create(
            role,
            place_name(role, self.generation),
            place.content_type or BINARY,
            content,
            self.algorithms,
            place.relationship_id,
        )

    def _manifest(self, kind: ManifestKind, roles: Iterable[Role]) -> bytes:
        order = list(roles)
        covered = sorted((part for part in self.parts if part.role in order), key=lambda part: order.index(part.role))
        entries = [(part.name, part.digests) for part in covered]
        external = self.external if kind is ManifestKind.PACKAGE else ()
        return write_manifest(kind, self.metadata.document_id, entries, self.generation, external)

    def _core(self, version: str, created: datetime, producer: str, core_id: UUID | None) -> NewPart:
        """The core properties, which repeat what the metadata says."""
        if self.metadata.originator is None:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "the letter has no originator")
        core = CoreProperties(
            identifier=self.metadata.document_id,
            subject=self.metadata.subject,
            creator=creator_text(self.metadata.originator),
            created=created,
            category=CATEGORIES[PackageKind.PLAIN],
            content_type=PACKAGE_CONTENT_TYPE,
            version=version,
            revision=producer,
        )
        document = written(lambda: write_core(core), "the core properties cannot be written")
        place, core_hex = PLACES[Role.CORE], (core_id or UUID(self.metadata.document_id)).hex
        return NewPart.create(
            Role.CORE,
            f"{place.name}{core_hex}.psmdcp",
            CORE_CONTENT_TYPE,
            document,
            self.algorithms,
            place.relationship_id + core_hex[:16],
        )

    def _signed_again(self, role: Role, cms: bytes, manifest: bytes) -> Self:
        """The CMS file replaced by one with further signers; those it had must still be in it."""
        require_content(cms, manifest)
        earlier = next(part for part in self.parts if part.role is role)
        with open_source(earlier.source) as stream:
            kept = signature_values(stream.read()) <= signature_values(cms)
        if not kept:
            raise DomainError(ErrorCode.SIGNATURE_INVALID, "an earlier signature is missing in the new file")
        parts = (self._part(role, cms) if part.role is role else part for part in self.parts)
        return replace(self, parts=tuple(parts))


@dataclass(frozen=True)
class FinishedPackage(PartialPackage, Writable):
    """A package that only has to be written."""

    created: datetime

    @property
    def file_name(self) -> str:
        """The name the file must have."""
        return f"{self.metadata.document_id}.{FILE_EXTENSIONS[PackageKind.PLAIN]}"

    def copy_for(self, recipient: str, *, keep_initials: bool = True) -> Self:
        """The package as one recipient may get it: without the files of the annexes withheld from it.

        ``recipient`` is its DETSİS, identity or register number. The manifests still list what is
        left out, and a reader that knows the recipient accepts that (eyp.md 3.4). The initials'
        signature, an internal matter, may be left out as well.
        """
        withheld = withheld_annexes(self.metadata, recipient)
        left_out = {
            PLACES[role].relationship_id + name for role in (Role.ANNEX, Role.UNSIGNED_ANNEX) for name in withheld
        }
        parts = (
            part
            for part in self.parts
            if part.relationship_id not in left_out and (keep_initials or part.role is not Role.INITIALS)
        )
        return replace(self, parts=tuple(parts))

    def write_to(self, file: BinaryIO) -> None:
        """Write the ZIP into a seekable file; raises as ``write_package``."""
        write_package(self.parts, self.created, file)


def normalised(metadata: Metadata) -> Metadata:
    """Names as they may stand in part names, ids in upper case, file annexes marked signed unless told otherwise.

    Texts lose the white space around them, as they do when they are read.
    """
    metadata = trimmed(metadata)
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


def trimmed(value: T) -> T:
    """The same value without white space around its texts, however deep they lie."""
    return cast("T", _trimmed(value))


def _trimmed(value: Any) -> Any:
    if type(value) is str:
        return value.strip()
    if isinstance(value, tuple):
        return tuple(map(_trimmed, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{item.name: _trimmed(getattr(value, item.name)) for item in fields(value)})
    return value


def content_parts(
    metadata: Metadata,
    generation: Generation,
    algorithms: tuple[DigestAlgorithm, ...],
    cover_letter: PartSource,
    annex_files: Mapping[str, PartSource],
) -> tuple[NewPart, ...]:
    """Cover letter, metadata and annexes of a normalised letter, checked and digested."""
    files = {annex_id.upper(): source for annex_id, source in annex_files.items()}
    refuse([*check_metadata(metadata, generation), *check_annex_list(metadata)])
    document = checked_document(lambda: write_metadata(metadata, generation), Role.METADATA, "Metadata", generation)
    _check_files(metadata, files)
    cover, place = PLACES[Role.COVER_LETTER], PLACES[Role.METADATA]
    cover_name = cover.name + metadata.cover_letter_file_name
    media_type = metadata.media_type or BINARY
    return (
        NewPart.create(Role.COVER_LETTER, cover_name, media_type, cover_letter, algorithms, cover.relationship_id),
        NewPart.create(
            Role.METADATA, place.name, place.content_type or BINARY, document, algorithms, place.relationship_id
        ),
        *(_annex_part(annex, files[annex.id], algorithms) for annex in metadata.annexes if annex.id in files),
    )


def checked_document(write: Callable[[], bytes], role: Role, document: str, generation: Generation) -> bytes:
    """A document that fits its schema, as ``document`` names it; else VALIDATION_FAILED says what does not fit."""
    content = written(write, f"a value cannot be written in {generation.value}.x")
    try:
        root = parse(content, DEFAULT_LIMITS)
    except MarkupError as error:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the letter says more than a package may hold") from error
    refuse(check_structure(root, document, generation, PLACES[role].name))
    return content


def written(write: Callable[[], bytes], otherwise: str) -> bytes:
    """What a ``wire`` function writes; its errors come out as VALIDATION_FAILED with that detail."""
    try:
        return write()
    except (ValueError, KeyError) as error:
        raise DomainError(ErrorCode.VALIDATION_FAILED, otherwise) from error


def refuse(findings: Iterable[Finding]) -> None:
    """Raise VALIDATION_FAILED if a finding forbids writing; its faults name the rules."""
    fatal = [item for item in map(_WRITING.weigh, findings) if item.severity is Severity.FATAL]
    if fatal:
        faults = [Fault("", f"{item.rule}: {item.message_en}") for item in fatal[:50]]
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the letter breaks the rules of the package", faults=faults)


def require_content(cms: bytes, manifest: bytes) -> None:
    """Raise SIGNATURE_INVALID for a file that is no CMS signature with the manifest as its content."""
    if signed_content(cms) != manifest:
        raise DomainError(
            ErrorCode.SIGNATURE_INVALID, "the signature does not carry the bytes that were to be signed as its content"
        )


def _check_files(metadata: Metadata, files: Mapping[str, PartSource]) -> None:
    declared = [annex for annex in metadata.annexes if annex.kind is AnnexKind.FILE]
    # A file somebody is to get must be there; copies for the others are made of the finished package.
    withheld = [set(item.withheld_annexes or ()) for item in metadata.distributions]
    nobody_gets = set.intersection(*withheld)
    faults = [
        Fault("/annexes", f"the file of annex {annex.id} is missing")
        for annex in declared
        if annex.id not in files and annex.id not in nobody_gets
    ]
    known = {annex.id for annex in declared}
    faults += [Fault("/annexes", f"the metadata knows no file annex {name}") for name in files if name not in known]
    if len(files) > DEFAULT_LIMITS.parts - _OTHER_PARTS:
        faults.append(Fault("/annexes", "there are more annex files than a package may have"))
    for signed in (True, False):
        names = [(annex.file_name or "").upper() for annex in declared if annex.signed is signed]
        if len(set(names)) < len(names):
            faults.append(Fault("/annexes", "two annex files get the same name in the package"))
    file_names = [metadata.cover_letter_file_name, *(annex.file_name or "" for annex in declared)]
    if any(len(name) > _LONGEST_FILE_NAME for name in file_names):
        faults.append(Fault("/annexes", f"a file name is longer than {_LONGEST_FILE_NAME} characters"))
    media_types = [metadata.media_type, *(annex.media_type for annex in declared)]
    if not all(media_type and _MEDIA_TYPE.fullmatch(media_type) for media_type in media_types):
        faults.append(Fault("/media_type", "a media type is malformed"))
    if faults:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the files do not fit the metadata", faults=faults[:50])


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
