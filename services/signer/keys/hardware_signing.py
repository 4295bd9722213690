"""Signing with a key on a token."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from services.signer import der
from services.signer.certificates import Certificate
from services.signer.checks import mathematics
from services.signer.checks.algorithms import OID_BY_DIGEST, RSA_PKCS1
from services.signer.findings import CheckFailed
from services.signer.keys.hardware import KeyUnfit, TokenBoundKey, random_octets
from services.signer.keys.port import scheme_and_digest
from services.signer.tokens.pool import TokenPool
from services.signer.tokens.vocabulary import KeySelector, Operation, Transform

_PROOF = b"KEP Gateway: proof that the key belongs to its certificate\0"


class TokenSigningKey(TokenBoundKey):
    """A signing key on a token (``SigningPort``); the token pads or signs a digest made here."""

    def __init__(
        self, key_id: str, pool: TokenPool, selector: KeySelector, certificate: Certificate, *, pss: bool
    ) -> None:
        super().__init__(key_id, pool, selector, certificate)
        self.scheme, self.digest = scheme_and_digest(self._public, pss=pss)

    def sign(self, hashed: bytes) -> bytes:
        """The signature value over a digest, DER for ECDSA; raises ``DomainError`` as ``SigningPort`` says."""
        return self.used(lambda: self._signature(hashed))

    def _signature(self, hashed: bytes) -> bytes:
        if isinstance(self._public, EllipticCurvePublicKey):
            pair = self._made(Transform.SIGN_ECDSA, hashed)
            half = (self._public.key_size + 7) // 8
            if len(pair) != 2 * half:
                raise KeyUnfit("the key does not belong to the certificate")
            # PKCS#11 gives r and s side by side (2.40, 2.3.1), CMS wants them in DER (RFC 5753, 7.2).
            return encode_dss_signature(int.from_bytes(pair[:half], "big"), int.from_bytes(pair[half:], "big"))
        if self.scheme == RSA_PKCS1:
            algorithm = der.encode(der.SEQUENCE, der.encode_oid(OID_BY_DIGEST[self.digest]), der.encode(der.NULL))
            info = der.encode(der.SEQUENCE, algorithm, der.encode(der.OCTET_STRING, hashed))
            return self._made(Transform.SIGN_PKCS1, info)
        return self._made(Transform.SIGN_PSS, hashed)

    def _made(self, transform: Transform, data: bytes) -> bytes:
        return self.value(
            Operation.SIGN, transform=transform, data=data.hex(), digest=self.digest, salt=self._salt_bytes()
        )

    def _salt_bytes(self) -> int:
        return hashlib.new(self.digest).digest_size

    def _permission(self) -> str:
        return "signs"

    def _prove_possession(self) -> None:
        hashed = hashlib.new(self.digest, _PROOF + random_octets()).digest()
        try:
            mathematics.verify(
                self._public, self.scheme, self._salt_bytes(), self.digest, hashed, self._signature(hashed)
            )
        except CheckFailed as error:
            raise KeyUnfit("the key does not belong to the certificate") from error
