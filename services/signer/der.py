"""Reading and writing of definite-length ASN.1 values, without interpreting more than is asked for.

CMS is read with this and not with asn1crypto's CMS classes: those parse eContent by its type, read
all attributes or none, and accept repeated ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from services.signer.limits import length_octets, malformed

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
ENUMERATED = 0x0A
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31
CONTEXT_0, CONTEXT_1, CONTEXT_2, CONTEXT_3 = 0xA0, 0xA1, 0xA2, 0xA3
PRIMITIVE_CONTEXT_0 = 0x80
_CONSTRUCTED_OCTET_STRING = 0x24


@dataclass(frozen=True, slots=True)
class Element:
    """One value inside ``source``; ``tag`` is its first identifier octet."""

    source: bytes
    start: int
    body: int
    end: int

    @property
    def tag(self) -> int:
        """First identifier octet; values with long tag numbers match none of the constants."""
        return self.source[self.start]

    @property
    def encoded(self) -> bytes:
        """The whole value, header included, as it stands in the source."""
        return self.source[self.start : self.end]

    @property
    def contents(self) -> bytes:
        """The content octets."""
        return self.source[self.body : self.end]


def read(data: bytes, start: int = 0, bound: int | None = None) -> Element:
    """The value at ``start``; raises ``CheckFailed`` (FORMAT_FAILURE) if it does not fit before ``bound``."""
    bound = len(data) if bound is None else bound
    if start + 2 > bound or data[start] & 0x1F == 0x1F:
        raise malformed("truncated value or long tag")
    first = data[start + 1]
    body = start + 2
    length = first
    if first >= 0x80:
        octets = first & 0x7F
        body += octets
        if not 0 < octets <= 8 or body > bound:
            raise malformed("bad length field")
        length = int.from_bytes(data[start + 2 : body], "big")
    if body + length > bound:
        raise malformed("truncated value")
    return Element(data, start, body, body + length)


def read_whole(data: bytes) -> Element:
    """The one value that fills ``data``."""
    element = read(data)
    if element.end != len(data):
        raise malformed("bytes after the end of the value")
    return element


def expect(element: Element, tag: int, name: str) -> Element:
    """``element`` itself, or ``CheckFailed`` if its tag is another one."""
    if element.tag != tag:
        raise malformed(f"{name}: tag 0x{element.tag:02x} where 0x{tag:02x} belongs")
    return element


def children(element: Element) -> list[Element]:
    """The values inside a constructed one, in order."""
    found: list[Element] = []
    position = element.body
    while position < element.end:
        child = read(element.source, position, element.end)
        found.append(child)
        position = child.end
    return found


def octets(element: Element) -> bytes:
    """Contents of an OCTET STRING, also when it comes in pieces (BER)."""
    if element.tag == OCTET_STRING:
        return element.contents
    expect(element, _CONSTRUCTED_OCTET_STRING, "OCTET STRING")
    pieces: list[bytes] = []
    pending = children(element)[::-1]
    while pending:
        piece = pending.pop()
        if piece.tag == OCTET_STRING:
            pieces.append(piece.contents)
        else:
            expect(piece, _CONSTRUCTED_OCTET_STRING, "OCTET STRING")
            pending.extend(children(piece)[::-1])
    return b"".join(pieces)


def oid(element: Element) -> str:
    """Dotted form of an OBJECT IDENTIFIER."""
    contents = expect(element, OID, "OBJECT IDENTIFIER").contents
    if not contents or len(contents) > 64 or contents[-1] & 0x80:
        raise malformed("bad object identifier")
    arcs: list[int] = []
    value = 0
    for octet in contents:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))


def integer(element: Element) -> int:
    """Value of an INTEGER of at most 64 octets."""
    contents = expect(element, INTEGER, "INTEGER").contents
    if not 0 < len(contents) <= 64:
        raise malformed("bad integer")
    return int.from_bytes(contents, "big", signed=True)


def moment(element: Element) -> datetime:
    """A UTCTime or GeneralizedTime as an aware UTC datetime (RFC 5652, 11.3)."""
    text = element.contents.decode("ascii", "replace")
    try:
        if element.tag == UTC_TIME:
            parsed = datetime.strptime(text, "%y%m%d%H%M%SZ").replace(tzinfo=UTC)
            year = parsed.year if parsed.year < 2050 else parsed.year - 100
            return parsed.replace(year=year)
        expect(element, GENERALIZED_TIME, "time")
        pattern = "%Y%m%d%H%M%S.%fZ" if "." in text else "%Y%m%d%H%M%SZ"
        return datetime.strptime(text, pattern).replace(tzinfo=UTC)
    except ValueError as error:
        raise malformed("bad time value") from error


def encode(tag: int, *contents: bytes) -> bytes:
    """One value with the given identifier octet."""
    body = b"".join(contents)
    return bytes((tag,)) + length_octets(len(body)) + body


def encode_oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    body = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        body += bytes(reversed(groups))
    return encode(OID, bytes(body))


def encode_integer(value: int) -> bytes:
    """An INTEGER that is not negative."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def encode_time(value: datetime) -> bytes:
    """UTCTime until 2049, GeneralizedTime after (RFC 5652, 11.3); whole seconds."""
    value = value.astimezone(UTC)
    if value.year < 2050:
        return encode(UTC_TIME, value.strftime("%y%m%d%H%M%SZ").encode())
    return encode(GENERALIZED_TIME, value.strftime("%Y%m%d%H%M%SZ").encode())


def encode_set_of(items: list[bytes], tag: int = SET) -> bytes:
    """A SET OF in DER: the members in ascending order of their encodings (X.690, 11.6)."""
    return encode(tag, *sorted(items))
