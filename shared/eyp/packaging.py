"""Putting finished parts into an OPC container: content types, relationships, ZIP."""

from __future__ import annotations

import hashlib
import io
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import BinaryIO

from lxml import etree

from shared.errors import DomainError, ErrorCode
from shared.eyp.container import part_key
from shared.eyp.digests import DigestAlgorithm, compute
from shared.eyp.relationships import CONTENT_TYPES_NAME, relationships_part_name
from shared.eyp.wire.markup_out import prefixes, serialise
from shared.eyp.wire.names import (
    BINARY,
    CONTENT_TYPES_NAMESPACE,
    CORE_CONTENT_TYPE,
    PLACES,
    RELATIONSHIPS_CONTENT_TYPE,
    RELATIONSHIPS_NAMESPACE,
    XML,
    Role,
)

PartSource = bytes | Callable[[], BinaryIO]
"""A part's bytes, or a callable that opens them anew each time."""

_DEFAULTS = {"rels": RELATIONSHIPS_CONTENT_TYPE, "xml": XML, "psmdcp": CORE_CONTENT_TYPE, "imz": BINARY}
_CHUNK = 256 * 1024
_FIRST_TIME, _LAST_TIME = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)
"""What a ZIP can say."""


@dataclass(frozen=True)
class NewPart:
    """A part to be written, with its digests and the relationship that points to it."""

    role: Role
    name: str
    content_type: str
    source: PartSource
    digests: Mapping[DigestAlgorithm, bytes]
    relationship_id: str

    @classmethod
    def create(
        cls,
        role: Role,
        name: str,
        content_type: str,
        source: PartSource,
        algorithms: Sequence[DigestAlgorithm],
        relationship_id: str,
    ) -> NewPart:
        """Digest the source once; digests keep the algorithms' order."""
        with open_source(source) as stream:
            digests = compute(stream, algorithms)
        return cls(role, name, content_type, source, digests, relationship_id)


def open_source(source: PartSource) -> BinaryIO:
    """A stream over a part's bytes, to be closed by the caller."""
    return io.BytesIO(source) if isinstance(source, bytes) else source()


class Writable(ABC):
    """A package that only has to be written."""

    @abstractmethod
    def write_to(self, file: BinaryIO) -> None:
        """Write the ZIP into a seekable file; raises as ``write_package``."""

    def to_bytes(self) -> bytes:
        """The whole package in memory."""
        buffer = io.BytesIO()
        self.write_to(buffer)
        return buffer.getvalue()


def write_package(parts: Sequence[NewPart], created: datetime, file: BinaryIO) -> None:
    """Write the container into a seekable file; the same parts and time give the same bytes.

    Raises DIGEST_MISMATCH if a source changed since it was digested, ``ValueError`` for a file that
    cannot seek: sizes would then stand behind the parts, which some readers do not take.
    """
    if not file.seekable():
        raise ValueError("a package is written into a seekable file")
    stamp = min(max(created.astimezone(UTC).timetuple()[:6], _FIRST_TIME), _LAST_TIME)
    names = {part.role: part.name for part in parts}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        _write(archive, CONTENT_TYPES_NAME, _content_types(parts), stamp)
        for source in (None, Role.PACKAGE_DIGEST, Role.INITIALS_DIGEST, Role.FINAL_DIGEST):
            related = [part for part in parts if PLACES[part.role].source is source]
            if related:
                name = relationships_part_name(names[source] if source else None)
                _write(archive, name, _relationships(related), stamp)
        for part in parts:
            _write(archive, part.name, part.source, stamp, part.digests)


_Stamp = tuple[int, ...]


def _write(
    archive: zipfile.ZipFile,
    name: str,
    source: PartSource,
    stamp: _Stamp,
    digests: Mapping[DigestAlgorithm, bytes] = MappingProxyType({}),
) -> None:
    entry = zipfile.ZipInfo(name.removeprefix("/"), (stamp[0], stamp[1], stamp[2], stamp[3], stamp[4], stamp[5]))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 0
    # The longest digest is one of those that were taken, whatever the generation asks for.
    algorithm, expected = max(digests.items(), key=lambda item: len(item[1]), default=(None, b""))
    running = hashlib.new(algorithm.value[1]) if algorithm else None
    with open_source(source) as stream, archive.open(entry, "w") as target:
        while chunk := stream.read(_CHUNK):
            if running is not None:
                running.update(chunk)
            target.write(chunk)
    if running is not None and running.digest() != expected:
        raise DomainError(ErrorCode.DIGEST_MISMATCH, "a file changed while the package was being made")


def _content_types(parts: Sequence[NewPart]) -> bytes:
    defaults = dict(_DEFAULTS)
    overrides: list[NewPart] = []
    for part in parts:
        extension = _extension(part.name)
        if not extension or defaults.setdefault(extension, part.content_type) != part.content_type:
            overrides.append(part)
    root = etree.Element(f"{{{CONTENT_TYPES_NAMESPACE}}}Types", nsmap=prefixes(CONTENT_TYPES_NAMESPACE))
    for extension, content_type in defaults.items():
        etree.SubElement(root, f"{{{CONTENT_TYPES_NAMESPACE}}}Default", Extension=extension, ContentType=content_type)
    for part in overrides:
        etree.SubElement(
            root, f"{{{CONTENT_TYPES_NAMESPACE}}}Override", PartName=part.name, ContentType=part.content_type
        )
    return serialise(root)


def _extension(name: str) -> str:
    file_name = part_key(name).rpartition("/")[2]
    return file_name.rpartition(".")[2] if "." in file_name else ""


def _relationships(parts: Sequence[NewPart]) -> bytes:
    root = etree.Element(f"{{{RELATIONSHIPS_NAMESPACE}}}Relationships", nsmap=prefixes(RELATIONSHIPS_NAMESPACE))
    for part in parts:
        etree.SubElement(
            root,
            f"{{{RELATIONSHIPS_NAMESPACE}}}Relationship",
            Type=part.role.relationship_type,
            Target=part.name,
            Id=part.relationship_id,
        )
    return serialise(root)
