"""CAdES signatures as we make them (EN 319 122-1): exactly the attributes the profile wants, in DER order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from services.signer import der
from services.signer.certificates import certificate_fields, issuer_and_serial
from services.signer.checks.algorithms import ECDSA, OID_BY_DIGEST, RSA_PSS, SIGNATURE_BY_OID
from services.signer.formats import cms
from services.signer.keys.port import SigningPort

_OID_BY_SIGNATURE = {named: oid for oid, named in SIGNATURE_BY_OID.items() if named[1] is not None}
_OID_OF_PSS = next(oid for oid, (scheme, _digest) in SIGNATURE_BY_OID.items() if scheme == RSA_PSS)
_MGF1 = "1.2.840.113549.1.1.8"


@dataclass(frozen=True)
class MadeSignature:
    """A signature of one signer, to be written with or without a time-stamp of its value."""

    value: bytes
    """The signature value, which a signature time-stamp is about (EN 319 122-1, 5.3)."""
    _signer_fields: bytes
    _digest_algorithm: bytes
    _encapsulated: bytes
    _certificates: tuple[bytes, ...]

    def encoded(self, timestamp: bytes | None = None) -> bytes:
        """SignedData in DER: level B, or level T with a time-stamp token (DER) as unsigned attribute."""
        unsigned = []
        if timestamp is not None:
            unsigned.append(der.encode_set_of([_attribute(cms.SIGNATURE_TIMESTAMP, timestamp)], der.CONTEXT_1))
        signed_data = der.encode(
            der.SEQUENCE,
            der.encode_integer(1),
            der.encode(der.SET, self._digest_algorithm),
            self._encapsulated,
            der.encode_set_of(list(dict.fromkeys(self._certificates)), der.CONTEXT_0),
            der.encode(der.SET, der.encode(der.SEQUENCE, self._signer_fields, *unsigned)),
        )
        return der.encode(der.SEQUENCE, der.encode_oid(cms.SIGNED_DATA), der.encode(der.CONTEXT_0, signed_data))


def make_signature(
    port: SigningPort,
    certificates: tuple[bytes, ...],
    content_digest: bytes,
    attached: bytes | None,
    signing_time: datetime,
) -> MadeSignature:
    """Sign; raises ``DomainError`` as ``SigningPort`` does.

    ``certificates``: the signer's first, then what helps to build its path. ``content_digest`` is
    by ``port.digest``. ``attached`` is None for a detached signature. No algorithm-protection
    attribute: some verifiers compare it byte for byte, and the national tools do not write it.
    """
    attributes = [
        _attribute(cms.CONTENT_TYPE, der.encode_oid(cms.DATA)),
        _attribute(cms.MESSAGE_DIGEST, der.encode(der.OCTET_STRING, content_digest)),
        _attribute(cms.SIGNING_TIME, der.encode_time(signing_time)),
        _attribute(cms.SIGNING_CERTIFICATE_V2, _signing_certificate(certificates[0])),
    ]
    to_sign = der.encode_set_of(attributes)
    value = port.sign(hashlib.new(port.digest, to_sign).digest())
    digest_algorithm = der.encode(der.SEQUENCE, der.encode_oid(OID_BY_DIGEST[port.digest]))
    signer_fields = (
        der.encode_integer(1),
        issuer_and_serial(certificates[0]),
        digest_algorithm,
        der.encode_set_of(attributes, der.CONTEXT_0),
        _signature_algorithm(port),
        der.encode(der.OCTET_STRING, value),
    )
    encapsulated = [der.encode_oid(cms.DATA)]
    if attached is not None:
        encapsulated.append(der.encode(der.CONTEXT_0, der.encode(der.OCTET_STRING, attached)))
    content = der.encode(der.SEQUENCE, *encapsulated)
    return MadeSignature(value, b"".join(signer_fields), digest_algorithm, content, certificates)


def _attribute(oid: str, value: bytes) -> bytes:
    return der.encode(der.SEQUENCE, der.encode_oid(oid), der.encode(der.SET, value))


def _signing_certificate(certificate: bytes) -> bytes:
    """SigningCertificateV2 with one entry; SHA-256 is its default and so not written (RFC 5035)."""
    issuer, serial_number = certificate_fields(certificate)
    names = der.encode(der.SEQUENCE, der.encode(0xA4, issuer))
    entry = der.encode(
        der.SEQUENCE,
        der.encode(der.OCTET_STRING, hashlib.sha256(certificate).digest()),
        der.encode(der.SEQUENCE, names, serial_number),
    )
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, entry))


def _signature_algorithm(port: SigningPort) -> bytes:
    if port.scheme == RSA_PSS:
        return der.encode(der.SEQUENCE, der.encode_oid(_OID_OF_PSS), _pss_parameters(port.digest))
    oid = der.encode_oid(_OID_BY_SIGNATURE[port.scheme, port.digest])
    parameters = b"" if port.scheme == ECDSA else der.encode(der.NULL)
    return der.encode(der.SEQUENCE, oid, parameters)


def _pss_parameters(digest: str) -> bytes:
    """RSASSA-PSS-params (RFC 4055, 3.1): one digest for everything, the salt as long as it."""
    hashed = der.encode(der.SEQUENCE, der.encode_oid(OID_BY_DIGEST[digest]), der.encode(der.NULL))
    mask = der.encode(der.SEQUENCE, der.encode_oid(_MGF1), hashed)
    return der.encode(
        der.SEQUENCE,
        der.encode(der.CONTEXT_0, hashed),
        der.encode(der.CONTEXT_1, mask),
        der.encode(der.CONTEXT_2, der.encode_integer(hashlib.new(digest).digest_size)),
    )
