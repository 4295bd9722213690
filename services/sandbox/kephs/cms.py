"""Detached CMS signatures (RFC 5652): making them with a provider's key, checking those of others."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache

from asn1crypto import algos, cms, core, parser
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from services.sandbox.pki.identity import Identity

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_VERSION_1 = core.Integer(1).dump()
_SHA256 = algos.DigestAlgorithm({"algorithm": "sha256"}).dump()
_RSA_SHA256 = algos.SignedDigestAlgorithm({"algorithm": "sha256_rsa"}).dump()
_ECDSA_SHA256 = algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}).dump()
_DATA = core.ObjectIdentifier("1.2.840.113549.1.7.1").dump()
_SIGNED_DATA = core.ObjectIdentifier("1.2.840.113549.1.7.2").dump()
_CONTENT_TYPE = core.ObjectIdentifier("1.2.840.113549.1.9.3").dump()
_MESSAGE_DIGEST = core.ObjectIdentifier("1.2.840.113549.1.9.4").dump()
_SIGNING_TIME = core.ObjectIdentifier("1.2.840.113549.1.9.5").dump()
_SIGNING_CERTIFICATE_V2 = core.ObjectIdentifier("1.2.840.113549.1.9.16.2.47").dump()


class CmsRejectedError(ValueError):
    """A signature is malformed, does not fit its content, or uses an algorithm that is not accepted."""


def sign_detached(content: bytes, identity: Identity, signing_time: datetime) -> bytes:
    """Return a CAdES-B signature over ``content`` as DER: SHA-256, signer's certificate and issuers inside, no root."""
    return _sign(content, identity, signing_time, _sequence(_DATA))


def sign_attached(content: bytes, identity: Identity, signing_time: datetime) -> bytes:
    """The same with ``content`` inside, as the components of an e-Yazışma package carry it (eyp.md 4.1)."""
    return _sign(content, identity, signing_time, _sequence(_DATA + _tagged(2, 0, _octets(content))))


