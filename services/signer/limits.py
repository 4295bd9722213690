"""What outside bytes may cost: checked in linear time before any ASN.1 library sees them.

asn1crypto recurses over nested values and re-reads indefinite lengths at every level: 3 kB of
nested SEQUENCEs raise ``RecursionError``, 20 MB in 1,000-byte chunks take ten seconds. So the
bytes are walked here once, without recursion, and BER indefinite lengths become definite.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TypeAlias

from services.signer.findings import CheckFailed
from services.signer.texts import say
from shared.domain.verdict import SubIndication

Readable: TypeAlias = bytes | mmap.mmap
"""Bytes in memory, or a file mapped into it."""

_CONSTRUCTED = 0x20
_LONG_TAG = 0x1F


@dataclass(frozen=True)
class Limits:
    """Upper bounds; sizes in bytes."""

    asn1_bytes: int = 80 * 1024 * 1024
    asn1_depth: int = 64
    asn1_elements: int = 1_000_000
    """A long-term signature may carry lists: one of 50,000 entries with their reasons has 300,000 values."""
    signers: int = 32
    certificates: int = 200
    certificate_bytes: int = 64 * 1024
    revocation_lists: int = 50
    timestamps: int = 64
    stamped_bytes: int = 512 * 1024 * 1024
    """What may be hashed for the time-stamps of one file; each archive time-stamp covers all of it."""
    counter_signature_depth: int = 4
    attributes: int = 64
    xml_bytes: int = 10 * 1024 * 1024
    xml_elements: int = 50_000
    xml_attributes: int = 5_000
    """Attributes and namespace declarations: libxml2 canonicalises those of one element in quadratic time."""
    mail_header_bytes: int = 256 * 1024
    content_type_characters: int = 4096
    rsa_bits: int = 8192
    rsa_exponent_bits: int = 256
    recipients: int = 64
    envelope_elements: int = 200_000
    """Of ASN.1: where each lies is kept in memory, in signer itself and not in a worker, while an envelope is read."""
    envelope_frame_bytes: int = 1024 * 1024
    """What surrounds the encrypted content of an envelope: recipients, originator, attributes."""
    pdf_bytes: int = 80 * 1024 * 1024
    pdf_revisions: int = 100
    pdf_comparisons: int = 200
    """Of revisions with later ones, for all signatures of a file together."""
    pdf_steps: int = 5_000_000
    """Reads, parsed values and followed references; a second takes half a million to a million of them."""


DEFAULT_LIMITS = Limits()


def malformed(detail: str) -> CheckFailed:
    """The failure for bytes that are not what they claim to be; ``detail`` is English, for the report."""
    return CheckFailed(SubIndication.FORMAT_FAILURE, say("format.malformed", detail=detail))


def too_much(what: str, limit: int) -> CheckFailed:
    """The failure for bytes that are larger, deeper or more numerous than allowed."""
    return CheckFailed(SubIndication.FORMAT_FAILURE, say("format.limit", what=what, limit=limit))


@dataclass(slots=True)
class Node:
    """Where one value lies; ``end`` stands before the end-of-contents octets, ``parent`` is an index (-1: none)."""

    start: int
    body: int
    end: int
    parent: int
    indefinite: bool


def definite(data: bytes, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return ``data`` (one BER value) with every indefinite length made definite; linear in time.

    A value without indefinite lengths comes back as it is, and so does every inner value without
    them, byte for byte: signatures inside stay good. Raises ``CheckFailed`` (FORMAT_FAILURE) when
    the value is malformed, is followed by other bytes, or exceeds a limit.
    """
    if len(data) > limits.asn1_bytes:
        raise too_much("bytes", limits.asn1_bytes)
    if _all_definite(data, limits):
        return data
    nodes, _ = walk(data, limits)
    return _rebuild(data, nodes)


def _all_definite(data: bytes, limits: Limits) -> bool:
    """Whether no length is indefinite; raises as ``walk``, and does not keep where the values lie.

    Nearly all files are so, and this loop is a good part of a verification's time.
    """
    bounds: list[int] = []
    bound = len(data)
    position = count = 0
    while True:
        if position >= bound:
            raise malformed("truncated value")
        tag = data[position]
        if not tag:
            raise malformed("unexpected end-of-contents")
        count += 1
        if count > limits.asn1_elements:
            raise too_much("ASN.1 values", limits.asn1_elements)
        if position + 1 < bound and data[position + 1] < 0x80 and tag & _LONG_TAG != _LONG_TAG:
            end = position + 2 + data[position + 1]
            position += 2
        else:
            position, length = _header(data, position, bound)
            if length < 0:
                return False
            end = position + length
        if end > bound:
            raise malformed("truncated value")
        if tag & _CONSTRUCTED:
            if len(bounds) >= limits.asn1_depth:
                raise too_much("ASN.1 depth", limits.asn1_depth)
            bounds.append(bound)
            bound = end
        else:
            position = end
        while bounds and position == bound:
            bound = bounds.pop()
        if not bounds:
            if position != len(data):
                raise malformed("bytes after the end of the value")
            return True


