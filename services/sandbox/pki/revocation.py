"""What has been revoked, and the lists (RFC 5280) and answers (RFC 6960) that say so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, TypeAdapter

from services.sandbox.pki.identity import Identity, write_private
from services.sandbox.pki.profiles import Level, Purpose

CRL_LIFETIME = timedelta(hours=24)
OCSP_LIFETIME = timedelta(hours=1)

Reason = Annotated[
    x509.ReasonFlags,
    PlainValidator(lambda value: value if isinstance(value, x509.ReasonFlags) else x509.ReasonFlags(value)),
    PlainSerializer(lambda reason: reason.value, return_type=str),
]


class Revocation(BaseModel):
    """One revoked certificate, as kept in ``revocations.json``."""

    model_config = ConfigDict(frozen=True)

    purpose: Purpose
    level: Level
    """The authority that issued, and so revokes, the certificate."""
    serial: Annotated[int, PlainSerializer(str, return_type=str)] = Field(ge=1)
    revoked_at: datetime
    reason: Reason


_REVOCATIONS = TypeAdapter(tuple[Revocation, ...])


class RevocationRegister:
    """The revocations of one state directory; each is on disk before ``add`` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        known = _REVOCATIONS.validate_json(path.read_bytes()) if path.exists() else ()
        self._by_serial = {revocation.serial: revocation for revocation in known}

    def add(self, revocation: Revocation) -> Revocation:
        """Record ``revocation``; the first one of a certificate stands and is returned."""
        if revocation.serial in self._by_serial:
            return self._by_serial[revocation.serial]
        widened = {**self._by_serial, revocation.serial: revocation}
        write_private(self._path, _REVOCATIONS.dump_json(tuple(widened.values()), indent=1))
        self._by_serial = widened
        return revocation

    def find(self, serial: int) -> Revocation | None:
        """The revocation of the certificate with that serial number, if any."""
        return self._by_serial.get(serial)

    def of(self, purpose: Purpose, level: Level) -> tuple[Revocation, ...]:
        """What one authority has revoked, oldest first."""
        return tuple(
            revocation
            for revocation in self._by_serial.values()
            if revocation.purpose is purpose and revocation.level is level
        )


def build_crl(authority: Identity, revocations: tuple[Revocation, ...], *, number: int, this_update: datetime) -> bytes:
    """A complete list signed by ``authority``, DER, good for ``CRL_LIFETIME`` from ``this_update``."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(this_update)
        .next_update(this_update + CRL_LIFETIME)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    for revocation in revocations:
        entry = x509.RevokedCertificateBuilder().serial_number(revocation.serial).revocation_date(revocation.revoked_at)
        if revocation.reason is not x509.ReasonFlags.unspecified:
            # RFC 5280 section 5.3.1: "unspecified" is said by leaving the extension out
            entry = entry.add_extension(x509.CRLReason(revocation.reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


@dataclass(frozen=True)
class OcspResponder:
    """Answers for what one issuing authority issued, with a certificate delegated by it."""

    authority: Identity
    signer: Identity
    issued: frozenset[int]
    """Serial numbers the authority knows; any other is answered "unknown"."""
    register: RevocationRegister

    def answer(self, request_der: bytes, now: datetime) -> bytes:
        """The DER response to a DER request; anything that is no request gives "malformed request"."""
        try:
            request = ocsp.load_der_ocsp_request(request_der)
            algorithm = request.hash_algorithm
            nonce = _nonce(request)
        except Exception:  # noqa: BLE001 - the parser's failures have no common base
            return _unsuccessful(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
        if not self._is_issuer(request, algorithm):
            return _unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
        revocation = self.register.find(request.serial_number)
        if revocation is not None:
            status = ocsp.OCSPCertStatus.REVOKED
        elif request.serial_number in self.issued:
            status = ocsp.OCSPCertStatus.GOOD
        else:
            status = ocsp.OCSPCertStatus.UNKNOWN
        this_update = now.astimezone(UTC).replace(microsecond=0)
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                issuer_name_hash=request.issuer_name_hash,
                issuer_key_hash=request.issuer_key_hash,
                serial_number=request.serial_number,
                algorithm=algorithm,
                cert_status=status,
                this_update=this_update,
                next_update=this_update + OCSP_LIFETIME,
                revocation_time=revocation.revoked_at if revocation else None,
                revocation_reason=_stated(revocation),
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self.signer.certificate)
            .certificates([self.signer.certificate])
        )
        if nonce is not None:
            builder = builder.add_extension(nonce, critical=False)
        return builder.sign(self.signer.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _is_issuer(self, request: ocsp.OCSPRequest, algorithm: hashes.HashAlgorithm) -> bool:
        probe = ocsp.OCSPRequestBuilder()
        probe = probe.add_certificate(self.signer.certificate, self.authority.certificate, algorithm)
        own = probe.build()
        return (own.issuer_name_hash, own.issuer_key_hash) == (request.issuer_name_hash, request.issuer_key_hash)


def try_later() -> bytes:
    """The response of a responder that is overloaded."""
    return _unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)


def _unsuccessful(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


def _nonce(request: ocsp.OCSPRequest) -> x509.OCSPNonce | None:
    for extension in request.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            return extension.value
    return None


def _stated(revocation: Revocation | None) -> x509.ReasonFlags | None:
    if revocation is None or revocation.reason is x509.ReasonFlags.unspecified:
        return None
    return revocation.reason
