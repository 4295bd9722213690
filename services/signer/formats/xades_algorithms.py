"""The algorithms of XML Signature by their URIs (RFC 9231; XML Signature 6)."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from services.signer.certificates import PublicKey
from services.signer.checks.algorithms import ECDSA, RSA_PKCS1, RSA_PSS
from services.signer.findings import CheckFailed
from services.signer.formats.xml_layout import DS, Layout, only_child
from services.signer.limits import malformed
from services.signer.texts import say
from shared.domain.verdict import SubIndication

_DSIG, _MORE, _MORE_2007, _XMLENC = (
    "http://www.w3.org/2000/09/xmldsig#",
    "http://www.w3.org/2001/04/xmldsig-more#",
    "http://www.w3.org/2007/05/xmldsig-more#",
    "http://www.w3.org/2001/04/xmlenc#",
)
DIGESTS = {
    f"{_MORE}md5": "md5",
    f"{_DSIG}sha1": "sha1",
    f"{_MORE}sha224": "sha224",
    f"{_XMLENC}sha256": "sha256",
    f"{_MORE}sha384": "sha384",
    f"{_XMLENC}sha512": "sha512",
    f"{_MORE_2007}sha3-256": "sha3_256",
    f"{_MORE_2007}sha3-384": "sha3_384",
    f"{_MORE_2007}sha3-512": "sha3_512",
}
"""Digest URIs and their ``hashlib`` names."""
_SIGNATURES = {
    f"{_DSIG}rsa-sha1": (RSA_PKCS1, "sha1"),
    f"{_MORE}rsa-md5": (RSA_PKCS1, "md5"),
    **{f"{_MORE}rsa-{name}": (RSA_PKCS1, name) for name in ("sha224", "sha256", "sha384", "sha512")},
    **{f"{_MORE_2007}{name}-rsa-MGF1": (RSA_PSS, name) for name in ("sha1", "sha224", "sha256", "sha384", "sha512")},
    **{
        f"{_MORE_2007}{name}-rsa-MGF1": (RSA_PSS, name.replace("-", "_"))
        for name in ("sha3-256", "sha3-384", "sha3-512")
    },
    **{f"{_MORE}ecdsa-{name}": (ECDSA, name) for name in ("sha1", "sha224", "sha256", "sha384", "sha512")},
    **{
        f"http://www.w3.org/2021/04/xmldsig-more#ecdsa-{name}": (ECDSA, name.replace("-", "_"))
        for name in ("sha3-256", "sha3-384", "sha3-512")
    },
}
"""Neither DSA nor HMAC: whoever knows a public key could make the latter with it."""


def digest_of(element: Any | None) -> str:
    """The digest a DigestMethod names, by its ``hashlib`` name.

    Raises ``CheckFailed`` (CRYPTO_CONSTRAINTS_FAILURE, or FORMAT_FAILURE when there is none).
    """
    if element is None or len(element):
        raise malformed("digest method")
    uri = element.get("Algorithm", "")
    if uri not in DIGESTS:
        raise CheckFailed(SubIndication.CRYPTO_CONSTRAINTS_FAILURE, say("algorithms.unknown", name=uri[:100]))
    return DIGESTS[uri]


def scheme_of(layout: Layout) -> tuple[str, str]:
    """Scheme and digest the SignatureMethod names.

    Raises ``CheckFailed``: FORMAT_FAILURE for parameters (an HMAC could be cut short with them),
    CRYPTO_CONSTRAINTS_FAILURE for an unknown method.
    """
    element = only_child(layout.signed_info, f"{DS}SignatureMethod")
    if element is None or len(element):
        raise malformed("signature method with parameters")
    uri = element.get("Algorithm", "")
    if uri not in _SIGNATURES:
        raise CheckFailed(SubIndication.CRYPTO_CONSTRAINTS_FAILURE, say("algorithms.unknown", name=uri[:100]))
    return _SIGNATURES[uri]


def value_in_der(value: bytes, key: PublicKey, scheme: str) -> bytes:
    """ECDSA values are r and s side by side (RFC 4050 as XML Signature 6.4.3 has it); others stay as they are.

    Raises ``CheckFailed`` (SIG_CRYPTO_FAILURE) when the length is another than the key's.
    """
    if scheme != ECDSA or not isinstance(key, EllipticCurvePublicKey):
        return value
    size = (key.key_size + 7) // 8
    if len(value) != 2 * size:
        raise CheckFailed(SubIndication.SIG_CRYPTO_FAILURE, say("signature.wrong"))
    return encode_dss_signature(int.from_bytes(value[:size], "big"), int.from_bytes(value[size:], "big"))
