"""Writing an update package: a new degree of confidentiality for a letter that is sealed already (eyp.md 7).

    unsealed = UnsealedUpdate.create(original, change, package_id=uuid, created=moment, originator=us, subject=text)
    package = unsealed.with_seal(seal(unsealed.seal_to_be_signed()))
    package.write_to(file)

The original goes in as it is, byte for byte; it may be an update itself. The same inputs give the
same package, so the second step can be taken in another process.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Self
from uuid import UUID

from shared.errors import DomainError, ErrorCode
from shared.eyp.checks.content import check_party
from shared.eyp.checks.wrapping import check_degree_change, check_original
from shared.eyp.digests import DigestAlgorithm
from shared.eyp.findings import INTEROP, Profile
from shared.eyp.inspection import Inspection
from shared.eyp.judging import inspect
from shared.eyp.limits import DEFAULT_LIMITS, Limits
from shared.eyp.model import CoreProperties, Generation, ManifestKind, PackageKind, Party
from shared.eyp.notes import DegreeChange
from shared.eyp.packaging import NewPart, PartSource, Writable, open_source, write_package
from shared.eyp.wire.core import creator_text, write_core
from shared.eyp.wire.manifests import write_manifest
from shared.eyp.wire.names import (
    BINARY,
    CATEGORIES,
    CORE_CONTENT_TYPE,
    FILE_EXTENSIONS,
    PACKAGE_CONTENT_TYPE,
    PLACES,
    Role,
)
from shared.eyp.wire.notes import write_update_note
from shared.eyp.writing import PRODUCER, checked_document, refuse, require_content, written

VERSION = "2.1"
_ALGORITHMS = (DigestAlgorithm.SHA384, DigestAlgorithm.SHA512)
_COVERED = (Role.UPDATE_NOTE, Role.ORIGINAL_PACKAGE, Role.CORE)


@dataclass(frozen=True)
class _Update:
    package_id: UUID
    parts: tuple[NewPart, ...]
    created: datetime


@dataclass(frozen=True)
class UnsealedUpdate(_Update):
    """Complete but for the institution's seal."""

    @classmethod
    def create(
        cls,
        original: PartSource,
        change: DegreeChange,
        *,
        package_id: UUID,
        created: datetime,
        originator: Party,
        subject: str,
        producer: str = PRODUCER,
        profile: Profile = INTEROP,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Self:
        """Check the original and the change, and digest.

        ``original`` is a plain or update package, bytes or a callable that opens a seekable file
        anew each time. ``package_id`` is fresh. ``created`` (aware) goes into the core properties and
        the ZIP's time fields. Raises ``DomainError``: as ``inspect`` about ``original``;
        VALIDATION_FAILED when it is encrypted, has a fatal finding under ``profile`` or lies as deep
        as a reader goes already, and for a change the rules forbid.
        """
        refuse([*check_degree_change(change), *check_party(originator)])
        if not subject.strip():
            raise DomainError(ErrorCode.VALIDATION_FAILED, "an update package needs a subject")
        with open_source(original) as stream:
            found = inspect(stream, profile=profile, limits=limits)
        refuse(check_original(found, None))
        if _levels(found) >= limits.nesting:
            raise DomainError(
                ErrorCode.VALIDATION_FAILED, f"no more than {limits.nesting} packages go into one another"
            )
        core = CoreProperties(
            identifier=str(package_id).upper(),
            subject=subject,
            creator=creator_text(originator),
            created=created,
            category=CATEGORIES[PackageKind.UPDATE],
            content_type=PACKAGE_CONTENT_TYPE,
            version=VERSION,
            revision=producer,
        )
        note = checked_document(lambda: write_update_note(change), Role.UPDATE_NOTE, "UpdateNote", Generation.V2)
        folder = PLACES[Role.ORIGINAL_PACKAGE].name
        place = PLACES[Role.CORE]
        parts = (
            _part(Role.UPDATE_NOTE, note),
            _part(Role.ORIGINAL_PACKAGE, original, f"{folder}OrijinalPaket.{FILE_EXTENSIONS[found.kind]}"),
            NewPart.create(
                Role.CORE,
                f"{place.name}{package_id.hex}.psmdcp",
                CORE_CONTENT_TYPE,
                written(lambda: write_core(core), "the core properties cannot be written"),
                _ALGORITHMS,
                place.relationship_id + package_id.hex[:16],
            ),
        )
        return cls(package_id, parts, created)

    def seal_to_be_signed(self) -> bytes:
        """The final digest: the exact bytes the seal must carry as its content."""
        entries = [(part.name, part.digests) for part in self.parts if part.role in _COVERED]
        return write_manifest(ManifestKind.UPDATE, str(self.package_id).upper(), entries)

    def with_seal(self, cms: bytes) -> FinishedUpdate:
        """Add the seal: attached CMS (DER) over ``seal_to_be_signed``. Raises SIGNATURE_INVALID for another one."""
        manifest = self.seal_to_be_signed()
        require_content(cms, manifest)
        added = (_part(Role.FINAL_DIGEST, manifest), _part(Role.SEAL, cms))
        return FinishedUpdate(self.package_id, self.parts + added, self.created)


@dataclass(frozen=True)
class FinishedUpdate(_Update, Writable):
    """An update package that only has to be written."""

    @property
    def file_name(self) -> str:
        """A name for the file."""
        return f"{str(self.package_id).upper()}.{FILE_EXTENSIONS[PackageKind.UPDATE]}"

    def write_to(self, file: BinaryIO) -> None:
        """Write the ZIP into a seekable file; raises as ``write_package``."""
        write_package(self.parts, self.created, file)


def _levels(inspection: Inspection) -> int:
    return 1 + (_levels(inspection.inner) if inspection.inner is not None else 0)


def _part(role: Role, content: PartSource, name: str | None = None) -> NewPart:
    place = PLACES[role]
    return NewPart.create(
        role, name or place.name, place.content_type or BINARY, content, _ALGORITHMS, place.relationship_id
    )


__all__ = ["FinishedUpdate", "UnsealedUpdate"]
