"""An envelope taken apart: recipients, cipher, and where the encrypted bytes lie in the file.

The content stays where it is: one walk over the file (linear, without recursion) finds its pieces,
so that a large envelope can be a mapped file. Only what surrounds it is copied, within a limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from services.signer import der
from services.signer.envelopes.algorithms import AUTHENTICATED_ENVELOPED_DATA, ENVELOPED_DATA
from services.signer.envelopes.recipients import Recipient, parse_recipients
from services.signer.envelopes.refusals import EnvelopeRefused, reading
from services.signer.findings import CheckFailed
from services.signer.limits import DEFAULT_LIMITS, Limits, Node, Readable, definite, malformed, too_much, walk
from shared.contracts.envelopes import EnvelopeRefusal

BLOCK_BYTES = 1024 * 1024
_PIECES = 0x24  # constructed OCTET STRING
_SET_OF = bytes((der.SET,))


@dataclass(frozen=True)
class Envelope:
    """One envelope; ``pieces`` are the offsets of its encrypted content in the file it was read from."""

    authenticated: bool
    content_type: str
    cipher: der.Element
    recipients: tuple[Recipient, ...]
    pieces: tuple[tuple[int, int], ...]
    authenticated_attributes: bytes
    """What AES-GCM covers besides the content: DER of a SET OF, or nothing (RFC 5083, 2.2)."""
    mac: bytes

    @property
    def encrypted_bytes(self) -> int:
        """Size of the encrypted content."""
        return sum(end - start for start, end in self.pieces)

    def blocks(self, data: Readable) -> Iterator[bytes]:
        """The encrypted content of ``data`` in blocks of about ``BLOCK_BYTES``, whatever pieces it came in."""
        gathered: list[bytes] = []
        size = 0
        for start, end in self.pieces:
            for position in range(start, end, BLOCK_BYTES):
                gathered.append(data[position : min(end, position + BLOCK_BYTES)])
                size += len(gathered[-1])
                if size >= BLOCK_BYTES:
                    yield b"".join(gathered)
                    gathered, size = [], 0
        if gathered:
            yield b"".join(gathered)


def parse_envelope(data: Readable, limits: Limits = DEFAULT_LIMITS) -> Envelope:
    """Read a ContentInfo with EnvelopedData or AuthEnvelopedData, BER or DER.

    Raises ``EnvelopeRefused``: NOT_AN_ENVELOPE for anything else, MALFORMED when it is broken or exceeds a
    limit. Algorithms are not judged here.
    """
    if len(data) > limits.asn1_bytes:
        raise EnvelopeRefused(EnvelopeRefusal.MALFORMED, f"larger than {limits.asn1_bytes} bytes")
    if not data[:1] == bytes((der.SEQUENCE,)):
        raise EnvelopeRefused(EnvelopeRefusal.NOT_AN_ENVELOPE, "the file is not CMS")
    with reading("envelope"):
        return _parse(_Walked(data, limits), limits)


class _Walked:
    """The values of the file by their place in the tree."""

    def __init__(self, data: Readable, limits: Limits) -> None:
        self._data = data
        self._frame_left = limits.envelope_frame_bytes
        self._limits = limits
        self.nodes, _ = walk(data, replace(limits, asn1_elements=limits.envelope_elements))
        self._children: dict[int, list[int]] = {}
        for index, node in enumerate(self.nodes):
            self._children.setdefault(node.parent, []).append(index)

    def tag(self, index: int) -> int:
        return self._data[self.nodes[index].start]

    def children(self, index: int, tag: int, name: str) -> list[int]:
        if self.tag(index) != tag:
            raise malformed(f"{name}: tag 0x{self.tag(index):02x} where 0x{tag:02x} belongs")
        return self._children.get(index, [])

    def below(self, index: int) -> Iterator[tuple[int, Node]]:
        """Every value inside one, in order."""
        end = self.nodes[index].end
        for inner in range(index + 1, len(self.nodes)):
            if self.nodes[inner].start >= end:
                return
            yield self.tag(inner), self.nodes[inner]

    def cut(self, index: int) -> der.Element:
        """A copy of one value with definite lengths; all copies together are limited."""
        node = self.nodes[index]
        end = node.end + 2 if node.indefinite else node.end
        self._frame_left -= end - node.start
        if self._frame_left < 0:
            raise too_much("bytes beside the content", self._limits.envelope_frame_bytes)
        return der.read_whole(definite(self._data[node.start : end], self._limits))


def _parse(walked: _Walked, limits: Limits) -> Envelope:
    info = walked.children(0, der.SEQUENCE, "ContentInfo")
    authenticated = _is_authenticated(walked, info)
    body = walked.children(info[1], der.CONTEXT_0, "content") if len(info) == 2 else []
    if len(body) != 1:
        raise malformed("bad ContentInfo")
    fields = list(walked.children(body[0], der.SEQUENCE, "EnvelopedData"))
    if len(fields) < 3:
        raise malformed("the envelope is incomplete")
    der.integer(walked.cut(fields.pop(0)))
    if walked.tag(fields[0]) == der.CONTEXT_0:  # originatorInfo: certificates nobody asked for
        fields.pop(0)
    if len(fields) < 2:
        raise malformed("the envelope is incomplete")
    recipients = parse_recipients(walked.cut(fields.pop(0)), limits)
    content_type, cipher, pieces = _encrypted_content(walked, fields.pop(0))
    attributes = mac = b""
    if fields and walked.tag(fields[0]) == der.CONTEXT_1:
        given = walked.cut(fields.pop(0)).encoded
        attributes = _SET_OF + given[1:] if authenticated else b""
    if authenticated:
        if not fields:
            raise malformed("no message authentication code")
        mac = der.octets(walked.cut(fields.pop(0)))
        if fields and walked.tag(fields[0]) == der.CONTEXT_2:
            fields.pop(0)
    if fields:
        raise malformed("unexpected field in the envelope")
    return Envelope(authenticated, content_type, cipher, recipients, pieces, attributes, mac)


def _is_authenticated(walked: _Walked, info: list[int]) -> bool:
    try:
        content_type = der.oid(walked.cut(info[0])) if info else ""
    except CheckFailed:
        content_type = ""
    if content_type not in {ENVELOPED_DATA, AUTHENTICATED_ENVELOPED_DATA}:
        raise EnvelopeRefused(EnvelopeRefusal.NOT_AN_ENVELOPE, "the file is not a CMS envelope")
    return content_type == AUTHENTICATED_ENVELOPED_DATA


def _encrypted_content(walked: _Walked, index: int) -> tuple[str, der.Element, tuple[tuple[int, int], ...]]:
    parts = walked.children(index, der.SEQUENCE, "encryptedContentInfo")
    if len(parts) != 3:
        raise malformed("no encrypted content")
    content_type = der.oid(walked.cut(parts[0]))
    node = walked.nodes[parts[2]]
    if walked.tag(parts[2]) == der.PRIMITIVE_CONTEXT_0:
        return content_type, walked.cut(parts[1]), ((node.body, node.end),)
    if walked.tag(parts[2]) != der.CONTEXT_0:
        raise malformed("bad encrypted content")
    pieces: list[tuple[int, int]] = []
    for tag, inner in walked.below(parts[2]):
        if tag == der.OCTET_STRING:
            pieces.append((inner.body, inner.end))
        elif tag != _PIECES:
            raise malformed("bad piece of encrypted content")
    return content_type, walked.cut(parts[1]), tuple(pieces)
