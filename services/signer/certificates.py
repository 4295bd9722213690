"""Certificates as the signer sees them: asn1crypto reads, ``cryptography`` only gets the public key.

A certificate that ``cryptography`` refuses to load may still be a good one (one Turkish root has a
NULL in its ECDSA algorithm), so nothing here depends on its parser.

asn1crypto parses on first look, which takes a millisecond and is not safe between threads. So a
certificate is read to the end when it is loaded, its plain values are kept, and the same bytes are
read once: the same few CA certificates come with every letter.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

from asn1crypto import pem, x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from services.signer import der
from services.signer.findings import CheckFailed
from services.signer.limits import DEFAULT_LIMITS, Limits, definite, malformed, too_much

PublicKey = RSAPublicKey | EllipticCurvePublicKey

ASN1_FAULTS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)
"""What asn1crypto raises on hostile bytes; ``RecursionError`` is not a ``ValueError``.

``MemoryError`` is left out: it says something about the process, and a good file must not fail for it.
"""

QC_COMPLIANCE = "0.4.0.1862.1.1"
_NAME_LIMIT = 8192
_REMEMBERED = 1024
_REMEMBERED_BYTES = 8192
"""Larger certificates are read each time: the memory of hostile ones must not be kept."""
_QC_STATEMENTS = "1.3.6.1.5.5.7.1.3"
_RSASSA_PSS = "1.2.840.113549.1.1.10"
_RSA_ENCRYPTION = "1.2.840.113549.1.1.1"


@dataclass(frozen=True)
class Certificate:
    """One certificate, equal to another when the bytes are."""

    der: bytes
    asn1: x509.Certificate

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and other.der == self.der

    def __hash__(self) -> int:
        return hash(self.der)

    @cached_property
    def sha256(self) -> str:
        """Fingerprint in lower-case hex."""
        return hashlib.sha256(self.der).hexdigest()

    @cached_property
    def serial_number(self) -> int:
        """The issuer's number for this certificate."""
        return int(self.asn1.serial_number)

    @cached_property
    def issuer_der(self) -> bytes:
        """The issuer's name as encoded."""
        return bytes(self.asn1.issuer.dump())

    @cached_property
    def subject_der(self) -> bytes:
        """The subject's name as encoded."""
        return bytes(self.asn1.subject.dump())

    @cached_property
    def issuer_key(self) -> str | None:
        """What the issuer's name has in common with every name equal to it (RFC 5280, 7.1)."""
        return name_key(self.issuer_der)

    @cached_property
    def not_before(self) -> datetime:
        """Start of validity, UTC."""
        moment: datetime = self.asn1.not_valid_before
        return moment

    @cached_property
    def not_after(self) -> datetime:
        """End of validity, UTC."""
        moment: datetime = self.asn1.not_valid_after
        return moment

    @cached_property
    def self_issued(self) -> bool:
        """Whether subject and issuer are the same name."""
        return self.issuer_der == self.subject_der

    @cached_property
    def key_usage(self) -> frozenset[str] | None:
        """Names of RFC 5280 4.2.1.3 in asn1crypto's spelling; None when the extension is absent."""
        value = self.asn1.key_usage_value
        return None if value is None else frozenset(value.native)

    @cached_property
    def extended_key_usage(self) -> frozenset[str]:
        """Object identifiers of the extended key usage; empty when absent."""
        value = self.asn1.extended_key_usage_value
        return frozenset() if value is None else frozenset(usage.dotted for usage in value)

    @cached_property
    def extended_key_usage_critical(self) -> bool:
        """Whether the extended key usage is marked critical."""
        return "extended_key_usage" in self.asn1.critical_extensions

    @cached_property
    def policies(self) -> frozenset[str]:
        """Object identifiers of the certificate policies."""
        value = self.asn1.certificate_policies_value
        return frozenset() if value is None else frozenset(item["policy_identifier"].dotted for item in value)

    @cached_property
    def qc_statements(self) -> frozenset[str]:
        """Object identifiers of the statements in qcStatements (RFC 3739)."""
        for extension in self.asn1["tbs_certificate"]["extensions"]:
            if extension["extn_id"].dotted == _QC_STATEMENTS:
                statements = der.read_whole(bytes(extension["extn_value"].contents))
                return frozenset(der.oid(der.children(statement)[0]) for statement in der.children(statements))
        return frozenset()

    @cached_property
    def key_identifier(self) -> bytes | None:
        """Subject key identifier, when present."""
        value: bytes | None = self.asn1.key_identifier
        return value

    @cached_property
    def is_ca(self) -> bool:
        """Whether basicConstraints says CA."""
        return bool(self.asn1.ca)

    @cached_property
    def revocation_urls(self) -> tuple[str, ...]:
        """The http(s) addresses of the revocation list, in the certificate's order, at most four."""
        urls: list[str] = []
        for point in self.asn1.crl_distribution_points:
            name = point["distribution_point"]
            if name.name != "full_name":
                continue
            for general in name.chosen:
                url = general.native if general.name == "uniform_resource_identifier" else None
                if isinstance(url, str) and url.lower().startswith(("http://", "https://")) and url not in urls:
                    urls.append(url)
        return tuple(urls[:4])

    @cached_property
    def subject_values(self) -> dict[str, str]:
        """The first subject attribute of each of asn1crypto's kinds, for example ``common_name``."""
        return _name_values(self.asn1.subject)

    def subject_value(self, kind: str) -> str | None:
        """One of ``subject_values``."""
        return self.subject_values.get(kind)

    @cached_property
    def subject_name(self) -> str:
        """The subject for people, without identity numbers."""
        return _human_name(self.subject_values)

    @cached_property
    def issuer_name(self) -> str:
        """The issuer for people, without identity numbers."""
        return _human_name(_name_values(self.asn1.issuer))

    @cached_property
    def _public_key_info(self) -> bytes:
        return bytes(self.asn1.public_key.dump())

    def public_key(self, limits: Limits = DEFAULT_LIMITS) -> PublicKey:
        """The public key; raises ``CheckFailed`` for kinds and sizes that are not computed with."""
        return load_public_key(self._public_key_info, limits)