def _header(data: Readable, start: int, bound: int) -> tuple[int, int]:
    """Offset of the contents and their length (-1: indefinite) of the value at ``start``."""
    position = start + 1
    if data[start] & _LONG_TAG == _LONG_TAG:
        while position < bound and data[position] & 0x80:
            position += 1
        position += 1
        if position - start > 6:
            raise malformed("tag number too large")
    if position >= bound:
        raise malformed("truncated value")
    first = data[position]
    position += 1
    if first < 0x80:
        return position, first
    if first == 0x80:
        return position, -1
    octets = first & 0x7F
    if octets > 8 or position + octets > bound:
        raise malformed("length field too long")
    return position + octets, int.from_bytes(data[position : position + octets], "big")


def walk(data: Readable, limits: Limits, *, padded: bool = False) -> tuple[list[Node], bool]:
    """Every value of ``data`` in the order they stand, and whether any length is indefinite.

    ``padded``: zeros may follow. Raises ``CheckFailed`` (FORMAT_FAILURE) when the value is malformed, is followed by other bytes, or
    exceeds a limit.
    """
    nodes: list[Node] = []
    stack: list[int] = []
    bounds = [len(data)]
    any_indefinite = False
    position = 0
    while True:
        while stack and not nodes[stack[-1]].indefinite and position == nodes[stack[-1]].end:
            stack.pop()
            bounds.pop()
        if nodes and not stack:
            break
        bound = bounds[-1]
        if position >= bound:
            raise malformed("truncated value")
        if data[position] == 0:
            if not stack or not nodes[stack[-1]].indefinite or data[position : position + 2] != b"\0\0":
                raise malformed("unexpected end-of-contents")
            if position + 2 > bound:
                raise malformed("truncated value")
            nodes[stack.pop()].end = position
            bounds.pop()
            position += 2
            continue
        if len(nodes) >= limits.asn1_elements:
            raise too_much("ASN.1 values", limits.asn1_elements)
        # Most headers are two octets.
        if position + 1 < bound and data[position + 1] < 0x80 and data[position] & _LONG_TAG != _LONG_TAG:
            body, length = position + 2, data[position + 1]
        else:
            body, length = _header(data, position, bound)
        constructed = bool(data[position] & _CONSTRUCTED)
        parent = stack[-1] if stack else -1
        indefinite = length < 0
        if indefinite and not constructed:
            raise malformed("primitive value of indefinite length")
        end = bound if indefinite else body + length
        if end > bound:
            raise malformed("truncated value")
        nodes.append(Node(position, body, end, parent, indefinite))
        any_indefinite = any_indefinite or indefinite
        position = body
        if not constructed:
            position = end
            continue
        if len(stack) >= limits.asn1_depth:
            raise too_much("ASN.1 depth", limits.asn1_depth)
        stack.append(len(nodes) - 1)
        bounds.append(end)
    if position != len(data) and not (padded and not data[position:].strip(b"\0")):
        raise malformed("bytes after the end of the value")
    return nodes, any_indefinite


def _rebuild(data: bytes, nodes: list[Node]) -> bytes:
    changed = [node.indefinite for node in nodes]
    for index in range(len(nodes) - 1, 0, -1):
        if changed[index]:
            changed[nodes[index].parent] = True
    # Children stand after their parents, so one backward sweep knows all lengths.
    lengths = [0] * len(nodes)
    for index in range(len(nodes) - 1, -1, -1):
        node = nodes[index]
        if not changed[index]:
            lengths[index] = node.end - node.body
        if node.parent >= 0 and changed[node.parent]:
            size = lengths[index]
            header = _tag_size(data, node) + len(length_octets(size)) if changed[index] else node.body - node.start
            lengths[node.parent] += header + size
    parts: list[bytes] = []
    skip_to = 0
    view = memoryview(data)
    for index, node in enumerate(nodes):
        if node.start < skip_to:
            continue
        if changed[index]:
            parts.append(data[node.start : node.start + _tag_size(data, node)] + length_octets(lengths[index]))
        else:
            parts.append(bytes(view[node.start : node.end]))
            skip_to = node.end
    return b"".join(parts)


def _tag_size(data: bytes, node: Node) -> int:
    if data[node.start] & _LONG_TAG != _LONG_TAG:
        return 1
    size = 2
    while data[node.start + size - 1] & 0x80:
        size += 1
    return size


def length_octets(length: int) -> bytes:
    """The DER length field for ``length`` content octets."""
    if length < 0x80:
        return bytes((length,))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets
