"""Writing an encrypted package around a finished one and the CMS envelope made of it (eyp.md 1.2, 5).

    package = EncryptedPackage.create(letter, envelope=cms, package_id=uuid, packed_at=moment)
    package.write_to(file)

Encrypting happens elsewhere. Nothing of the letter stands outside but what the layout asks for: the
digest manifest, in 1.x the list of recipients, and who made the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Self
from uuid import UUID

from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp.checks.content import check_party
from shared.eyp.checks.signatures import ENVELOPE_HEAD, is_envelope
from shared.eyp.container import Container
from shared.eyp.digests import DigestAlgorithm
from shared.eyp.findings import INTEROP, Profile, Severity
from shared.eyp.inspection import Inspection
from shared.eyp.judging import COPIED_ROLES, inspect, part_of
from shared.eyp.limits import DEFAULT_LIMITS, Limits
from shared.eyp.model import CoreProperties, Generation, PackageKind, Party
from shared.eyp.packaging import NewPart, PartSource, Writable, open_source, write_package
from shared.eyp.wire.core import write_core
from shared.eyp.wire.metadata_out import write_destinations
from shared.eyp.wire.names import (
    CATEGORIES,
    CORE_CONTENT_TYPE,
    FILE_EXTENSIONS,
    PACKAGE_CONTENT_TYPE,
    PLACES,
    XML,
    Role,
)
from shared.eyp.wire.notes import OFFICIAL_NOTE, write_encryption_note
from shared.eyp.writing import PRODUCER, checked_document, refuse, written

_GUARD = (DigestAlgorithm.SHA512,)
"""No manifest covers these parts; the digest shows a source that changes before it is written."""


@dataclass(frozen=True)
class EncryptedPackage(Writable):
    """An encrypted package that only has to be written."""

    package_id: UUID
    generation: Generation
    parts: tuple[NewPart, ...]
    packed_at: datetime

    @classmethod
    def create(
        cls,
        letter: bytes | BinaryIO,
        *,
        envelope: PartSource,
        package_id: UUID,
        packed_at: datetime,
        destinations: Sequence[Party] = (),
        producer: str = PRODUCER,
        profile: Profile = INTEROP,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Self:
        """Wrap ``envelope``, which whoever holds the keys made of the very bytes of ``letter``.

        ``letter`` is a finished .eyp of either generation, bytes or a seekable file that stays open.
        ``package_id`` is fresh: it names the package, not the letter. ``packed_at`` (aware) goes into
        the ZIP's time fields only. ``destinations`` lets a transport route a package of 2.x without
        opening it; in 1.x the letter's own list is copied and none may be given.

        Raises ``DomainError``: as ``inspect`` about ``letter``; PACKAGE_INVALID when it has a fatal
        finding under ``profile``; VALIDATION_FAILED when it is no plain package, for destinations
        the rules forbid and for an ``envelope`` that is none.
        """
        if packed_at.tzinfo is None:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "the time of packing has no zone")
        found = inspect(letter, profile=profile, limits=limits)
        _require_letter(found)
        _require_envelope(envelope)
        container, generation = Container.open(letter, limits), found.generation
        _, manifest = part_of(container, COPIED_ROLES[generation], limits)
        if manifest is None:
            raise DomainError(ErrorCode.PACKAGE_INVALID, "the letter's digest manifest cannot be read")
        listed = _destinations(container, generation, destinations, limits)
        core = _core(found, package_id, producer)
        note = written(lambda: write_encryption_note(OFFICIAL_NOTE, generation), "the encryption note")
        name = f"{PLACES[Role.ENCRYPTED_CONTENT].name}{str(package_id).upper()}"
        parts = [
            _part(Role.ENCRYPTED_CONTENT, envelope, f"{name}.eyp" if generation is Generation.V1 else name),
            _part(Role.ENCRYPTION_NOTE, note),
            *([_part(Role.DESTINATIONS, listed)] if listed is not None else []),
            _part(COPIED_ROLES[generation], manifest),
            core,
        ]
        return cls(package_id, generation, tuple(parts), packed_at)

    @property
    def file_name(self) -> str:
        """A name for the file. It tells nothing of the letter inside."""
        return f"{str(self.package_id).upper()}.{FILE_EXTENSIONS[PackageKind.ENCRYPTED]}"

    def write_to(self, file: BinaryIO) -> None:
        """Write the ZIP into a seekable file; raises as ``write_package``."""
        write_package(self.parts, self.packed_at, file)


def _require_letter(found: Inspection) -> None:
    if found.kind is not PackageKind.PLAIN:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "only a plain package is wrapped in an encrypted one")
    if not found.acceptable:
        fatal = [item for item in found.findings if item.severity is Severity.FATAL]
        faults = [Fault("", f"{item.rule}: {item.message_en}") for item in fatal[:50]]
        raise DomainError(ErrorCode.PACKAGE_INVALID, "the letter breaks rules of e-Yazışma", faults=faults)


def _require_envelope(envelope: PartSource) -> None:
    with open_source(envelope) as stream:
        head = stream.read(ENVELOPE_HEAD)
        size = len(head)
        while chunk := stream.read(256 * 1024):
            size += len(chunk)
    if not is_envelope(head, size):
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the encrypted content is not a CMS envelope")


def _destinations(
    container: Container, generation: Generation, wanted: Sequence[Party], limits: Limits
) -> bytes | None:
    if generation is Generation.V1:
        if wanted:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "in 1.x the recipients outside are those of the letter")
        content = part_of(container, Role.DESTINATIONS, limits)[1]
        if content is None:
            raise DomainError(ErrorCode.PACKAGE_INVALID, "the letter's list of recipients cannot be read")
        return content
    if not wanted:
        return None
    refuse(finding for party in wanted for finding in check_party(party))
    return checked_document(
        lambda: write_destinations(wanted, generation), Role.DESTINATIONS, "Destinations", generation
    )


def _core(found: Inspection, package_id: UUID, producer: str) -> NewPart:
    """The core properties: no subject, which is part of what was encrypted."""
    core = CoreProperties(
        identifier=str(package_id).upper(),
        creator=found.core.creator if found.core else None,
        category=CATEGORIES[PackageKind.ENCRYPTED],
        content_type=PACKAGE_CONTENT_TYPE,
        version=str(found.version) if found.generation is Generation.V1 else "2.0",
        revision=producer,
    )
    document = written(lambda: write_core(core), "the core properties cannot be written")
    place = PLACES[Role.CORE]
    return NewPart.create(
        Role.CORE,
        f"{place.name}{package_id.hex}.psmdcp",
        CORE_CONTENT_TYPE,
        document,
        _GUARD,
        place.relationship_id + package_id.hex[:16],
    )


def _part(role: Role, content: PartSource, name: str | None = None) -> NewPart:
    place = PLACES[role]
    return NewPart.create(role, name or place.name, place.content_type or XML, content, _GUARD, place.relationship_id)


__all__ = ["EncryptedPackage"]
