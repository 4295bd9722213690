"""Rules of the signed attributes (RFC 5652 11; RFC 5035; EN 319 122-1): one value, the right value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from services.signer import der
from services.signer.checks.mathematics import digest_name
from services.signer.facts import CertificateReference, SignaturePolicy
from services.signer.findings import CheckFailed
from services.signer.formats import cms
from services.signer.texts import say
from shared.domain.verdict import SubIndication

_SINGLE_VALUED = frozenset(
    {
        cms.CONTENT_TYPE,
        cms.MESSAGE_DIGEST,
        cms.SIGNING_TIME,
        cms.ALGORITHM_PROTECTION,
        cms.SIGNING_CERTIFICATE,
        cms.SIGNING_CERTIFICATE_V2,
        cms.SIGNATURE_POLICY,
        "0.4.0.1733.2.1",  # mime type
    }
)
_UNSIGNED_ONLY = frozenset({cms.COUNTER_SIGNATURE, cms.SIGNATURE_TIMESTAMP})
_DIRECTORY_NAME = 0xA4


@dataclass(frozen=True)
class SignedAttributes:
    """The signed attributes that mean something to us."""

    message_digest: bytes
    signing_time: datetime | None
    references: tuple[CertificateReference, ...]
    policy: SignaturePolicy | None


def attribute_failure(key: str, **values: object) -> CheckFailed:
    """A breach of the attribute rules: the signature is not in the form the standard gives it."""
    return CheckFailed(SubIndication.FORMAT_FAILURE, say(key, **values))


def read_signed_attributes(info: cms.SignerInfo, content_type: str | None) -> SignedAttributes:
    """Apply all rules; raises ``CheckFailed`` (FORMAT_FAILURE) on the first that does not hold.

    ``content_type`` is None for a counter-signature, which must not name one (RFC 5652, 11.4).
    """
    counts = Counter(attribute.oid for attribute in info.signed_attributes)
    for oid, count in counts.items():
        if count > 1:
            raise attribute_failure("attributes.repeated", oid=oid)
        if oid in _UNSIGNED_ONLY:
            raise attribute_failure("attributes.not-signed", oid=oid)
    found: dict[str, der.Element] = {}
    for attribute in info.signed_attributes:
        if not attribute.values or (len(attribute.values) > 1 and attribute.oid in _SINGLE_VALUED):
            raise attribute_failure("attributes.cardinality", oid=attribute.oid)
        found[attribute.oid] = attribute.values[0]
    _check_content_type(found, content_type)
    if cms.ALGORITHM_PROTECTION in found:
        _check_protection(found[cms.ALGORITHM_PROTECTION], info)
    references = []
    if cms.SIGNING_CERTIFICATE_V2 in found:
        references.append(_reference(found[cms.SIGNING_CERTIFICATE_V2], version_2=True))
    if cms.SIGNING_CERTIFICATE in found:
        references.append(_reference(found[cms.SIGNING_CERTIFICATE], version_2=False))
    return SignedAttributes(
        der.octets(found[cms.MESSAGE_DIGEST]),
        der.moment(found[cms.SIGNING_TIME]) if cms.SIGNING_TIME in found else None,
        tuple(references),
        _policy(found[cms.SIGNATURE_POLICY]) if cms.SIGNATURE_POLICY in found else None,
    )


def _check_content_type(found: dict[str, der.Element], content_type: str | None) -> None:
    for oid in (cms.MESSAGE_DIGEST,) if content_type is None else (cms.CONTENT_TYPE, cms.MESSAGE_DIGEST):
        if oid not in found:
            raise attribute_failure("attributes.missing", oid=oid)
    if content_type is None:
        if cms.CONTENT_TYPE in found:
            raise attribute_failure("attributes.counter-content-type")
    elif der.oid(found[cms.CONTENT_TYPE]) != content_type:
        raise attribute_failure("attributes.content-type")


def _policy(value: der.Element) -> SignaturePolicy:
    """SignaturePolicy: an identifier with the digest of its text, or NULL for an implied one."""
    if value.tag == der.NULL:
        return SignaturePolicy("", None, b"")
    parts = der.children(der.expect(value, der.SEQUENCE, "SignaturePolicyId"))
    digest = der.children(der.expect(parts[1], der.SEQUENCE, "sigPolicyHash")) if len(parts) > 1 else []
    if not parts or len(digest) not in (0, 2):
        raise attribute_failure("attributes.cardinality", oid=cms.SIGNATURE_POLICY)
    if not digest:
        return SignaturePolicy(der.oid(parts[0]), None, b"")
    return SignaturePolicy(der.oid(parts[0]), digest_name(digest[0]), der.octets(digest[1]))


def _check_protection(value: der.Element, info: cms.SignerInfo) -> None:
    """CMSAlgorithmProtection (RFC 6211), compared by meaning: signers write it with and without NULL."""
    parts = der.children(value)
    if len(parts) != 2 or parts[1].tag != der.CONTEXT_1:
        raise attribute_failure("attributes.protection")
    same_digest = _algorithm_oid(parts[0]) == _algorithm_oid(info.digest_algorithm)
    same_signature = _algorithm_oid(parts[1]) == _algorithm_oid(info.signature_algorithm)
    if not (same_digest and same_signature):
        raise attribute_failure("attributes.protection")


def _algorithm_oid(identifier: der.Element) -> str:
    parts = der.children(identifier)
    if not parts:
        raise attribute_failure("attributes.protection")
    return der.oid(parts[0])


def _reference(value: der.Element, *, version_2: bool) -> CertificateReference:
    """The first certificate of SigningCertificate(V2): the signer's (RFC 5035, 5.4)."""
    oid = cms.SIGNING_CERTIFICATE_V2 if version_2 else cms.SIGNING_CERTIFICATE
    sequence = der.children(der.expect(value, der.SEQUENCE, "SigningCertificate"))
    certificates = der.children(sequence[0]) if sequence else []
    if not certificates:
        raise attribute_failure("attributes.cardinality", oid=oid)
    fields = der.children(der.expect(certificates[0], der.SEQUENCE, "ESSCertID"))
    digest = "sha256" if version_2 else "sha1"
    if version_2 and fields and fields[0].tag == der.SEQUENCE:
        digest = digest_name(fields.pop(0))
    if not fields:
        raise attribute_failure("attributes.cardinality", oid=oid)
    value_octets = der.octets(fields.pop(0))
    issuer, serial_number = issuer_serial(fields[0]) if fields else (None, None)
    return CertificateReference(digest, value_octets, serial_number, issuer)


def issuer_serial(element: der.Element) -> tuple[bytes | None, int | None]:
    """Issuer (when it is one directory name) and serial number of an IssuerSerial (RFC 5035, 5)."""
    parts = der.children(der.expect(element, der.SEQUENCE, "IssuerSerial"))
    if len(parts) < 2:
        raise attribute_failure("attributes.cardinality", oid=cms.SIGNING_CERTIFICATE_V2)
    names = der.children(parts[0])
    issuer = None
    if len(names) == 1 and names[0].tag == _DIRECTORY_NAME:
        issuer = der.children(names[0])[0].encoded if der.children(names[0]) else None
    return issuer, der.integer(parts[1])
