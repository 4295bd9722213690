"""Signed properties of XAdES (EN 319 132-1, 5.2), read from the octets their reference covers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from services.signer import der
from services.signer.certificates import Certificate
from services.signer.facts import CertificateReference, SignaturePolicy
from services.signer.findings import CheckFailed
from services.signer.formats.attributes import attribute_failure, issuer_serial
from services.signer.formats.xades_algorithms import digest_of
from services.signer.formats.xml_layout import DS, XADES, hardened_parser, octets_of, only_child, text_of
from services.signer.limits import Limits, malformed, too_much

_SINGLE = ("SigningTime", "SigningCertificate", "SigningCertificateV2", "SignaturePolicyIdentifier")
_URN = "urn:oid:"
_LONGEST_POLICY = 200


@dataclass(frozen=True)
class SignedProperties:
    """The signed properties that mean something to us."""

    signing_time: datetime | None
    references: tuple[CertificateReference, ...]
    """The first certificate of SigningCertificate and of SigningCertificateV2: the signer's."""
    policy: SignaturePolicy | None
    stamps: tuple[Any, ...]
    """Content time-stamps: AllDataObjectsTimeStamp and IndividualDataObjectsTimeStamp elements."""
    described: tuple[str, ...]
    """What the DataObjectFormat properties say they are about."""

    def names(self, certificate: Certificate) -> bool:
        """Whether every reference is to this certificate."""
        return all(reference.matches(certificate) for reference in self.references)


def parse_signed(octets: bytes, limits: Limits) -> SignedProperties:
    """SignedProperties from what was signed; raises ``CheckFailed`` (FORMAT_FAILURE, or for an unknown digest)."""
    try:
        root = etree.fromstring(octets, hardened_parser())
    except (etree.LxmlError, ValueError) as error:
        raise malformed("signed properties") from error
    return read_signed(root, limits)


def read_signed(root: Any, limits: Limits) -> SignedProperties:
    """The same from the element; raises as ``parse_signed`` does."""
    about_signature = only_child(root, f"{XADES}SignedSignatureProperties")
    about_data = only_child(root, f"{XADES}SignedDataObjectProperties")
    found: dict[str, Any] = {}
    for name in _SINGLE:
        nodes = [] if about_signature is None else about_signature.findall(f"{XADES}{name}")
        if len(nodes) > 1:
            raise attribute_failure("attributes.cardinality", oid=name)
        if nodes:
            found[name] = nodes[0]
    references = []
    if "SigningCertificateV2" in found:
        references.append(signer_reference(found["SigningCertificateV2"], limits))
    if "SigningCertificate" in found:
        references.append(signer_reference(found["SigningCertificate"], limits))
    data_objects = [] if about_data is None else list(about_data)
    kinds = (f"{XADES}AllDataObjectsTimeStamp", f"{XADES}IndividualDataObjectsTimeStamp")
    return SignedProperties(
        read_time(found.get("SigningTime")),
        tuple(references),
        _policy(found["SignaturePolicyIdentifier"]) if "SignaturePolicyIdentifier" in found else None,
        tuple(item for item in data_objects if item.tag in kinds),
        tuple(item.get("ObjectReference", "") for item in data_objects if item.tag == f"{XADES}DataObjectFormat"),
    )


def signer_reference(element: Any, limits: Limits) -> CertificateReference:
    """The first entry of SigningCertificate(V2)."""
    entries = element.findall(f"{XADES}Cert")
    if not entries:
        raise attribute_failure("attributes.cardinality", oid=etree.QName(element).localname)
    if len(entries) > limits.certificates:
        raise too_much("certificates", limits.certificates)
    return certificate_reference(entries[0])


def certificate_reference(entry: Any) -> CertificateReference:
    """One Cert: digest, and issuer and serial number when they are given (EN 319 132-1, 5.2.2).

    The older form has the issuer as text, which signers write in many ways; there the serial number counts alone.
    Raises ``CheckFailed`` (FORMAT_FAILURE, or for an unknown digest).
    """
    digest = only_child(entry, f"{XADES}CertDigest")
    if digest is None:
        raise malformed("certificate reference")
    name, value = digest_and_value(digest)
    issuer, serial_number = None, None
    new, old = only_child(entry, f"{XADES}IssuerSerialV2"), only_child(entry, f"{XADES}IssuerSerial")
    if new is not None:
        issuer, serial_number = issuer_serial(der.read_whole(octets_of(new)))
    elif old is not None:
        serial_number = _number(text_of(only_child(old, f"{DS}X509SerialNumber")))
    return CertificateReference(name, value, serial_number, issuer)


def _number(text: str) -> int:
    digits = text.strip().removeprefix("+").removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 200):
        raise malformed("serial number")
    return int(text.strip())


def digest_and_value(element: Any) -> tuple[str, bytes]:
    """A DigestMethod with its DigestValue (DigestAlgAndValueType); raises ``CheckFailed``."""
    return digest_of(only_child(element, f"{DS}DigestMethod")), octets_of(only_child(element, f"{DS}DigestValue"))


def _policy(element: Any) -> SignaturePolicy:
    """SignaturePolicyIdentifier (EN 319 132-1, 5.2.9): an identifier with a digest, or implied."""
    named = only_child(element, f"{XADES}SignaturePolicyId")
    if named is None:
        if only_child(element, f"{XADES}SignaturePolicyImplied") is None:
            raise attribute_failure("attributes.cardinality", oid="SignaturePolicyIdentifier")
        return SignaturePolicy("", None, b"")
    holder = only_child(named, f"{XADES}SigPolicyId")
    identifier = text_of(None if holder is None else only_child(holder, f"{XADES}Identifier")).strip()
    if identifier.lower().startswith(_URN):
        identifier = identifier[len(_URN) :]
    if not identifier or len(identifier) > _LONGEST_POLICY:
        raise malformed("signature policy")
    digest = only_child(named, f"{XADES}SigPolicyHash")
    if digest is None:
        return SignaturePolicy(identifier, None, b"")
    name, value = digest_and_value(digest)
    return SignaturePolicy(identifier, name, value)


def read_time(element: Any | None) -> datetime | None:
    """The claimed time; it is only shown, so an unreadable one is no failure."""
    try:
        parsed = datetime.fromisoformat(("" if element is None else text_of(element)).strip())
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (CheckFailed, ValueError, OverflowError):
        return None
