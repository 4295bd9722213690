"""The signature equations, computed by ``cryptography``; nothing else in the signer calls ``verify``."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from services.signer import der
from services.signer.certificates import PublicKey
from services.signer.checks.algorithms import DIGEST_BY_OID, ECDSA, OID_BY_DIGEST, RSA_PKCS1, RSA_PSS, SIGNATURE_BY_OID
from services.signer.facts import AlgorithmUse
from services.signer.findings import CheckFailed
from services.signer.limits import malformed
from services.signer.texts import say
from shared.domain.verdict import SubIndication

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - computed so that the report can say "intact but too old"
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha3_256": hashes.SHA3_256(),
    "sha3_384": hashes.SHA3_384(),
    "sha3_512": hashes.SHA3_512(),
}
_MGF1 = "1.2.840.113549.1.1.8"


def hash_algorithm(name: str) -> hashes.HashAlgorithm:
    """The hash by its ``hashlib`` name; raises ``CheckFailed`` for one that is not computed (MD5)."""
    try:
        return _HASHES[name]
    except KeyError:
        raise CheckFailed(SubIndication.CRYPTO_CONSTRAINTS_FAILURE, say("algorithms.unknown", name=name)) from None


def digest_name(algorithm_identifier: der.Element) -> str:
    """The digest that an AlgorithmIdentifier names."""
    dotted = der.oid(der.children(algorithm_identifier)[0])
    try:
        return DIGEST_BY_OID[dotted]
    except KeyError:
        raise CheckFailed(SubIndication.CRYPTO_CONSTRAINTS_FAILURE, say("algorithms.unknown", name=dotted)) from None


def scheme_of(algorithm_identifier: der.Element, digest: str) -> tuple[str, int]:
    """Scheme and PSS salt length of a signatureAlgorithm that must agree with ``digest``.

    Raises ``CheckFailed`` when the algorithm is unknown or names another digest (signatures.md 8.2).
    """
    parts = der.children(der.expect(algorithm_identifier, der.SEQUENCE, "signatureAlgorithm"))
    dotted = der.oid(parts[0]) if parts else "?"
    if dotted not in SIGNATURE_BY_OID:
        raise CheckFailed(SubIndication.CRYPTO_CONSTRAINTS_FAILURE, say("algorithms.unknown", name=dotted))
    scheme, named = SIGNATURE_BY_OID[dotted]
    salt = 0
    if scheme == RSA_PSS:
        named, salt = _pss(parts[1] if len(parts) > 1 else None)
    if named is not None and named != digest:
        raise CheckFailed(SubIndication.SIG_CRYPTO_FAILURE, say("signature.digests-differ", one=digest, other=named))
    return scheme, salt


def _pss(parameters: der.Element | None) -> tuple[str, int]:
    """Digest and salt length of RSASSA-PSS-params (RFC 4055, 3.1); both hashes must be the same."""
    digest, mask_digest, salt = "sha1", "sha1", 20
    for field in der.children(parameters) if parameters is not None else ():
        value = der.children(field)[0]
        if field.tag == der.CONTEXT_0:
            digest = digest_name(value)
        elif field.tag == der.CONTEXT_1:
            mask = der.children(value)
            if len(mask) != 2 or der.oid(mask[0]) != _MGF1:
                raise malformed("bad PSS parameters")
            mask_digest = digest_name(mask[1])
        elif field.tag == der.CONTEXT_2:
            salt = der.integer(value)
        elif field.tag != der.CONTEXT_3 or der.integer(value) != 1:
            raise malformed("bad PSS parameters")
    if digest != mask_digest or not 0 <= salt <= 512:
        raise malformed("bad PSS parameters")
    return digest, salt


def key_use(key: PublicKey, scheme: str, digest: str, other_digests: tuple[str, ...]) -> AlgorithmUse:
    """What is computed with, for the check against the table of dates."""
    name = "rsa" if isinstance(key, RSAPublicKey) else key.curve.name
    return AlgorithmUse(digest, scheme, name, key.key_size, other_digests)


def verify(key: PublicKey, scheme: str, salt: int, digest: str, hashed: bytes, signature: bytes) -> bool:
    """Check one signature over ``hashed`` (a digest); True when the padding was an odd, known variant.

    Raises ``CheckFailed`` (SIG_CRYPTO_FAILURE) when the equation does not hold.
    """
    algorithm = hash_algorithm(digest)
    prehashed = Prehashed(algorithm)
    try:
        if scheme == ECDSA and isinstance(key, EllipticCurvePublicKey):
            key.verify(signature, hashed, ec.ECDSA(prehashed))
        elif scheme == RSA_PSS and isinstance(key, RSAPublicKey):
            key.verify(signature, hashed, padding.PSS(padding.MGF1(algorithm), salt), prehashed)
        elif scheme == RSA_PKCS1 and isinstance(key, RSAPublicKey):
            return _verify_pkcs1(key, digest, hashed, signature)
        else:
            raise CheckFailed(SubIndication.SIG_CRYPTO_FAILURE, say("signature.key-kind"))
    except (InvalidSignature, ValueError, UnsupportedAlgorithm) as error:
        raise CheckFailed(SubIndication.SIG_CRYPTO_FAILURE, say("signature.wrong")) from error
    return False


def _verify_pkcs1(key: RSAPublicKey, digest: str, hashed: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, hashed, padding.PKCS1v15(), Prehashed(hash_algorithm(digest)))
    except InvalidSignature:
        # Some signers leave out the NULL in DigestInfo; compare with that one exact encoding, so
        # that nothing else inside the padding is ever accepted.
        without_null = der.encode(
            der.SEQUENCE,
            der.encode(der.SEQUENCE, der.encode_oid(OID_BY_DIGEST[digest])),
            der.encode(der.OCTET_STRING, hashed),
        )
        if key.recover_data_from_signature(signature, padding.PKCS1v15(), None) != without_null:
            raise
        return True
    return False
