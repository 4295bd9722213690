"""Reading and judging a package and those inside it: the functions most callers need."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from shared.errors import DomainError, ErrorCode
from shared.eyp.checks.wrapping import check_decrypted, check_original
from shared.eyp.container import Container
from shared.eyp.findings import INTEROP, Finding, Profile
from shared.eyp.inspection import Inspection
from shared.eyp.inspector import Inspector
from shared.eyp.layout import read_layout
from shared.eyp.limits import DEFAULT_LIMITS, Limits
from shared.eyp.model import Generation, PackageKind
from shared.eyp.relationships import read_relationships
from shared.eyp.rules import wrapping as rules
from shared.eyp.wire.names import Role

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PAGE = 1024 * 1024
_BUFFER = 64 * 1024
COPIED_ROLES = {Generation.V1: Role.PACKAGE_DIGEST, Generation.V2: Role.FINAL_DIGEST}
"""Which digest manifest of the package inside stands outside of an encrypted one as well."""


def inspect(
    source: bytes | BinaryIO,
    *,
    profile: Profile = INTEROP,
    limits: Limits = DEFAULT_LIMITS,
    file_name: str | None = None,
    recipient: str | None = None,
) -> Inspection:
    """Read a package of any kind and judge it; of an update package also what lies inside, level by level.

    ``source`` is the package or a seekable file, which stays open. ``file_name`` is judged if
    given. ``recipient`` (DETSİS, identity or register number) decides which annexes may be absent.

    Bad content becomes findings. Raises ``DomainError`` only when there is nothing to judge:
    NOT_A_PACKAGE (no ZIP, or a ZIP that is no e-Yazışma package), PACKAGE_INVALID (a damaged or
    hostile ZIP), TOO_LARGE (a limit). Blocking; bounded in time and memory by ``limits``.
    """
    return judged(source, profile=profile, limits=limits, file_name=file_name, recipient=recipient)[0]


def judged(
    source: bytes | BinaryIO,
    *,
    profile: Profile = INTEROP,
    limits: Limits = DEFAULT_LIMITS,
    file_name: str | None = None,
    recipient: str | None = None,
) -> tuple[Inspection, Limits]:
    """``inspect``, and what its packages left of ``limits`` for others that share them."""
    container = Container.open(source, limits)
    inspector = Inspector(container, limits)
    levels = [inspector.run(profile, file_name, recipient)]
    faults: list[Finding] = []
    left = limits
    pages: _Pages | None = None
    while (name := levels[-1].original_package) is not None:
        if len(levels) >= limits.nesting:
            faults.append(rules.ORIGINAL_TOO_DEEP.found(name, limits.nesting))
            break
        left = _less(left, container, inspector)
        try:
            # What one package took is given back while the next one is taken out of it: one is held, not two.
            if pages is not None:
                pages.drain = True
            pages = _content(container, name, left)
            container = Container.open(_reader(pages), left)
            inspector = Inspector(container, left)
            levels.append(inspector.run(profile, recipient=recipient))
        except DomainError as error:
            faults.append(rules.ORIGINAL_UNREADABLE.found(name, error.detail))
            break
    left = _less(left, container, inspector)
    found = levels.pop()
    if faults:
        found = found.with_inner(None, faults, profile)
    for outer in reversed(levels):
        found = outer.with_inner(found, check_original(found, outer.original_package), profile)
    return found, left


def opened(
    source: bytes | BinaryIO, inspection: Inspection, *, limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[Inspection, Container]]:
    """The packages of an inspection with their parts: the one outside, then level by level those an update holds.

    ``source`` is what was inspected. What came out of an encrypted package lies elsewhere and ends
    the walk. Raises as ``Container.open``.
    """
    container = Container.open(source, limits)
    yield inspection, container
    while inspection.original_package is not None and inspection.inner is not None:
        container = Container.open(_reader(_content(container, inspection.original_package, limits)), limits)
        inspection = inspection.inner
        yield inspection, container


def inspect_decrypted(
    outer: bytes | BinaryIO,
    decrypted: bytes | BinaryIO,
    *,
    profile: Profile = INTEROP,
    limits: Limits = DEFAULT_LIMITS,
    recipient: str | None = None,
) -> Inspection:
    """Judge an encrypted package together with what its key holder decrypted from it (eyp.md 5).

    The answer is the package outside, with ``inner`` and with findings about what differs between
    the two. Raises ``DomainError`` as ``inspect`` does about ``outer``, and VALIDATION_FAILED if it
    is no encrypted package; about ``decrypted`` never.
    """
    found = inspect(outer, profile=profile, limits=limits, recipient=recipient)
    if found.kind is not PackageKind.ENCRYPTED:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the package outside is not an encrypted one")
    try:
        inner = inspect(decrypted, profile=profile, limits=limits, recipient=recipient)
    except DomainError as error:
        unreadable = rules.DECRYPTED_UNREADABLE.found(found.encrypted_content, error.detail)
        return found.with_inner(None, [unreadable], profile)
    differences = _copies(Container.open(outer, limits), Container.open(decrypted, limits), found.generation, limits)
    return found.with_inner(inner, [*check_decrypted(found, inner), *differences], profile)


def _copies(outer: Container, inner: Container, generation: Generation, limits: Limits) -> Iterator[Finding]:
    """The parts that stand outside and inside must be the same, byte for byte."""
    for role in (COPIED_ROLES[generation], Role.DESTINATIONS):
        name, content = part_of(outer, role, limits)
        if role is Role.DESTINATIONS and (name is None or generation is Generation.V2):
            # A package of 2.x has no such list inside; the one outside only helps to route.
            continue
        if content is None or content != part_of(inner, role, limits)[1]:
            yield rules.COPY_DIFFERS.found(name)


def part_of(container: Container, role: Role, limits: Limits) -> tuple[str | None, bytes | None]:
    """Name and bytes of the one part of a role; None for what is not there or cannot be read."""
    name = read_layout(container, read_relationships(container, None, limits), limits).part(role)
    try:
        return name, container.read_part(name, limits.xml_size) if name else None
    except DomainError:
        return name, None


def _less(limits: Limits, container: Container, inspector: Inspector) -> Limits:
    """What is left for the packages inside."""
    entries = container.entries
    return replace(
        limits,
        parts=max(0, limits.parts - len(entries)),
        total_size=max(0, limits.total_size - sum(entry.size for entry in entries)),
        xml_marks=max(0, limits.xml_marks - inspector.marks),
    )


def _content(container: Container, name: str, limits: Limits) -> _Pages:
    """A part as a file. Raises TOO_LARGE beyond a package's size; PACKAGE_INVALID when it is damaged."""
    entry = container.entry(name)
    if entry is not None and entry.size > limits.package_size:
        raise DomainError(ErrorCode.TOO_LARGE, f"the package is larger than {limits.package_size} bytes")
    with container.open_part(name) as stream:
        return _Pages(stream)


def _reader(pages: _Pages) -> BinaryIO:
    return io.BufferedReader(pages, _BUFFER)


class _Pages(io.RawIOBase):
    """A file in memory whose pages can be given back while it is read for the last time.

    With ``drain`` set, whatever lies whole pages before the position of a read is forgotten; reading there again
    gives nothing.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._pages: list[bytes] = []
        while page := source.read(_PAGE):
            self._pages.append(page)
        self._size = sum(map(len, self._pages))
        self._position = 0
        self._forgotten = 0
        self.drain = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("before the start of the file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        number, start = divmod(self._position, _PAGE)
        if number >= len(self._pages):
            return 0
        if self.drain:
            self._forget_before(number)
        chunk = self._pages[number][start : start + len(view)]
        view[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)

    def _forget_before(self, number: int) -> None:
        for page in range(self._forgotten, number):
            self._pages[page] = b""
        self._forgotten = max(self._forgotten, number)
