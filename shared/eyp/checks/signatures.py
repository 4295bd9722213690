"""The CMS files' shape and what they were made over (rules R.70, R.71, R.74, R.83, R.89); cryptography is signer's business."""

from __future__ import annotations

from collections.abc import Iterator

from shared.eyp.ber import BerError, Element, children, read_element, read_header
from shared.eyp.findings import Finding
from shared.eyp.model import SignatureComponent, SignatureKind
from shared.eyp.rules import proof as rules
from shared.eyp.rules import wrapping as wrapping_rules

_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_ENVELOPES = (bytes.fromhex("2a864886f70d010703"), bytes.fromhex("2a864886f70d0109100117"))
_SEQUENCE, _OID, _OCTETS, _SET, _EXPLICIT_0 = 0x30, 0x06, 0x04, 0x31, 0xA0
_CONSTRUCTED_OCTETS = 0x24
_UNSIGNED_ATTRIBUTES = 0xA1
_COUNTER_SIGNATURE = bytes.fromhex("2a864886f70d010906")
_MOST_CHUNKS = 100_000
_MOST_FIELDS = 8
_MOST_SIGNERS = 1_000
ENVELOPE_HEAD = 64
"""How many of a file's first bytes tell whether it is an envelope."""


def check_signature(component: SignatureComponent, cms: bytes, covered: bytes) -> Iterator[Finding]:
    """The file is CMS SignedData whose content is the covered part, byte for byte; a seal is by one signer (R.74)."""
    content = signed_content(cms)
    if content is None:
        yield rules.NOT_CMS[component.kind].found(component.part_name)
    elif content != covered:
        yield rules.CONTENT_DIFFERS[component.kind].found(component.part_name)
    if content is not None and component.kind is SignatureKind.SEAL and (signers := signer_count(cms)) > 1:
        yield rules.SEAL_SIGNERS.found(component.part_name, signers)


def check_update_seal(component: SignatureComponent, cms: bytes, covered: bytes) -> Iterator[Finding]:
    """An update's seal: as any signature, and by one signer (R.89)."""
    content = signed_content(cms)
    if content is None:
        yield wrapping_rules.UPDATE_SEAL_FORMAT.found(component.part_name)
        return
    if content != covered:
        yield wrapping_rules.UPDATE_SEAL_CONTENT.found(component.part_name)
    signers = signer_count(cms)
    if signers > 1:
        yield wrapping_rules.UPDATE_SEAL_SIGNERS.found(component.part_name, signers)


def signed_content(cms: bytes) -> bytes | None:
    """The eContent of an attached CMS signature (DER or BER); None if the bytes are no such thing."""
    try:
        content_type, signed_data = _content_info(cms)
        if content_type != _SIGNED_DATA:
            return None
        _version, _algorithms, encapsulated = _first(cms, signed_data, _SEQUENCE, 3)
        _type, explicit = _first(cms, encapsulated, _SEQUENCE, 2)
        (octets,) = _first(cms, explicit, _EXPLICIT_0, 1)
        return _octets(cms, octets)
    except BerError:
        return None


def is_envelope(head: bytes, size: int) -> bool:
    """Whether a file of ``size`` bytes that starts like this is CMS EnvelopedData or AuthEnvelopedData (DER or BER)."""
    try:
        inside = _enter(head, 0, _SEQUENCE, size)
        content_type, start, length = read_header(head, inside, size)
        if content_type != _OID or length is None or head[start : start + length] not in _ENVELOPES:
            return False
        content = _enter(head, start + length, _EXPLICIT_0, size)
        return _enter(head, content, _SEQUENCE, size) > 0
    except BerError:
        return False


def _enter(head: bytes, position: int, identifier: int, limit: int) -> int:
    """Where the content of the element at ``position`` starts, which must have that identifier octet."""
    found, start, _ = read_header(head, position, limit)
    if found != identifier:
        raise BerError("another structure was expected")
    return start


def signer_count(cms: bytes) -> int:
    """Who signed a SignedData, counter-signatures included (RFC 5652, 5.1 and 11.4); 0 if nobody can be found."""
    try:
        infos = children(cms, _content_info(cms)[1], _MOST_FIELDS)[-1]
        signers = children(cms, infos, _MOST_SIGNERS) if infos.identifier == _SET else []
        return sum(1 + _counter_signatures(cms, signer) for signer in signers)
    except (BerError, IndexError):
        return 0


def _counter_signatures(cms: bytes, signer: Element) -> int:
    fields = children(cms, signer, _MOST_FIELDS) if signer.identifier == _SEQUENCE else []
    attributes = [
        children(cms, attribute, 2)
        for field in fields
        if field.identifier == _UNSIGNED_ATTRIBUTES
        for attribute in children(cms, field, _MOST_SIGNERS)
        if attribute.identifier == _SEQUENCE
    ]
    return sum(
        len(children(cms, pair[1], _MOST_SIGNERS))
        for pair in attributes
        if len(pair) == 2 and cms[pair[0].start : pair[0].content_end] == _COUNTER_SIGNATURE
    )


def _content_info(cms: bytes) -> tuple[bytes, Element]:
    outer = read_element(cms, 0, len(cms))
    content_type, explicit = _first(cms, outer, _SEQUENCE, 2)
    (content,) = _first(cms, explicit, _EXPLICIT_0, 1)
    if content_type.identifier != _OID:
        raise BerError("no content type")
    return cms[content_type.start : content_type.content_end], content


def _first(data: bytes, parent: Element, identifier: int, count: int) -> list[Element]:
    """The first ``count`` elements inside a parent that must have that identifier octet."""
    found = children(data, parent, count) if parent.identifier == identifier else []
    if len(found) < count:
        raise BerError("another structure was expected")
    return found


def _octets(data: bytes, element: Element) -> bytes:
    """An octet string, whole or (BER) in chunks."""
    if element.identifier == _OCTETS:
        return data[element.start : element.content_end]
    if element.identifier != _CONSTRUCTED_OCTETS:
        raise BerError("no octet string")
    chunks = children(data, element, _MOST_CHUNKS)
    if any(chunk.identifier != _OCTETS for chunk in chunks) or (chunks and chunks[-1].end < element.content_end):
        raise BerError("chunks of another kind, or too many")
    return b"".join(data[chunk.start : chunk.content_end] for chunk in chunks)
