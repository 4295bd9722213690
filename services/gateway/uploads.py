"""Reads multipart/form-data as a stream: small fields into memory, files to disk with their digest.

Nothing is kept unless the whole form arrived well: the files have no name on disk, so even a killed
process leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

import python_multipart as multipart
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from shared.domain.identifiers import Sha256
from shared.errors import DomainError, ErrorCode, Fault

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_CHUNK = 256 * 1024
_MOST_PARTS = 128
_LONGEST_FILENAME = 200


@dataclass(frozen=True)
class FieldPart:
    """A part that is read into memory; ``media_types`` it may declare besides none at all."""

    limit: int
    required: bool = True
    media_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class FilePart:
    """A part that goes to disk."""

    limit: int
    required: bool = True


@dataclass(frozen=True)
class UploadedFile:
    """A received file; it vanishes when the form is closed. Reading it blocks: do it in a thread."""

    file: BinaryIO
    filename: str
    size: int
    sha256: Sha256

    def rewound(self) -> BinaryIO:
        """The file itself, at its start."""
        self.file.seek(0)
        return self.file

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes from the start, without blocking the loop."""
        left, chunk = self.size, await asyncio.to_thread(self._first)
        while chunk:
            yield chunk
            left -= len(chunk)
            chunk = await asyncio.to_thread(self.file.read, _CHUNK) if left > 0 else b""

    def _first(self) -> bytes:
        return self.rewound().read(_CHUNK)


@dataclass(frozen=True)
class Form:
    """A form that arrived whole."""

    fields: Mapping[str, bytes]
    files: Mapping[str, UploadedFile]


@dataclass
class _Part:
    name: str
    rule: FieldPart | FilePart
    filename: str
    held: bytearray = field(default_factory=bytearray)
    file: IO[bytes] | None = None
    size: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)


@asynccontextmanager
async def receive_form(request: Request, parts: Mapping[str, FieldPart | FilePart], spool: Path) -> AsyncIterator[Form]:
    """Read the body of ``request`` as a form of exactly the given parts.

    Raises ``DomainError``: UNSUPPORTED_MEDIA_TYPE, MALFORMED_REQUEST, UPLOAD_TRUNCATED,
    VALIDATION_FAILED (a part missing, unknown or given twice), TOO_LARGE,
    DURABILITY_UNAVAILABLE (no room to receive it).
    """
    boundary = _boundary(request.headers.get("content-type", ""))
    reader = _Reader(parts, spool)
    try:
        await reader.read(request, boundary)
        yield reader.form()
    except OSError as error:
        raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, "there is no room to receive the upload") from error
    finally:
        reader.close()


def _boundary(content_type: str) -> bytes:
    media_type, options = parse_options_header(content_type)
    if media_type != b"multipart/form-data":
        raise DomainError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, "the body must be multipart/form-data")
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:
        raise DomainError(ErrorCode.MALFORMED_REQUEST, "multipart/form-data without a valid boundary")
    return boundary


class _Reader:
    def __init__(self, parts: Mapping[str, FieldPart | FilePart], spool: Path) -> None:
        self._rules = parts
        self._spool = spool
        self._parts: dict[str, _Part] = {}
        self._current: _Part | None = None
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._ended = False
        self._pending = bytearray()

    async def read(self, request: Request, boundary: bytes) -> None:
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value_piece,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._piece,
            "on_end": self._form_ends,
        }
        try:
            parser = multipart.MultipartParser(boundary, callbacks)
            async for chunk in request.stream():
                # Hashing and writing a chunk takes a millisecond at most, less than a thread hop for each piece.
                parser.write(chunk)
                if len(self._pending) >= _CHUNK:
                    await self._flush()
            await self._flush()
        except FormParserError as error:
            raise DomainError(ErrorCode.MALFORMED_REQUEST, "the multipart form is not well-formed") from error
        except ClientDisconnect as error:
            raise DomainError(ErrorCode.UPLOAD_TRUNCATED, "the connection ended before the body did") from error
        if not self._ended:
            raise DomainError(ErrorCode.UPLOAD_TRUNCATED, "the body ended before the form did")
        for part in self._parts.values():
            if part.file is not None:
                await asyncio.to_thread(part.file.flush)

    def form(self) -> Form:
        """Check that everything required came."""
        missing = [name for name, rule in self._rules.items() if rule.required and name not in self._parts]
        if missing:
            faults = [Fault(f"/{name}", "this part is required") for name in missing]
            raise DomainError(ErrorCode.VALIDATION_FAILED, "a part of the form is missing", faults=faults)
        fields = {name: bytes(part.held) for name, part in self._parts.items() if part.file is None}
        files = {
            name: UploadedFile(cast("BinaryIO", part.file), part.filename, part.size, Sha256(part.digest.hexdigest()))
            for name, part in self._parts.items()
            if part.file is not None
        }
        return Form(fields, files)

    def close(self) -> None:
        for part in self._parts.values():
            if part.file is not None:
                with contextlib.suppress(OSError):
                    part.file.close()

    async def _flush(self) -> None:
        part, pending = self._current, self._pending
        if part is not None and part.file is not None and pending:
            self._pending = bytearray()
            await asyncio.to_thread(_absorb, part, pending)

    def _flush_now(self) -> None:
        part = self._current
        if part is not None and part.file is not None and self._pending:
            pending, self._pending = self._pending, bytearray()
            _absorb(part, pending)

    def _part_begins(self) -> None:
        self._flush_now()
        self._current = None
        self._headers = {}

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_value_piece(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        rule = self._rules.get(name)
        fault: str | None = None
        if rule is None:
            fault = "there is no such part"
        elif name in self._parts or len(self._parts) >= _MOST_PARTS:
            fault = "this part is given twice"
        if rule is None or fault is not None:
            raise DomainError(
                ErrorCode.VALIDATION_FAILED,
                "the form has a part too many",
                faults=[Fault(f"/{name[:100]}", fault or "")],
            )
        if isinstance(rule, FieldPart):
            media_type = self._headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
            if media_type and rule.media_types and media_type not in rule.media_types:
                raise DomainError(
                    ErrorCode.UNSUPPORTED_MEDIA_TYPE, f"the part {name} must be {' or '.join(rule.media_types)}"
                )
        part = _Part(name, rule, _filename(options.get(b"filename", b"")))
        if isinstance(rule, FilePart):
            part.file = tempfile.TemporaryFile(dir=self._spool)  # noqa: SIM115 - closed by close()
        self._parts[name] = self._current = part

    def _piece(self, data: bytes, start: int, end: int) -> None:
        part = self._current
        assert part is not None
        part.size += end - start
        if part.size > part.rule.limit:
            detail = f"the part {part.name} is larger than {part.rule.limit} bytes"
            raise DomainError(ErrorCode.TOO_LARGE, detail, faults=[Fault(f"/{part.name}", detail)])
        target = part.held if part.file is None else self._pending
        target += data[start:end]

    def _form_ends(self) -> None:
        self._flush_now()
        self._ended = True


def _absorb(part: _Part, content: bytearray) -> None:
    assert part.file is not None
    part.digest.update(content)
    part.file.write(content)


def _filename(raw: bytes) -> str:
    """The last step of the path a client named, without anything a header or a file system would choke on."""
    text = raw.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in text if character.isprintable())[-_LONGEST_FILENAME:]
