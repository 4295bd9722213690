"""What signing asks of a private key, wherever it lies. Its counterpart ``DecryptionPort`` stands where opening is."""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from services.signer.certificates import PublicKey
from services.signer.checks.algorithms import ECDSA, RSA_PKCS1, RSA_PSS

DIGEST_BY_CURVE = {"secp256r1": "sha256", "secp384r1": "sha384", "secp521r1": "sha512"}
"""The curves that are used, each with the digest of its strength (ETSI TS 119 312, 7)."""
_RSA_DIGEST = "sha256"


class SigningPort(Protocol):
    """Signs one digest; the private key stays behind it."""

    @property
    def digest(self) -> str:
        """``hashlib`` name of the digest to sign."""
        ...

    @property
    def scheme(self) -> str:
        """``rsassa_pkcs1v15``, ``rsassa_pss`` (its salt as long as the digest, MGF1 with the same) or ``ecdsa``."""
        ...

    def sign(self, hashed: bytes) -> bytes:
        """The signature value over a digest; DER for ECDSA.

        Raises ``DomainError``: SIGNING_KEY_UNAVAILABLE when somebody must act, SERVICE_UNAVAILABLE when the
        key is away for now.
        """
        ...


def scheme_and_digest(key: PublicKey, *, pss: bool) -> tuple[str, str]:
    """How signatures with this key are made; raises ``KeyError`` for a curve that is not used."""
    if isinstance(key, RSAPublicKey):
        return RSA_PSS if pss else RSA_PKCS1, _RSA_DIGEST
    return ECDSA, DIGEST_BY_CURVE[key.curve.name]
