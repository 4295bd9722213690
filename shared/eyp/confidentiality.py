"""How confidential a package is, with everything that travels inside it (legal.md L.26).

``stated_degree`` is the degree a package itself shows; ``embedded_packages`` finds the packages among its
parts, however they are named: an annex may be a letter with a degree of its own.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from shared.errors import DomainError, ErrorCode
from shared.eyp.container import Container, Entry
from shared.eyp.inspection import Inspection
from shared.eyp.judging import judged, opened
from shared.eyp.limits import DEFAULT_LIMITS, Limits
from shared.eyp.model import PackageKind, SecurityCode
from shared.eyp.wire.names import PLACES, Role

_ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
_CHUNK = 256 * 1024
MOST_UNKNOWN = 20
_ORDER = (
    SecurityCode.UNCLASSIFIED,
    SecurityCode.PERSONAL,
    SecurityCode.RESTRICTED,
    SecurityCode.CONFIDENTIAL,
    SecurityCode.SECRET,
    SecurityCode.TOP_SECRET,
)
"""``PERSONAL`` says who may read, not how secret it is: it must not outweigh a higher degree beside it."""
_TELLTALES = tuple(
    PLACES[role].name.strip("/").lower().encode()
    for role in (Role.METADATA, Role.ENCRYPTED_CONTENT, Role.ENCRYPTION_NOTE, Role.UPDATE_NOTE)
)
"""Names that stand uncompressed in the ZIP of a package."""


@dataclass(frozen=True)
class EmbeddedPackage:
    """A package that lies in another one as an ordinary part."""

    path: tuple[str, ...]
    """Part names from the outermost package inwards; the last one is the package."""
    degree: SecurityCode | None
    """The highest that it or a package in it states: nobody proved an update that lowers one. None: not known, because
    it is encrypted, says none, or cannot be read within the limits."""


def stated_degree(inspection: Inspection) -> SecurityCode | None:
    """The degree in force as far as it can be seen; None if it is missing, not understood or out of sight.

    Stricter than ``Inspection.security_code``: an update whose change is not understood makes it unknown, and so
    does an encrypted package that nobody opened, on whatever level. Metadata that have no place in their package
    only raise it.
    """
    own = _own_degree(inspection)
    found, level = own, inspection.inner
    strays = [inspection.stray_degree]
    while level is not None and found is not None:
        if level.kind is PackageKind.ENCRYPTED and level.inner is None:
            found = None
        strays.append(level.stray_degree)
        level = level.inner
    return None if found is None else _highest([found, *filter(None, strays)])


def _highest(degrees: Iterable[SecurityCode | None]) -> SecurityCode | None:
    """None if one of them is: it may be anything."""
    known: list[SecurityCode] = []
    for degree in degrees:
        if degree is None:
            return None
        known.append(degree)
    return max(known, key=_ORDER.index)


def _own_degree(inspection: Inspection) -> SecurityCode | None:
    """What the outermost package says; of one in an opened envelope, what the one inside says."""
    if inspection.kind is PackageKind.UPDATE:
        changes = inspection.update.degree_changes if inspection.update else ()
        understood = all(change.new_degree is not None for change in changes)
        return inspection.update.new_degree if inspection.update and understood else None
    if inspection.kind is PackageKind.ENCRYPTED:
        return _own_degree(inspection.inner) if inspection.inner is not None else None
    return inspection.metadata.security_code if inspection.metadata else None


def degrees_inside(inspection: Inspection) -> Iterator[SecurityCode | None]:
    """Every degree that the packages inside an update state, as they stand; None for one that is not understood."""
    level = inspection.inner
    while level is not None:
        if level.kind is PackageKind.UPDATE:
            yield from (change.new_degree for change in (level.update.degree_changes if level.update else ()))
        else:
            yield level.metadata.security_code if level.metadata else None
        level = level.inner


def embedded_packages(
    source: bytes | BinaryIO, inspection: Inspection, *, limits: Limits = DEFAULT_LIMITS
) -> Iterator[EmbeddedPackage]:
    """Every package among the parts of an inspected one, by content and not by name, those inside them included.

    ``source`` is what was inspected; the original of an update is no find, what lies in it is. All finds share one
    ``limits``. What is a ZIP and cannot be read within them counts as a package of unknown degree if it has the
    names of one; other archives and office documents are passed over. The search ends after ``MOST_UNKNOWN`` of
    unknown degree: more would change nothing. Raises as ``Container.open`` about ``source``.
    """
    unknown = 0
    for found in _Search(limits).within(source, inspection, (), 1):
        yield found
        unknown += found.degree is None
        if unknown == MOST_UNKNOWN:
            return


class _Search:
    """What is left of the limits while one package is searched."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = limits

    def within(
        self, source: bytes | BinaryIO, inspection: Inspection, path: tuple[str, ...], depth: int
    ) -> Iterator[EmbeddedPackage]:
        for level, container in opened(source, inspection, limits=self._limits):
            original = container.entry(level.original_package) if level.original_package else None
            for entry in container.entries:
                if entry != original and _is_zip(container, entry):
                    yield from self._judged(container, entry, (*path, entry.name), depth)
            if original is not None:
                path = (*path, original.name)

    def _judged(
        self, container: Container, entry: Entry, path: tuple[str, ...], depth: int
    ) -> Iterator[EmbeddedPackage]:
        content = io.BytesIO()
        try:
            self._take_out(container, entry, content, depth)
            found = self._inspected(content)
        except DomainError as error:
            if error.code is not ErrorCode.NOT_A_PACKAGE and _looks_like_package(container, entry):
                yield EmbeddedPackage(path, None)
            return
        if not _has_content(found) and not _looks_like_package(container, entry):
            return
        yield EmbeddedPackage(path, _highest([stated_degree(found), *degrees_inside(found)]))
        yield from self.within(content, found, path, depth + 1)

    def _take_out(self, container: Container, entry: Entry, content: BinaryIO, depth: int) -> None:
        if depth > self._limits.nesting or entry.size > min(self._left.package_size, self._left.total_size):
            raise DomainError(ErrorCode.TOO_LARGE, "the packages inside are beyond the limits")
        with container.open_part(entry.name) as stream:
            shutil.copyfileobj(stream, content, _CHUNK)

    def _inspected(self, content: BinaryIO) -> Inspection:
        entries = len(Container.open(content, self._left).entries)
        try:
            found, self._left = judged(content, limits=self._left)
        except DomainError:
            # An office document has a directory as well, and reading thousands of them takes its time.
            self._left = replace(self._left, parts=max(0, self._left.parts - entries))
            raise
        return found


def _has_content(found: Inspection) -> bool:
    """False for an office document so damaged that it may have been anything."""
    return any(
        (found.metadata, found.cover_letter, found.update, found.original_package, found.encrypted_content,
         found.encryption_note, found.signature_components)
    )  # fmt: skip


def _is_zip(container: Container, entry: Entry) -> bool:
    try:
        with container.open_part(entry.name) as stream:
            return stream.read(4) in _ZIP_MARKS
    except DomainError:
        return False


def _looks_like_package(container: Container, entry: Entry) -> bool:
    longest = max(map(len, _TELLTALES))
    tail = b""
    try:
        with container.open_part(entry.name) as stream:
            while chunk := stream.read(_CHUNK):
                window = tail + chunk.lower()
                if any(name in window for name in _TELLTALES):
                    return True
                tail = window[-longest:]
    except DomainError:
        return True
    return False


__all__ = ["EmbeddedPackage", "degrees_inside", "embedded_packages", "stated_degree"]
