"""Rules of the signed attributes (RFC 5652 11; RFC 5035; EN 319 122-1): one value, the right value."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from services.signer import der
from services.signer.certificates import Certificate, names_equal
from services.signer.checks.mathematics import digest_name
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
        "1.2.840.113549.1.9.16.2.15",  # signature policy
        "0.4.0.1733.2.1",  # mime type
    }
)
_UNSIGNED_ONLY = frozenset({cms.COUNTER_SIGNATURE, cms.SIGNATURE_TIMESTAMP})
_DIRECTORY_NAME = 0xA4


@dataclass(frozen=True)
class CertificateReference:
    """What signing-certificate(-v2) says about the signer's certificate."""

    digest: str
    value: bytes
    serial_number: int | None
    issuer: bytes | None

    def matches(self, certificate: Certificate) -> bool:
        """Whether hash, and serial and issuer when given, are those of ``certificate``."""
        if hashlib.new(self.digest, certificate.der).digest() != self.value:
            return False
        if self.serial_number is not None and self.serial_number != certificate.serial_number:
            return False
        return self.issuer is None or names_equal(self.issuer, certificate.issuer_der)


@dataclass(frozen=True)
class SignedAttributes:
    """The signed attributes that mean something to us."""

    message_digest: bytes
    signing_time: datetime | None
    references: tuple[CertificateReference, ...]


def attribute_failure(key: str, **values: object) -> CheckFailed:
    """A breach of the attribute rules: the signature is not in the form the standard gives it."""
    return CheckFailed(SubIndication.FORMAT_FAILURE, say(key, **values))


def read_signed_attributes(info: cms.SignerInfo, content_type: str) -> SignedAttributes:
    """Apply all rules; raises ``CheckFailed`` (FORMAT_FAILURE) on the first that does not hold."""
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
    for oid in (cms.CONTENT_TYPE, cms.MESSAGE_DIGEST):
        if oid not in found:
            raise attribute_failure("attributes.missing", oid=oid)
    if der.oid(found[cms.CONTENT_TYPE]) != content_type:
        raise attribute_failure("attributes.content-type")
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
    )


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
    issuer, serial_number = _issuer_serial(fields[0]) if fields else (None, None)
    return CertificateReference(digest, value_octets, serial_number, issuer)


def _issuer_serial(element: der.Element) -> tuple[bytes | None, int | None]:
    parts = der.children(der.expect(element, der.SEQUENCE, "IssuerSerial"))
    if len(parts) < 2:
        raise attribute_failure("attributes.cardinality", oid=cms.SIGNING_CERTIFICATE_V2)
    names = der.children(parts[0])
    issuer = None
    if len(names) == 1 and names[0].tag == _DIRECTORY_NAME:
        issuer = der.children(names[0])[0].encoded if der.children(names[0]) else None
    return issuer, der.integer(parts[1])
