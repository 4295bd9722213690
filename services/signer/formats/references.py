"""References to and values of validation data in unsigned attributes (EN 319 122-1, annex A.1 and 5.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.signer import der
from services.signer.checks.mathematics import digest_name
from services.signer.facts import CertificateReference, Embedded, Reference, RevocationReferences
from services.signer.formats import cms
from services.signer.formats.attributes import issuer_serial
from services.signer.limits import Limits, malformed, too_much

_BASIC_RESPONSE = "1.3.6.1.5.5.7.48.1.1"


def certificate_references(value: der.Element, limits: Limits) -> tuple[CertificateReference, ...]:
    """CompleteCertificateRefs; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    items = _sequence(value, "CompleteCertificateRefs", limits.certificates)
    return tuple(_certificate_reference(item) for item in items)


def _certificate_reference(element: der.Element) -> CertificateReference:
    fields = der.children(der.expect(element, der.SEQUENCE, "OtherCertID"))
    if not 1 <= len(fields) <= 2:
        raise malformed("bad OtherCertID")
    reference = _hash(fields[0])
    issuer, serial_number = issuer_serial(fields[1]) if len(fields) > 1 else (None, None)
    return CertificateReference(reference.digest, reference.value, serial_number, issuer)


def _hash(element: der.Element) -> Reference:
    """OtherHash: a bare OCTET STRING is SHA-1."""
    if element.tag == der.OCTET_STRING:
        return Reference("sha1", element.contents)
    parts = der.children(der.expect(element, der.SEQUENCE, "OtherHash"))
    if len(parts) != 2:
        raise malformed("bad OtherHash")
    return Reference(digest_name(parts[0]), der.octets(parts[1]))


def revocation_references(value: der.Element, limits: Limits) -> RevocationReferences:
    """CompleteRevocationRefs; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    found = RevocationReferences()
    for element in _sequence(value, "CompleteRevocationRefs", limits.certificates):
        for choice in _choices(element, "CrlOcspRef"):
            if choice.tag == der.CONTEXT_0:
                items = [_hash(_first(item)) for item in _listed(choice, limits)]
                found = replace(found, lists=(*found.lists, *items))
            elif choice.tag == der.CONTEXT_1:
                found = _with_responses(found, _listed(choice, limits))
            else:
                raise malformed("references to revocation data of another kind")
    return found


def _with_responses(found: RevocationReferences, items: Sequence[der.Element]) -> RevocationReferences:
    digested = [der.children(item)[1] for item in items if len(der.children(item)) > 1]
    return replace(
        found,
        responses=(*found.responses, *map(_hash, digested)),
        undigested_responses=found.undigested_responses + len(items) - len(digested),
    )


def _listed(choice: der.Element, limits: Limits) -> list[der.Element]:
    """The members of CRLListID or OcspListID, which hold one SEQUENCE OF."""
    return _sequence(_first(_first_of(choice)), "list of references", limits.revocation_lists)


def certificate_values(value: der.Element, limits: Limits) -> Embedded:
    """CertificateValues; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    return Embedded(cms.parse_certificates(der.expect(value, der.SEQUENCE, "CertificateValues"), limits))


def revocation_values(value: der.Element, limits: Limits) -> Embedded:
    """RevocationValues: lists and basic OCSP responses; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    found = Embedded()
    for choice in _choices(value, "RevocationValues"):
        if choice.tag not in (der.CONTEXT_0, der.CONTEXT_1):
            raise malformed("revocation values of another kind")
        items = _sequence(_first_of(choice), "revocation values", limits.revocation_lists)
        encoded = tuple(item.encoded for item in items)
        found += Embedded(revocation_lists=encoded) if choice.tag == der.CONTEXT_0 else Embedded(ocsp_responses=encoded)
    return found


def _choices(element: der.Element, name: str) -> list[der.Element]:
    """Fields that are each there once at most: joining thousands of them would cost their number squared."""
    fields = der.children(der.expect(element, der.SEQUENCE, name))
    if len({field.tag for field in fields}) < len(fields):
        raise malformed(f"{name} with a repeated field")
    return fields


def _sequence(element: der.Element, name: str, limit: int) -> list[der.Element]:
    items = der.children(der.expect(element, der.SEQUENCE, name))
    if len(items) > limit:
        raise too_much(name, limit)
    return items


def _first(element: der.Element) -> der.Element:
    return _first_of(der.expect(element, der.SEQUENCE, "reference"))


def _first_of(element: der.Element) -> der.Element:
    items = der.children(element)
    if not items:
        raise malformed("empty reference")
    return items[0]


def ocsp_forms(encoded: bytes) -> tuple[bytes, bytes]:
    """A response as values hold it (BasicOCSPResponse) and whole, as it came (RFC 6960, 4.2.1).

    References digest the one or the other. Raises ``CheckFailed`` (FORMAT_FAILURE).
    """
    fields = der.children(der.expect(der.read_whole(encoded), der.SEQUENCE, "OCSP response"))
    if fields and fields[0].tag == der.ENUMERATED:
        if fields[0].contents != b"\0" or len(fields) != 2:
            raise malformed("OCSP response without an answer")
        kind = der.children(_first_of(fields[1]))
        if len(kind) != 2 or der.oid(kind[0]) != _BASIC_RESPONSE:
            raise malformed("OCSP response of another kind")
        return der.octets(kind[1]), encoded
    kind_and_answer = der.encode(der.SEQUENCE, der.encode_oid(_BASIC_RESPONSE), der.encode(der.OCTET_STRING, encoded))
    whole = der.encode(der.SEQUENCE, der.encode(der.ENUMERATED, b"\0"), der.encode(der.CONTEXT_0, kind_and_answer))
    return encoded, whole
