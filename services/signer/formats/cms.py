"""CMS SignedData taken apart (RFC 5652, 5), without judging anything in it."""

from __future__ import annotations

from dataclasses import dataclass

from services.signer import der
from services.signer.certificates import Certificate, load_certificate
from services.signer.findings import CheckFailed
from services.signer.limits import Limits, definite, malformed, too_much

SIGNED_DATA = "1.2.840.113549.1.7.2"
DATA = "1.2.840.113549.1.7.1"
TST_INFO = "1.2.840.113549.1.9.16.1.4"

CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"
COUNTER_SIGNATURE = "1.2.840.113549.1.9.6"
ALGORITHM_PROTECTION = "1.2.840.113549.1.9.52"
SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
SIGNATURE_TIMESTAMP = "1.2.840.113549.1.9.16.2.14"
CERTIFICATE_REFERENCES = "1.2.840.113549.1.9.16.2.21"
REVOCATION_REFERENCES = "1.2.840.113549.1.9.16.2.22"
CERTIFICATE_VALUES = "1.2.840.113549.1.9.16.2.23"
REVOCATION_VALUES = "1.2.840.113549.1.9.16.2.24"
VALIDATION_DATA_TIMESTAMP = "1.2.840.113549.1.9.16.2.25"
REFERENCES_TIMESTAMP = "1.2.840.113549.1.9.16.2.26"
ARCHIVE_TIMESTAMP_V1 = "1.2.840.113549.1.9.16.2.27"
ARCHIVE_TIMESTAMP_V2 = "1.2.840.113549.1.9.16.2.48"
ARCHIVE_TIMESTAMP_V3 = "0.4.0.1733.2.4"
ARCHIVE_TIMESTAMPS = frozenset({ARCHIVE_TIMESTAMP_V1, ARCHIVE_TIMESTAMP_V2, ARCHIVE_TIMESTAMP_V3})
LONG_TERM_VALIDATION = "0.4.0.1733.2.2"
HASH_INDEX_V1 = "0.4.0.1733.2.5"
HASH_INDEX_V2 = "0.4.0.19122.1.4"
HASH_INDEX_V3 = "0.4.0.19122.1.5"
SIGNATURE_POLICY = "1.2.840.113549.1.9.16.2.15"

_OCSP_KINDS = frozenset({"1.3.6.1.5.5.7.16.2", "1.3.6.1.5.5.7.48.1.1"})
"""otherRevInfoFormat of an OCSP response, whole (RFC 5940) or only its basic part (older CAdES)."""


@dataclass(frozen=True)
class Attribute:
    """One attribute with its values, unparsed."""

    oid: str
    values: tuple[der.Element, ...]
    encoded: bytes


@dataclass(frozen=True)
class SignerInfo:
    """One signerInfo; ``signed`` is the [0] element exactly as sent, or None."""

    version: der.Element
    identifier: der.Element
    digest_algorithm: der.Element
    signed: der.Element | None
    signed_attributes: tuple[Attribute, ...]
    signature_algorithm: der.Element
    signature_field: der.Element
    signature: bytes
    unsigned: der.Element | None


@dataclass(frozen=True)
class SignedData:
    """One SignedData; ``content`` is None when detached."""

    content_type: str
    content: bytes | None
    certificates: tuple[Certificate, ...]
    revocation_lists: tuple[bytes, ...]
    ocsp_responses: tuple[bytes, ...]
    signer_infos: tuple[der.Element, ...]
    encapsulated: der.Element
    certificate_set: der.Element | None
    """The [0] element with all certificates, as sent."""
    revocation_set: der.Element | None
    """The [1] element with all revocation data, as sent."""


def parse_signed_data(encoded: bytes, limits: Limits) -> SignedData:
    """Read a ContentInfo that holds SignedData; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    outer = der.expect(der.read_whole(definite(encoded, limits)), der.SEQUENCE, "ContentInfo")
    info = der.children(outer)
    if len(info) != 2 or der.oid(info[0]) != SIGNED_DATA:
        raise malformed("not CMS SignedData")
    body = der.children(der.expect(info[1], der.CONTEXT_0, "content"))
    if len(body) != 1:
        raise malformed("not CMS SignedData")
    fields = der.children(der.expect(body[0], der.SEQUENCE, "SignedData"))
    if len(fields) < 4:
        raise malformed("SignedData is incomplete")
    der.integer(fields[0])
    der.expect(fields[1], der.SET, "digestAlgorithms")
    content_type, content = encapsulated(fields[2])
    certificates: tuple[Certificate, ...] = ()
    revocation: tuple[tuple[bytes, ...], tuple[bytes, ...]] = ((), ())
    rest = fields[3:]
    certificate_set = rest.pop(0) if rest[0].tag == der.CONTEXT_0 else None
    revocation_set = rest.pop(0) if rest and rest[0].tag == der.CONTEXT_1 else None
    if certificate_set is not None:
        certificates = parse_certificates(certificate_set, limits)
    if revocation_set is not None:
        revocation = _revocation(revocation_set, limits)
    if len(rest) != 1:
        raise malformed("SignedData is incomplete")
    signer_infos = der.children(der.expect(rest[0], der.SET, "signerInfos"))
    if len(signer_infos) > limits.signers:
        raise too_much("signers", limits.signers)
    return SignedData(
        content_type,
        content,
        certificates,
        *revocation,
        tuple(signer_infos),
        fields[2],
        certificate_set,
        revocation_set,
    )


def encapsulated(element: der.Element) -> tuple[str, bytes | None]:
    """Type and octets of an encapContentInfo; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    parts = der.children(der.expect(element, der.SEQUENCE, "encapContentInfo"))
    if not parts or len(parts) > 2:
        raise malformed("bad encapContentInfo")
    content_type = der.oid(parts[0])
    if len(parts) == 1:
        return content_type, None
    wrapped = der.children(der.expect(parts[1], der.CONTEXT_0, "eContent"))
    if len(wrapped) != 1:
        raise malformed("bad eContent")
    # Opaque whatever the type says: one national signer writes signedData over plain text.
    return content_type, der.octets(wrapped[0])


def parse_certificates(element: der.Element, limits: Limits) -> tuple[Certificate, ...]:
    """The readable certificates of a set or sequence of them; others do not spoil it."""
    items = der.children(element)
    if len(items) > limits.certificates:
        raise too_much("certificates", limits.certificates)
    found: list[Certificate] = []
    for item in items:
        if item.tag != der.SEQUENCE:  # attribute certificates and other kinds are not used
            continue
        try:
            found.append(load_certificate(item.encoded, limits))
        except CheckFailed:
            continue  # a stray unreadable certificate does not spoil the others
    return tuple(found)


def _revocation(element: der.Element, limits: Limits) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Revocation lists and OCSP responses of a RevocationInfoChoices."""
    items = der.children(element)
    if len(items) > limits.revocation_lists:
        raise too_much("revocation lists", limits.revocation_lists)
    lists = tuple(item.encoded for item in items if item.tag == der.SEQUENCE)
    return lists, tuple(found for item in items if (found := _ocsp_response(item)) is not None)


def _ocsp_response(item: der.Element) -> bytes | None:
    if item.tag != der.CONTEXT_1:
        return None
    parts = der.children(item)
    if len(parts) != 2 or parts[0].tag != der.OID or der.oid(parts[0]) not in _OCSP_KINDS:
        return None
    return parts[1].encoded


def parse_signer_info(element: der.Element, limits: Limits) -> SignerInfo:
    """Read one signerInfo and its signed attributes; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    fields = der.children(der.expect(element, der.SEQUENCE, "signerInfo"))
    if len(fields) < 5:
        raise malformed("signerInfo is incomplete")
    der.integer(fields[0])
    identifier, digest_algorithm, rest = fields[1], fields[2], fields[3:]
    signed = rest.pop(0) if rest[0].tag == der.CONTEXT_0 else None
    if len(rest) < 2:
        raise malformed("signerInfo is incomplete")
    signature_algorithm, signature = rest[0], der.octets(rest[1])
    unsigned = rest[2] if len(rest) == 3 else None
    if len(rest) > 3 or (unsigned is not None and unsigned.tag != der.CONTEXT_1):
        raise malformed("unexpected field in signerInfo")
    der.expect(digest_algorithm, der.SEQUENCE, "digestAlgorithm")
    return SignerInfo(
        fields[0],
        identifier,
        digest_algorithm,
        signed,
        () if signed is None else parse_attributes(signed, limits),
        signature_algorithm,
        rest[1],
        signature,
        unsigned,
    )


def parse_attributes(element: der.Element, limits: Limits) -> tuple[Attribute, ...]:
    """The attributes of a SET OF Attribute, values unparsed."""
    items = der.children(element)
    if len(items) > limits.attributes:
        raise too_much("attributes", limits.attributes)
    return tuple(parse_attribute(item) for item in items)


def parse_attribute(element: der.Element) -> Attribute:
    """One attribute, values unparsed."""
    parts = der.children(der.expect(element, der.SEQUENCE, "attribute"))
    if len(parts) != 2:
        raise malformed("bad attribute")
    values = der.children(der.expect(parts[1], der.SET, "attribute values"))
    return Attribute(der.oid(parts[0]), tuple(values), element.encoded)
