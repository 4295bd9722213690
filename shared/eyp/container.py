"""The ZIP around a package, read as if an enemy wrote it.

Nothing is extracted and nothing is trusted: the end record and the central directory are bounded
before they are parsed, entries lie side by side without overlap or gap and say the same in both their
headers, sizes are budgeted on what the directory declares and enforced while reading. The source stays where it is (bytes or a seekable file) and parts are
streamed from it.
"""

from __future__ import annotations

import io
import string
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, BinaryIO
from urllib.parse import unquote

from shared.errors import DomainError, ErrorCode
from shared.eyp.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_END_RECORD = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\x05\x06"
_END_RECORD_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_LOCATOR_64_MARK = b"PK\x06\x07"
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_LOCAL_MARK = b"PK\x03\x04"
_MARKUP = (".xml", ".rels", ".psmdcp", ".imz")
_KEPT = 1024 * 1024
"""Bytes of parts one container keeps, at most."""
_LONGEST_COMMENT = 0xFFFF
_LOWER = {ord(character): character.lower() for character in string.ascii_uppercase}
_DESCRIPTOR_FOLLOWS = 0x8
_DESCRIPTOR_SIZES = frozenset({12, 16, 20, 24})
_SIZES_IN_EXTRA = 0xFFFFFFFF
_SIZES_64 = 0x0001
_UNICODE_PATH = 0x7075
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, ValueError, OSError)


def part_key(name: str) -> str:
    """What makes two part names the same: OPC compares without case and without %-escapes."""
    if name.isascii() and "%" not in name:
        return name.lower()
    return unicodedata.normalize("NFC", unquote(name)).translate(_LOWER)


@dataclass(frozen=True)
class Entry:
    """One part as the directory lists it: absolute part name, declared size."""

    name: str
    size: int