def load_public_key(spki: bytes, limits: Limits = DEFAULT_LIMITS) -> PublicKey:
    """An RSA or elliptic-curve key from SubjectPublicKeyInfo; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    info = der.children(der.expect(der.read_whole(spki), der.SEQUENCE, "SubjectPublicKeyInfo"))
    if len(info) != 2 or info[1].tag != der.BIT_STRING:
        raise malformed("bad public key")
    if der.oid(der.children(info[0])[0]) == _RSASSA_PSS:
        # cryptography does not load keys bound to PSS; the numbers are the same.
        algorithm = der.encode(der.SEQUENCE, der.encode_oid(_RSA_ENCRYPTION), der.encode(der.NULL))
        spki = der.encode(der.SEQUENCE, algorithm, info[1].encoded)
    if len(info[1].contents) > limits.rsa_bits // 8 + 64:
        raise too_much("RSA key bits", limits.rsa_bits)
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise malformed("unusable public key") from error
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        raise malformed("public key of an unsupported kind")
    if isinstance(key, RSAPublicKey) and key.public_numbers().e.bit_length() > limits.rsa_exponent_bits:
        raise too_much("RSA exponent bits", limits.rsa_exponent_bits)
    return key


def load_certificate(encoded: bytes, limits: Limits = DEFAULT_LIMITS) -> Certificate:
    """Read one DER certificate far enough that its properties cannot fail later.

    Raises ``CheckFailed`` (FORMAT_FAILURE).
    """
    if len(encoded) > limits.certificate_bytes:
        raise too_much("certificate bytes", limits.certificate_bytes)
    return _read_once(encoded, limits) if len(encoded) <= _REMEMBERED_BYTES else _read(encoded, limits)


def _read(encoded: bytes, limits: Limits) -> Certificate:
    if definite(encoded, limits) is not encoded:
        raise malformed("certificate not in DER")
    try:
        certificate = Certificate(encoded, x509.Certificate.load(encoded, strict=True))
        _touch(certificate)
    except CheckFailed:
        raise
    except ASN1_FAULTS as error:
        raise malformed("unreadable certificate") from error
    return certificate


_read_once = lru_cache(maxsize=_REMEMBERED)(_read)


def _touch(certificate: Certificate) -> None:
    """Force the lazy parser through everything that is used later."""
    fields: Any = certificate.asn1["tbs_certificate"]
    if certificate.serial_number.bit_length() > 512:
        raise malformed("certificate serial number too long")
    _ = (
        fields["signature"].native,
        certificate.asn1["signature_algorithm"].native,
        certificate.asn1["signature_value"].native,
        certificate.asn1.public_key.sha1,
        certificate.asn1.subject.hashable,
        certificate.asn1.issuer.hashable,
        certificate.asn1.issuer_serial,
        certificate.asn1.critical_extensions,
        certificate.asn1.authority_key_identifier,
        certificate.asn1.authority_issuer_serial,
        certificate.asn1.name_constraints_value,
        certificate.asn1.policy_constraints_value,
        certificate.asn1.subject_alt_name_value,
        certificate.not_before.utcoffset(),
        certificate.not_after.utcoffset(),
        certificate.key_usage,
        certificate.extended_key_usage,
        certificate.policies,
        certificate.qc_statements,
        certificate.key_identifier,
        certificate.is_ca,
        certificate.revocation_urls,
        certificate.issuer_der,
        certificate.subject_der,
        certificate.issuer_key,
        certificate.self_issued,
        certificate.extended_key_usage_critical,
        certificate.subject_name,
        certificate.issuer_name,
        certificate._public_key_info,  # noqa: SLF001 - the class's own module
        certificate.sha256,
    )


def certificate_fields(certificate: bytes) -> tuple[bytes, bytes]:
    """Issuer and serial number as they stand in a DER certificate."""
    fields = der.children(der.children(der.read_whole(certificate))[0])
    if fields[0].tag == der.CONTEXT_0:
        fields = fields[1:]
    return fields[2].encoded, fields[0].encoded


def issuer_and_serial(certificate: bytes) -> bytes:
    """IssuerAndSerialNumber of CMS (RFC 5652, 10.2.4)."""
    return der.encode(der.SEQUENCE, *certificate_fields(certificate))


def readable_name(encoded: bytes) -> str:
    """An encoded name for people, without identity numbers; ``?`` when it is too long or unreadable."""
    if len(encoded) > _NAME_LIMIT:
        return "?"
    try:
        return _human_name(_name_values(x509.Name.load(encoded)))
    except ASN1_FAULTS:
        return "?"


def names_equal(one: bytes, other: bytes) -> bool:
    """Whether two encoded names are the same by RFC 5280 comparison rules."""
    if one == other:
        return True
    key = name_key(one)
    return key is not None and key == name_key(other)


@lru_cache(maxsize=4096)
def name_key(encoded: bytes) -> str | None:
    """What two equal names have in common; string preparation costs a millisecond, so it is remembered.

    None for a name that is too long or unreadable: it equals no other.
    """
    if len(encoded) > _NAME_LIMIT:
        return None
    try:
        return str(x509.Name.load(encoded).hashable)
    except ASN1_FAULTS:
        return None


def pem_or_der(data: bytes) -> list[bytes]:
    """The DER certificates in a file of either form; raises ``ValueError`` if there is none."""
    if not pem.detect(data):
        return [data]
    return [der_bytes for kind, _, der_bytes in pem.unarmor(data, multiple=True) if kind == "CERTIFICATE"]


def _name_values(name: x509.Name) -> dict[str, str]:
    values: dict[str, str] = {}
    for relative in name.chosen:
        for pair in relative:
            values.setdefault(str(pair["type"].native), str(pair["value"].native))
    return values


def _human_name(values: dict[str, str]) -> str:
    """Common name, else organisation, else every part, without identity numbers."""
    for kind in ("common_name", "organization_name"):
        if kind in values:
            return values[kind]
    return ", ".join(text for kind, text in values.items() if kind != "serial_number") or "?"