def _sign(content: bytes, identity: Identity, signing_time: datetime, encapsulated: bytes) -> bytes:
    """ContentInfo with SignedData, put together by hand: asn1crypto takes as long for it as for ten signatures."""
    certificate = identity.certificate.public_bytes(Encoding.DER)
    attributes = _signed_attributes(content, certificate, signing_time)
    to_be_signed = _tagged(0, 17, attributes)
    key = identity.key
    if isinstance(key, rsa.RSAPrivateKey):
        algorithm, signature = _RSA_SHA256, key.sign(to_be_signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        algorithm, signature = _ECDSA_SHA256, key.sign(to_be_signed, ec.ECDSA(hashes.SHA256()))
    signer = _sequence(
        _VERSION_1 + _issuer_and_serial(certificate) + _SHA256 + _tagged(2, 0, attributes) + algorithm
        + _octets(signature)
    )  # fmt: skip
    issuers = [issuer.public_bytes(Encoding.DER) for issuer in identity.chain[:-1]]
    signed = _sequence(
        _VERSION_1 + _tagged(0, 17, _SHA256) + encapsulated
        + _tagged(2, 0, b"".join(sorted([certificate, *issuers]))) + _tagged(0, 17, signer)
    )  # fmt: skip
    return _sequence(_SIGNED_DATA + _tagged(2, 0, signed))


def verify_detached(content: bytes, signature: bytes) -> x509.Certificate:
    """Return the certificate of the first signer after checking its signature over ``content``.

    The chain is not judged here. Raises ``CmsRejectedError``.
    """
    try:
        info = cms.ContentInfo.load(signature, strict=True)
        if info["content_type"].native != "signed_data":
            raise CmsRejectedError("not signed data")
        signed = info["content"]
        if len(signed["signer_infos"]) == 0:
            raise CmsRejectedError("nobody signed")
        signer = signed["signer_infos"][0]
        certificate = _signer_certificate(signed, signer)
        _check_signer(content, signer, certificate)
    except (ValueError, TypeError, KeyError, IndexError, UnsupportedAlgorithm) as exc:
        if isinstance(exc, CmsRejectedError):
            raise
        raise CmsRejectedError("malformed CMS") from exc
    except InvalidSignature as exc:
        raise CmsRejectedError("the signature does not fit the signed attributes") from exc
    return certificate


def _signed_attributes(content: bytes, certificate: bytes, signing_time: datetime) -> bytes:
    """The attributes in the order of DER, without the tag around them."""
    # SigningCertificateV2, whose digest is SHA-256 by default
    signing_certificate = _sequence(_sequence(_sequence(_octets(hashlib.sha256(certificate).digest()))))
    attributes = [
        _attribute(_CONTENT_TYPE, _DATA),
        _attribute(_MESSAGE_DIGEST, _octets(hashlib.sha256(content).digest())),
        _attribute(_SIGNING_TIME, core.UTCTime(signing_time).dump()),
        _attribute(_SIGNING_CERTIFICATE_V2, signing_certificate),
    ]
    return b"".join(sorted(attributes))


@lru_cache(maxsize=64)
def _issuer_and_serial(certificate: bytes) -> bytes:
    parsed = asn1_x509.Certificate.load(certificate)
    return _sequence(parsed.issuer.dump() + core.Integer(parsed.serial_number).dump())


def _attribute(identifier: bytes, value: bytes) -> bytes:
    return _sequence(identifier + _tagged(0, 17, value))


def _sequence(contents: bytes) -> bytes:
    return _tagged(0, 16, contents)


def _octets(contents: bytes) -> bytes:
    encoded: bytes = parser.emit(0, 0, 4, contents)
    return encoded


def _tagged(tag_class: int, tag: int, contents: bytes) -> bytes:
    """A constructed element; class 0 is universal (16 SEQUENCE, 17 SET), 2 context-specific."""
    encoded: bytes = parser.emit(tag_class, 1, tag, contents)
    return encoded


def _signer_certificate(signed: cms.SignedData, signer: cms.SignerInfo) -> x509.Certificate:
    wanted = signer["sid"].chosen
    by_serial = signer["sid"].name == "issuer_and_serial_number"
    for choice in signed["certificates"]:
        candidate = choice.chosen
        if not isinstance(candidate, asn1_x509.Certificate):
            continue
        if by_serial:
            found = candidate.serial_number == wanted["serial_number"].native and (
                # asn1crypto prepares the strings of a name for a comparison, which most signers spare us
                candidate.issuer.dump() == wanted["issuer"].dump() or candidate.issuer == wanted["issuer"]
            )
        else:
            found = candidate.key_identifier == wanted.native
        if found:
            return x509.load_der_x509_certificate(candidate.dump())
    raise CmsRejectedError("the signer's certificate is missing")


def _check_signer(content: bytes, signer: cms.SignerInfo, certificate: x509.Certificate) -> None:
    digest_name = signer["digest_algorithm"]["algorithm"].native
    if digest_name not in _HASHES:
        raise CmsRejectedError(f"digest algorithm {digest_name} is not accepted")
    attributes = {attribute["type"].native: attribute["values"] for attribute in signer["signed_attrs"]}
    if "message_digest" not in attributes:
        raise CmsRejectedError("signed attributes are missing")
    if attributes["message_digest"][0].native != hashlib.new(digest_name, content).digest():
        raise CmsRejectedError("the digest does not fit the content")
    to_be_checked = signer["signed_attrs"].untag().dump()
    _check_bytes(certificate, signer["signature_algorithm"], digest_name, signer["signature"].native, to_be_checked)


def _check_bytes(
    certificate: x509.Certificate,
    algorithm: algos.SignedDigestAlgorithm,
    digest_name: str,
    signature: bytes,
    content: bytes,
) -> None:
    key = certificate.public_key()
    digest = _HASHES[digest_name]()
    if isinstance(key, rsa.RSAPublicKey) and algorithm.signature_algo == "rsassa_pkcs1v15":
        key.verify(signature, content, padding.PKCS1v15(), digest)
    elif isinstance(key, rsa.RSAPublicKey) and algorithm.signature_algo == "rsassa_pss":
        salt_length = algorithm["parameters"]["salt_length"].native
        key.verify(signature, content, padding.PSS(padding.MGF1(digest), salt_length), digest)
    elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm.signature_algo == "ecdsa":
        key.verify(signature, content, ec.ECDSA(digest))
    else:
        raise CmsRejectedError("signature algorithm is not accepted")