class Container:
    """The parts of one package. Not safe for use from two threads at once."""

    def __init__(self, archive: zipfile.ZipFile, items: dict[str, tuple[Entry, zipfile.ZipInfo]]) -> None:
        self._archive = archive
        self._items = items
        self._kept: dict[str, bytes] = {}
        self._room = _KEPT

    @classmethod
    def open(cls, source: bytes | BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Container:
        """Read the directory of a package.

        The caller keeps ``source`` open while parts are read and closes it afterwards. Raises
        ``DomainError``: NOT_A_PACKAGE (no ZIP), TOO_LARGE (a limit), PACKAGE_INVALID (a damaged
        or hostile ZIP).
        """
        file: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
        with _zip_faults("the ZIP directory cannot be read"):
            size = file.seek(0, io.SEEK_END)
            if size > limits.package_size:
                raise DomainError(ErrorCode.TOO_LARGE, f"the package is larger than {limits.package_size} bytes")
            _bound_directory(file, size, limits)
            archive = zipfile.ZipFile(file)
            items = _checked_items(archive.infolist(), limits)
            _check_local_headers(file, archive)
        return cls(archive, items)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All parts, relationship parts and the content type list included, in directory order."""
        return tuple(entry for entry, _ in self._items.values())

    def entry(self, name: str) -> Entry | None:
        """The part with this name (compared as OPC does), or None."""
        item = self._items.get(part_key(name))
        return item[0] if item else None

    def open_part(self, name: str) -> BinaryIO:
        """A stream of the part's bytes, to be closed by the caller.

        Raises ``DomainError``: NOT_FOUND here; PACKAGE_INVALID here or while reading when the bytes
        are damaged or not as long as declared.
        """
        key = part_key(name)
        item = self._items.get(key)
        if item is None:
            raise DomainError(ErrorCode.NOT_FOUND, "the package has no such part")
        if (kept := self._kept.get(key)) is not None:
            return io.BytesIO(kept)
        with _zip_faults("a part cannot be read"):
            return io.BufferedReader(_PartStream(self._archive.open(item[1]), item[0].size), 65536)

    def read_part(self, name: str, limit: int) -> bytes:
        """The whole part; raise ``DomainError`` (TOO_LARGE) beyond ``limit`` bytes, else as ``open_part``.

        Small parts are kept, so that what was parsed is what is digested later, and is read once.
        """
        entry = self.entry(name)
        if entry is not None and entry.size > limit:
            raise DomainError(ErrorCode.TOO_LARGE, f"a part is larger than {limit} bytes")
        with self.open_part(name) as stream:
            content = stream.read()
        key = part_key(name)
        if key not in self._kept and len(content) <= self._room:
            self._kept[key] = content
            self._room -= len(content)
        return content


class _PartStream(io.RawIOBase):
    """A ZIP entry whose faults come out as ``DomainError`` and whose length is exactly as declared."""

    def __init__(self, inner: IO[bytes], size: int) -> None:
        self._inner = inner
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        with _zip_faults("a part's bytes are damaged"):
            chunk = self._inner.read(len(view))
        if not chunk and self._left:
            raise DomainError(ErrorCode.PACKAGE_INVALID, "a part is shorter than declared")
        self._left -= len(chunk)
        view[: len(chunk)] = chunk
        return len(chunk)

    def readall(self) -> bytes:
        # In one go, not in the many small steps of the default; zipfile stops at the declared size.
        with _zip_faults("a part's bytes are damaged"):
            content = self._inner.read()
        if len(content) != self._left:
            raise DomainError(ErrorCode.PACKAGE_INVALID, "a part is shorter than declared")
        self._left = 0
        return content

    def close(self) -> None:
        self._inner.close()
        super().close()


@contextmanager
def _zip_faults(detail: str) -> Iterator[None]:
    try:
        yield
    except _ZIP_ERRORS as error:
        raise DomainError(ErrorCode.PACKAGE_INVALID, detail) from error


def _bound_directory(file: BinaryIO, size: int, limits: Limits) -> None:
    """Find the end record the way zipfile does and bound what it will make zipfile parse."""
    file.seek(0)
    if file.read(4) not in (_LOCAL_MARK, _END_MARK):
        raise DomainError(ErrorCode.NOT_A_PACKAGE, "the file is not a ZIP container")
    start = max(0, size - _LONGEST_COMMENT - _END_RECORD.size)
    file.seek(start)
    tail = file.read(size - start)
    at = len(tail) - _END_RECORD.size
    if at < 0 or not tail[at:].startswith(_END_MARK):
        at = tail.rfind(_END_MARK)
    if at < 0 or len(tail) - at < _END_RECORD.size:
        raise DomainError(ErrorCode.PACKAGE_INVALID, "the ZIP container ends too early")
    *_, total, directory_size, directory_offset, comment = _END_RECORD.unpack_from(tail, at)
    if comment != len(tail) - at - _END_RECORD.size:
        raise DomainError(ErrorCode.PACKAGE_INVALID, "the ZIP container's comment is not as long as it says")
    end = start + at
    locator = at - _LOCATOR_64.size
    if locator >= 0 and tail.startswith(_LOCATOR_64_MARK, locator):
        # zipfile believes the 64-bit record right before the locator over the plain one, so must we.
        record = locator - _END_RECORD_64.size
        if record < 0:
            raise DomainError(ErrorCode.PACKAGE_INVALID, "the ZIP container's end records do not fit together")
        *_, total, directory_size, directory_offset = _END_RECORD_64.unpack_from(tail, record)
        end = start + record
    if directory_size > limits.directory_size or total > limits.parts:
        raise DomainError(ErrorCode.TOO_LARGE, f"the package has more than {limits.parts} parts")
    if directory_offset + directory_size != end:
        raise DomainError(ErrorCode.PACKAGE_INVALID, "the ZIP container has bytes nobody accounts for")


def _checked_items(infos: list[zipfile.ZipInfo], limits: Limits) -> dict[str, tuple[Entry, zipfile.ZipInfo]]:
    if len(infos) > limits.parts:
        raise DomainError(ErrorCode.TOO_LARGE, f"the package has more than {limits.parts} parts")
    items: dict[str, tuple[Entry, zipfile.ZipInfo]] = {}
    total = packed = 0
    for info in infos:
        if info.flag_bits & _ENCRYPTED:
            raise DomainError(ErrorCode.PACKAGE_INVALID, "the ZIP container is itself encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DomainError(ErrorCode.PACKAGE_INVALID, "the ZIP container uses an unusual compression")
        total += info.file_size
        if total > limits.total_size:
            raise DomainError(ErrorCode.TOO_LARGE, f"the package unpacks to more than {limits.total_size} bytes")
        packed += info.compress_size
        ratio = limits.markup_ratio if info.orig_filename.lower().endswith(_MARKUP) else limits.ratio
        if _is_bomb(info.file_size, info.compress_size, ratio, limits.ratio_floor):
            raise DomainError(ErrorCode.TOO_LARGE, "a part is compressed more than any honest file")
        folder = info.orig_filename.endswith("/") and info.file_size == 0
        name = _checked_name(info.orig_filename.removesuffix("/") if folder else info.orig_filename, limits)
        if folder:
            continue
        key = part_key(name)
        if key in items:
            raise DomainError(ErrorCode.PACKAGE_INVALID, "two parts have the same name")
        items[key] = (Entry(name, info.file_size), info)
    if _is_bomb(total, packed, limits.total_ratio, limits.total_ratio_floor):
        raise DomainError(ErrorCode.TOO_LARGE, "the package is compressed more than any honest one")
    return items


def _is_bomb(plain: int, packed: int, ratio: int, floor: int) -> bool:
    return plain > floor and plain > ratio * max(1, packed)


def _checked_name(name: str, limits: Limits) -> str:
    plain = unquote(name)
    segments = plain.split("/")
    if len(name) > limits.name_length or len(segments) > limits.name_depth:
        raise DomainError(ErrorCode.PACKAGE_INVALID, "a part's name is too long")
    unfit = any(not segment.strip(". ") for segment in segments) or plain.count("/") != name.count("/")
    if unfit or "\\" in plain or not plain.isprintable() or (plain[1:2] == ":" and plain[0].isalpha()):
        raise DomainError(ErrorCode.PACKAGE_INVALID, "a part's name is not allowed")
    return f"/{name}"


def _check_local_headers(file: BinaryIO, archive: zipfile.ZipFile) -> None:
    """Refuse entries that share bytes, and whatever a reader of the stream would see and we would not.

    Sharing is the trick of small files that unpack without end. A reader that goes through the file
    from its start (Java's ZipInputStream does) finds entries that the directory leaves out, and
    believes the local headers: it might see another letter.
    """
    end = 0
    loose_end = False
    for info in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
        _check_gap(info.header_offset - end, descriptor=loose_end)
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(_LOCAL_MARK):
            raise _misfit()
        _, _, flags, method, _, _, _, packed, plain, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        name = file.read(name_length)
        extra = file.read(extra_length)
        end = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length + info.compress_size
        loose_end = bool(flags & _DESCRIPTOR_FOLLOWS)
        if packed == plain == _SIZES_IN_EXTRA:
            plain, packed = _sizes_in(extra, (plain, packed))
        same = (
            name == _raw_name(info)
            and method == info.compress_type
            and flags & _ENCRYPTED == 0
            and loose_end == bool(info.flag_bits & _DESCRIPTOR_FOLLOWS)
            and ((packed, plain) == (info.compress_size, info.file_size) or (loose_end and not packed and not plain))
        )
        if not same or _renames(extra, name) or _renames(info.extra, name):
            raise DomainError(ErrorCode.PACKAGE_INVALID, "a part's two ZIP headers differ")
    _check_gap(archive.start_dir - end, descriptor=loose_end)


def _check_gap(size: int, *, descriptor: bool) -> None:
    """After an entry's bytes comes the next entry, or first the sizes that were not known before."""
    if size != 0 and not (descriptor and size in _DESCRIPTOR_SIZES):
        raise _misfit()


def _misfit() -> DomainError:
    return DomainError(ErrorCode.PACKAGE_INVALID, "the ZIP container's entries do not fit together")


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")


def _renames(extra: bytes, name: bytes) -> bool:
    """Whether an extra field gives the entry another name, which some readers believe."""
    return any(kind == _UNICODE_PATH and value[5:] != name for kind, value in _extra_fields(extra))


def _sizes_in(extra: bytes, otherwise: tuple[int, int]) -> tuple[int, int]:
    """Plain and packed size from the 64-bit extra field."""
    for kind, value in _extra_fields(extra):
        if kind == _SIZES_64 and len(value) >= 16:
            return struct.unpack_from("<QQ", value)
    return otherwise


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        yield kind, extra[4 : 4 + size]
        extra = extra[4 + size :]
