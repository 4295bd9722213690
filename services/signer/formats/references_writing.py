"""References to and values of validation data as we write them (EN 319 122-1, 5.4 and annex A.1), SHA-256, in DER.

``references.py`` reads them. The order is the standard's: the revocation reference of the signer first, then one
for each certificate reference; that of the anchor is empty, for nobody revokes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.signer import der
from services.signer.certificates import certificate_fields
from services.signer.checks.algorithms import OID_BY_DIGEST
from services.signer.formats import cms
from services.signer.formats.references import ocsp_forms

DIGEST = "sha256"
ALGORITHM = der.encode(der.SEQUENCE, der.encode_oid(OID_BY_DIGEST[DIGEST]))
"""Without parameters (RFC 5754, 2)."""


@dataclass(frozen=True)
class RevocationProof:
    """What speaks for one certificate, in DER."""

    lists: tuple[bytes, ...] = ()
    responses: tuple[bytes, ...] = ()
    """Whole (OCSPResponse) or only their basic part."""


@dataclass(frozen=True)
class CertificateProof:
    """What proves one certificate at one moment."""

    authorities: tuple[bytes, ...]
    """Certificates (DER) from its issuer to the anchor."""
    revocation: tuple[RevocationProof, ...]
    """Of the certificate itself, then of each authority below the anchor."""

    @property
    def lists(self) -> tuple[bytes, ...]:
        """Each list once."""
        return tuple(dict.fromkeys(item for data in self.revocation for item in data.lists))

    @property
    def responses(self) -> tuple[bytes, ...]:
        """Each response once."""
        return tuple(dict.fromkeys(item for data in self.revocation for item in data.responses))

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(map(len, (*self.authorities, *self.lists, *self.responses)))


def attribute(oid: str, *values: bytes) -> bytes:
    """One attribute with its values (DER)."""
    return der.encode(der.SEQUENCE, der.encode_oid(oid), der.encode_set_of(list(values)))


def reference_attributes(data: CertificateProof) -> list[bytes]:
    """complete-certificate-references and complete-revocation-references, without the signer's own certificate."""
    certificates = (_certificate_reference(item) for item in data.authorities)
    # The anchor has no revocation data, and still its place.
    revocation = (*map(_revocation_reference, data.revocation), der.encode(der.SEQUENCE))
    return [
        attribute(cms.CERTIFICATE_REFERENCES, der.encode(der.SEQUENCE, *certificates)),
        attribute(cms.REVOCATION_REFERENCES, der.encode(der.SEQUENCE, *revocation)),
    ]


def value_attributes(certificates: Sequence[bytes], lists: Sequence[bytes], responses: Sequence[bytes]) -> list[bytes]:
    """certificate-values and revocation-values, each only when there is something to hold."""
    found = []
    if certificates:
        found.append(attribute(cms.CERTIFICATE_VALUES, der.encode(der.SEQUENCE, *certificates)))
    choices = []
    if lists:
        choices.append(der.encode(der.CONTEXT_0, der.encode(der.SEQUENCE, *lists)))
    if responses:
        basic = (ocsp_forms(item)[0] for item in responses)
        choices.append(der.encode(der.CONTEXT_1, der.encode(der.SEQUENCE, *basic)))
    if choices:
        found.append(attribute(cms.REVOCATION_VALUES, der.encode(der.SEQUENCE, *choices)))
    return found


def _other_hash(encoded: bytes) -> bytes:
    return der.encode(der.SEQUENCE, ALGORITHM, der.encode(der.OCTET_STRING, hashlib.new(DIGEST, encoded).digest()))


def _certificate_reference(certificate: bytes) -> bytes:
    """OtherCertID with issuer and serial number."""
    issuer, serial_number = certificate_fields(certificate)
    names = der.encode(der.SEQUENCE, der.encode(0xA4, issuer))
    issuer_serial = der.encode(der.SEQUENCE, names, serial_number)
    return der.encode(der.SEQUENCE, _other_hash(certificate), issuer_serial)


def _revocation_reference(data: RevocationProof) -> bytes:
    """CrlOcspRef."""
    choices = []
    if data.lists:
        choices.append(der.encode(der.CONTEXT_0, _listed(_list_reference(item) for item in data.lists)))
    if data.responses:
        choices.append(der.encode(der.CONTEXT_1, _listed(_response_reference(item) for item in data.responses)))
    return der.encode(der.SEQUENCE, *choices)


def _listed(items: Iterable[bytes]) -> bytes:
    """CRLListID or OcspListID."""
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, *items))


def _list_reference(encoded: bytes) -> bytes:
    """CrlValidatedID, with issuer and time where the time has the form the standard wants."""
    fields = der.children(der.children(der.read_whole(encoded))[0])
    if fields[0].tag == der.INTEGER:
        fields = fields[1:]
    _algorithm, issuer, this_update = fields[:3]
    identifier = []
    if this_update.tag == der.UTC_TIME:
        identifier.append(der.encode(der.SEQUENCE, issuer.encoded, this_update.encoded))
    return der.encode(der.SEQUENCE, _other_hash(encoded), *identifier)


def _response_reference(encoded: bytes) -> bytes:
    """OcspResponsesID; the digest is of the whole response, which its basic part determines."""
    basic, whole = ocsp_forms(encoded)
    fields = der.children(der.children(der.read_whole(basic))[0])
    if fields[0].tag == der.CONTEXT_0:
        fields = fields[1:]
    identifier = der.encode(der.SEQUENCE, fields[0].encoded, fields[1].encoded)
    return der.encode(der.SEQUENCE, identifier, _other_hash(whole))
