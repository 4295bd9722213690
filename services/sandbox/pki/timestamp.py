"""The RFC 3161 time-stamp authority."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from services.sandbox.pki.identity import Identity, PrivateKey
from services.sandbox.pki.profiles import TIMESTAMP_POLICY

_DIGEST_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}


class TimestampRefusedError(Exception):
    """The request gets a rejection; ``failure`` is the PKIFailureInfo bit of RFC 3161 section 2.4.2."""

    def __init__(self, failure: str) -> None:
        super().__init__(failure)
        self.failure = failure


class _Response(core.Sequence):  # type: ignore[misc]
    """TimeStampResp with the token optional, as section 2.4.2 has it; asn1crypto's cannot say "rejected"."""

    _fields = [  # noqa: RUF012 - asn1crypto's way
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


@dataclass(frozen=True)
class TimestampAuthority:
    """Signs the time of other people's digests."""

    identity: Identity

    def answer(self, request_der: bytes, now: datetime) -> bytes:
        """The DER TimeStampResp to a DER TimeStampReq: granted, or rejected with the reason."""
        try:
            request = _parse(request_der)
        except TimestampRefusedError as refusal:
            return rejection(refusal.failure)
        nonce = request["nonce"].native
        token = self.token(
            request["message_imprint"]["hash_algorithm"]["algorithm"].native,
            request["message_imprint"]["hashed_message"].native,
            now,
            nonce=nonce,
            with_certificates=bool(request["cert_req"].native),
        )
        response = _Response({"status": {"status": "granted"}, "time_stamp_token": cms.ContentInfo.load(token)})
        return bytes(response.dump())

    def token(
        self, algorithm: str, digest: bytes, now: datetime, *, nonce: int | None = None, with_certificates: bool = True
    ) -> bytes:
        """A time-stamp token (DER ContentInfo) over ``digest``, for parts of the sandbox that need one directly."""
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": TIMESTAMP_POLICY,
                "message_imprint": {"hash_algorithm": {"algorithm": algorithm}, "hashed_message": digest},
                "serial_number": secrets.randbits(63) | 1,
                "gen_time": now.astimezone(UTC),
                "accuracy": {"seconds": 1},
                "nonce": nonce,
            }
        )
        content = info.dump()
        certificates = [self.identity.certificate, *self.identity.chain[:-1]]
        own, *_ = parsed = [
            asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER)) for certificate in certificates
        ]
        attributes = self._signed_attributes(content, own, now)
        signed = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [{"algorithm": "sha256"}],
                "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(content)},
                "certificates": parsed if with_certificates else None,
                "signer_infos": [
                    {
                        "version": "v1",
                        "sid": cms.SignerIdentifier(
                            {"issuer_and_serial_number": {"issuer": own.issuer, "serial_number": own.serial_number}}
                        ),
                        "digest_algorithm": {"algorithm": "sha256"},
                        "signed_attrs": attributes,
                        "signature_algorithm": {"algorithm": _signature_algorithm(self.identity.key)},
                        "signature": _sign(self.identity.key, attributes.dump()),
                    }
                ],
            }
        )
        return bytes(cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump())

    def _signed_attributes(self, content: bytes, own: asn1_x509.Certificate, now: datetime) -> cms.CMSAttributes:
        certificate_id = tsp.ESSCertIDv2(
            {
                "cert_hash": hashlib.sha256(own.dump()).digest(),
                "issuer_serial": {
                    "issuer": [asn1_x509.GeneralName(name="directory_name", value=own.issuer)],
                    "serial_number": own.serial_number,
                },
            }
        )
        return cms.CMSAttributes(
            [
                cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
                cms.CMSAttribute(
                    {
                        "type": "signing_time",
                        "values": [cms.Time({"utc_time": now.astimezone(UTC).replace(microsecond=0)})],
                    }
                ),
                cms.CMSAttribute({"type": "message_digest", "values": [hashlib.sha256(content).digest()]}),
                cms.CMSAttribute(
                    {
                        "type": "signing_certificate_v2",
                        "values": [tsp.SigningCertificateV2({"certs": [certificate_id]})],
                    }
                ),
            ]
        )


def rejection(failure: str) -> bytes:
    """A response that refuses, with a PKIFailureInfo name such as ``system_failure``."""
    return bytes(_Response({"status": {"status": "rejection", "fail_info": {failure}}}).dump())


def _parse(request_der: bytes) -> tsp.TimeStampReq:
    try:
        request = tsp.TimeStampReq.load(request_der, strict=True)
        algorithm = request["message_imprint"]["hash_algorithm"]["algorithm"].native
        digest = request["message_imprint"]["hashed_message"].native
        policy = request["req_policy"].native
        version, extensions = request["version"].native, request["extensions"].native
        _ = request["nonce"].native, request["cert_req"].native
    except (ValueError, TypeError, KeyError) as error:
        raise TimestampRefusedError("bad_data_format") from error
    if version != "v1":
        raise TimestampRefusedError("bad_request")
    if algorithm not in _DIGEST_SIZES:
        raise TimestampRefusedError("bad_alg")
    if len(digest) != _DIGEST_SIZES[algorithm]:
        raise TimestampRefusedError("bad_data_format")
    if policy is not None and policy != TIMESTAMP_POLICY:
        raise TimestampRefusedError("unaccepted_policy")
    if extensions:
        raise TimestampRefusedError("unaccepted_extensions")
    return request


def _signature_algorithm(key: PrivateKey) -> algos.SignedDigestAlgorithmId:
    return algos.SignedDigestAlgorithmId("sha256_rsa" if isinstance(key, RSAPrivateKey) else "sha256_ecdsa")


def _sign(key: PrivateKey, content: bytes) -> bytes:
    if isinstance(key, RSAPrivateKey):
        return key.sign(content, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(content, ec.ECDSA(hashes.SHA256()))
