"""From an ECDH secret to the wrapped content key (RFC 5753, 7.2; ANSI X9.63 key derivation; RFC 3394)."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from services.signer import der
from services.signer.envelopes.algorithms import AgreementScheme

_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - a key derivation named by the sender; nothing rests on collisions
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def wrap_key(scheme: AgreementScheme, secret: bytes, content_key: bytes) -> bytes:
    """``content_key`` wrapped for the recipient, without user keying material."""
    return aes_key_wrap(_wrapping_key(scheme, scheme.wrap, secret, None), content_key)


def unwrap_key(scheme: AgreementScheme, secret: bytes, material: bytes | None, wrapped: bytes) -> bytes | None:
    """The content key; None when the check value in ``wrapped`` does not fit."""
    for named in dict.fromkeys((scheme.wrap, *_spellings(scheme.wrap_oid))):
        try:
            return aes_key_unwrap(_wrapping_key(scheme, named, secret, material), wrapped)
        except (InvalidUnwrap, ValueError):
            continue
    return None


def _spellings(oid: str) -> tuple[bytes, bytes]:
    # Some senders derive with NULL parameters and send none, or the other way round; the check value
    # of the key wrap tells which spelling they derived with.
    return der.encode(der.SEQUENCE, der.encode_oid(oid)), der.encode(
        der.SEQUENCE, der.encode_oid(oid), der.encode(der.NULL)
    )


def _wrapping_key(scheme: AgreementScheme, wrap: bytes, secret: bytes, material: bytes | None) -> bytes:
    """The derived key; its input names the wrap algorithm and the key's bits (ECC-CMS-SharedInfo)."""
    bits = (scheme.wrap_bytes * 8).to_bytes(4, "big")
    parts = [wrap]
    if material is not None:
        parts.append(der.encode(der.CONTEXT_0, der.encode(der.OCTET_STRING, material)))
    parts.append(der.encode(der.CONTEXT_2, der.encode(der.OCTET_STRING, bits)))
    derivation = X963KDF(_DIGESTS[scheme.digest], scheme.wrap_bytes, der.encode(der.SEQUENCE, *parts))
    return derivation.derive(secret)
