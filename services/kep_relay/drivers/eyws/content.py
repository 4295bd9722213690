"""Looks at messages only as far as needed: what they call themselves."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator
from email.message import Message
from email.parser import BytesHeaderParser
from typing import IO

from services.kep_relay.drivers.eyws import wire
from services.kep_relay.drivers.protocol import Envelope
from shared.errors import DomainError, ErrorCode

_MOST_HEADERS = 256 * 1024
_SECTION = 64 * 1024
_PIECE = 1024 * 1024
_HEADERS_END = re.compile(rb"\r?\n\r?\n")
_EMBEDDED = re.compile(rb"^content-type:[ \t]*message/rfc822\b", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(?:\r?\n[ \t]+)*([^\r\n]{1,998})", re.IGNORECASE | re.MULTILINE)
_MOST_EMBEDDED = 50


class Peeked:
    """A message whose headers were read ahead; iterating gives it whole, once."""

    def __init__(self, content: AsyncIterable[bytes]) -> None:
        self._rest = aiter(content)
        self._read = bytearray()

    async def headers(self) -> Message:
        """Raises VALIDATION_FAILED when they are longer than 256 KiB."""
        while (found := _HEADERS_END.search(self._read)) is None:
            if len(self._read) > _MOST_HEADERS:
                raise DomainError(ErrorCode.VALIDATION_FAILED, "the message's headers do not end")
            try:
                self._read += await anext(self._rest)
            except StopAsyncIteration:
                break
        end = len(self._read) if found is None else found.end()
        return BytesHeaderParser().parsebytes(bytes(self._read[:end]))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The whole message."""
        yield bytes(self._read)
        async for piece in self._rest:
            yield piece


def package_type(headers: Message, envelope: Envelope) -> str:
    """The enumeration that says what the message's own header says (kep.md 7.42).

    Raises VALIDATION_FAILED when the header is missing, doubled or unknown, or when the message carries
    another Message-ID than the one its outcome would be looked for by.
    """
    marks = [str(value).strip() for value in headers.get_all(wire.TYPE_HEADER, [])]
    if len(marks) != 1 or marks[0].lower() not in wire.PACKAGE_TYPES:
        raise DomainError(
            ErrorCode.VALIDATION_FAILED, f"the message's {wire.TYPE_HEADER} is not one known type: {marks!r}"[:300]
        )
    ids = [str(value).strip() for value in headers.get_all("Message-ID", [])]
    if ids != [envelope.message_id_header]:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the message's Message-ID is not the one it was given")
    return wire.PACKAGE_TYPES[marks[0].lower()]


def names_itself(source: IO[bytes], names: frozenset[str]) -> bool:
    """Whether the message, or one it carries, has one of these Message-IDs (kep.md 7.20).

    Only headers count: those at the top, and those that begin a part ``message/rfc822``. The source is
    left at its start.
    """
    wanted = {name.strip().strip("<>") for name in names}
    source.seek(0)
    try:
        return any(name in wanted for name in _message_ids(source))
    finally:
        source.seek(0)


def _message_ids(source: IO[bytes]) -> list[str]:
    found = _ids_of(source.read(_MOST_HEADERS))
    for start in _embedded_at(source):
        source.seek(start)
        section = source.read(_SECTION)
        end = _HEADERS_END.search(section)
        if end is not None:
            found += _ids_of(section[end.end() :].lstrip(b"\r\n"))
    return found


def _embedded_at(source: IO[bytes]) -> list[int]:
    """Where the headers of parts stand that are messages."""
    places: list[int] = []
    position, overlap = 0, 256
    while len(places) < _MOST_EMBEDDED:
        source.seek(position)
        piece = source.read(_PIECE + overlap)
        if not piece:
            break
        places += [position + match.start() for match in _EMBEDDED.finditer(piece) if match.start() < _PIECE]
        position += _PIECE
    return places[:_MOST_EMBEDDED]


def _ids_of(section: bytes) -> list[str]:
    end = _HEADERS_END.search(section)
    headers = section if end is None else section[: end.start()]
    match = _MESSAGE_ID.search(headers)
    return [] if match is None else [match.group(1).decode("ascii", "replace").strip().strip("<>")]
