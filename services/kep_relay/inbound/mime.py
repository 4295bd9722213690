"""Mail taken apart without changing a byte; written for mail that is broken or hostile.

Every entity knows the exact slice of the message it stands in, because signatures and digests are
over those bytes: the line break before a boundary belongs to the boundary, the one before that to
the part (RFC 2046 5.1.1; kep.md 3.6). Nothing here raises for bad content: what is wrong becomes a
defect, and depth, number of parts and header size are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser
from email.policy import compat32

from services.kep_relay.inbound.texts import decode_bytes
from services.kep_relay.inbound.transfer import Content, decoded

MAX_DEPTH = 16
MAX_PARTS = 500
MAX_HEADER_BYTES = 256 * 1024
_MAX_PARAMETERS = 100
_MAX_PARAMETER_BYTES = 16 * 1024
_WITH_PARAMETERS = ("Content-Type", "Content-Disposition")
_MAX_BOUNDARY = 200
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}")
_PARSER_FAULTS = (ValueError, TypeError, IndexError, LookupError, AttributeError, RecursionError)
"""What the standard library's header parser lets escape on hostile input."""


@dataclass(frozen=True)
class Entity:
    """One MIME entity: headers, and where its bytes are."""

    headers: Message
    raw: memoryview
    """All of it, headers included."""
    body: memoryview
    media_type: str
    children: tuple[Entity, ...] = ()
    """Of a multipart. What stands inside ``message/rfc822`` is a message of its own and not parsed here."""

    def walk(self) -> Iterator[Entity]:
        """The entity and everything below it, in order of appearance."""
        waiting = [self]
        while waiting:
            entity = waiting.pop()
            yield entity
            waiting.extend(reversed(entity.children))

    def content(self) -> Content:
        """The body without its transfer encoding."""
        return decoded(self.body, header_token(self.headers, "Content-Transfer-Encoding", "7bit"))


@dataclass
class ParsedMail:
    """A message taken apart, with what was wrong with it."""

    root: Entity
    defects: list[str] = field(default_factory=list)
    """Stable words: ``too-deep``, ``too-many-parts``, ``headers-unreadable``, ``boundary-missing`` …"""

    @property
    def exhausted(self) -> bool:
        """Whether a limit cut the message short, so that parts of it were not looked at."""
        return not {"too-deep", "too-many-parts", "headers-too-large"}.isdisjoint(self.defects)


def parse_mail(raw: bytes | memoryview) -> ParsedMail:
    """Take ``raw`` apart. Never raises for content; linear in size times ``MAX_DEPTH``."""
    defects: list[str] = []
    budget = [MAX_PARTS]
    root = _parse(memoryview(raw), 0, budget, defects, default_type="text/plain")
    return ParsedMail(root, list(dict.fromkeys(defects)))


def header_token(headers: Message, name: str, default: str = "") -> str:
    """The first word of a header in ASCII lower case, comments and parameters cut off."""
    value = headers.get(name)
    if value is None:
        return default
    return str(value).partition(";")[0].partition("(")[0].strip().lower() or default


def _parse(raw: memoryview, depth: int, budget: list[int], defects: list[str], *, default_type: str) -> Entity:
    budget[0] -= 1
    headers, start = _headers(raw, defects)
    media_type = _media_type(headers, default_type)
    body = raw[start:]
    entity = Entity(headers, raw, body, media_type)
    if not media_type.startswith("multipart/"):
        return entity
    if depth >= MAX_DEPTH:
        defects.append("too-deep")
        return entity
    inner_type = "message/rfc822" if media_type == "multipart/digest" else "text/plain"
    children = []
    for part in _parts(body, _boundary(headers), defects):
        if budget[0] <= 0:
            defects.append("too-many-parts")
            break
        children.append(_parse(part, depth + 1, budget, defects, default_type=inner_type))
    return Entity(headers, raw, body, media_type, tuple(children))


def _headers(raw: memoryview, defects: list[str]) -> tuple[Message, int]:
    head = bytes(raw[:MAX_HEADER_BYTES])
    for blank in (b"\r\n", b"\n"):
        if head.startswith(blank):
            return Message(), len(blank)
    end = _HEADER_END.search(head)
    if end is None and len(raw) > MAX_HEADER_BYTES:
        defects.append("headers-too-large")
        return Message(), 0
    try:
        # Without a blank line the whole of it is headers; the body is then empty.
        block = head if end is None else head[: end.start()]
        # Line by line: one header may be UTF-8 and the next windows-1254 (kep.md 6.9).
        text = "\n".join(decode_bytes(line) for line in block.replace(b"\r\n", b"\n").split(b"\n"))
        headers = HeaderParser(policy=compat32).parsestr(text + "\n\n")
    except _PARSER_FAULTS:
        defects.append("headers-unreadable")
        return Message(), 0 if end is None else end.end()
    _drop_endless_parameters(headers, defects)
    return headers, len(raw) if end is None else end.end()


def _drop_endless_parameters(headers: Message, defects: list[str]) -> None:
    """The standard library takes time with the square of these headers' length: minutes for one of 256 KiB."""
    for name in _WITH_PARAMETERS:
        for value in map(str, headers.get_all(name, ())):
            if len(value) > _MAX_PARAMETER_BYTES or value.count(";") > _MAX_PARAMETERS:
                defects.append("header-too-long")
                del headers[name]
                if name == "Content-Type":
                    headers[name] = "application/octet-stream"
                break


def _media_type(headers: Message, default: str) -> str:
    value = header_token(headers, "Content-Type", default)
    return value if _MEDIA_TYPE.fullmatch(value) else "application/octet-stream"


def _boundary(headers: Message) -> bytes | None:
    try:
        boundary = headers.get_boundary()
    except _PARSER_FAULTS:
        return None
    if not boundary or len(boundary) > _MAX_BOUNDARY:
        return None
    return boundary.encode("utf-8", "surrogateescape")


def _parts(body: memoryview, boundary: bytes | None, defects: list[str]) -> Iterator[memoryview]:
    if boundary is None:
        defects.append("boundary-missing")
        return
    start: int | None = None
    for end, position, last in _delimiters(body, boundary):
        if start is not None:
            # The line break after one delimiter may be the one before the next: then the part is empty.
            yield body[start : max(start, end)]
        if last:
            return
        start = position + (2 if bytes(body[position : position + 1]) == b"\r" else 1)
    if start is None:
        defects.append("boundary-not-found")
        return
    defects.append("closing-boundary-missing")
    yield body[min(start, len(body)) :]


def _delimiters(body: memoryview, boundary: bytes) -> Iterator[tuple[int, int, bool]]:
    """For each delimiter: where the part before it ends, where its line ends, and whether it is the last one.

    The pattern begins with plain text so that ``re`` looks for that first: the whole search holds the
    interpreter, and with a choice at the beginning it takes thirty times as long.
    """
    text = b"--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)"
    position = 0
    if found := re.compile(text).match(body):
        position = found.end()
        yield 0, position, bool(found.group(1))
    later = re.compile(b"\n" + text)
    while (found := later.search(body, position)) is not None:
        end = found.start()
        if end > position and body[end - 1] == 0x0D:
            end -= 1
        position = found.end()
        yield end, position, bool(found.group(1))
