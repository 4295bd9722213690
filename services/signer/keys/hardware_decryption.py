"""Opening envelopes with a key on a token.

PKCS#1 v1.5 must not tell a good padding from a bad one. A token's own CKM_RSA_PKCS does, by its return code
and by its time, so the block is taken raw (CKM_RSA_X_509) and the padding comes off here, evenly. Only where
a module refuses raw RSA is CKM_RSA_PKCS used: its failure is swallowed, and the caller's random key takes
the place of the content key as it does for a bad padding. OAEP is the token's own where it does the digest,
and raw where it does not.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.signer.certificates import Certificate
from services.signer.checks.mathematics import hash_algorithm
from services.signer.envelopes.algorithms import TransportPadding
from services.signer.envelopes.opening import KeyRefused
from services.signer.keys.hardware import KeyUnfit, TokenBoundKey, random_octets
from services.signer.keys.unpadding import oaep_message, pkcs1_message
from services.signer.tokens.pool import TokenPool
from services.signer.tokens.vocabulary import FaultKind, KeySelector, Operation, TokenFault, Transform

_PROOF_SCHEME = TransportPadding("sha256", "sha256")


class TokenDecryptionKey(TokenBoundKey):
    """A decryption key on a token (``DecryptionPort``)."""

    def __init__(self, key_id: str, pool: TokenPool, selector: KeySelector, certificate: Certificate) -> None:
        super().__init__(key_id, pool, selector, certificate)
        self.curve = self._public.curve.name if isinstance(self._public, EllipticCurvePublicKey) else None
        self._impossible: set[tuple[Transform, TransportPadding | None]] = set()
        """What the token said it cannot do; learned once."""

    def unwrap(self, scheme: TransportPadding, encrypted: bytes) -> bytes:
        """What was encrypted with the RSA key.

        For PKCS#1 v1.5 a wrong padding gives no octets, not an exception. Raises ``KeyRefused`` as
        ``DecryptionPort`` says, and ``DomainError``: SIGNING_KEY_UNAVAILABLE, SERVICE_UNAVAILABLE.
        """
        if not isinstance(self._public, RSAPublicKey) or not _fits(encrypted, self._public):
            raise KeyRefused
        return self.used(lambda: self._unwrapped(scheme, encrypted))

    def agree(self, point: bytes) -> bytes:
        """The ECDH secret with a public point on the key's curve; raises as ``unwrap`` does."""
        if not isinstance(self._public, EllipticCurvePublicKey):
            raise KeyRefused
        try:
            # Refused before the token sees it: not every module looks whether a point is on the curve.
            peer = EllipticCurvePublicKey.from_encoded_point(self._public.curve, point)
        except ValueError:
            raise KeyRefused from None
        return self.used(lambda: self._agreed(peer))

    def _unwrapped(self, scheme: TransportPadding, encrypted: bytes) -> bytes:
        if scheme.digest is None or scheme.mask_digest is None:
            return self._pkcs1(encrypted)
        message = self._oaep(scheme.digest, scheme.mask_digest, encrypted)
        if message is None:
            raise KeyRefused
        return message

    def _pkcs1(self, encrypted: bytes) -> bytes:
        block = self._block(encrypted)
        if block is not None:
            return pkcs1_message(block)
        # Asked before, and always: asking after a failure whether it was the token's would tell of the failure by its time.
        self._open_our_own_pkcs1()
        try:
            return self._decrypted(Transform.DECRYPT_PKCS1, encrypted)
        except TokenFault as fault:
            if fault.kind in {FaultKind.INPUT_REFUSED, FaultKind.UNCLEAR}:
                return b""
            raise

    def _open_our_own_pkcs1(self) -> None:
        assert isinstance(self._public, RSAPublicKey)
        secret = random_octets()
        if self._decrypted(Transform.DECRYPT_PKCS1, self._public.encrypt(secret, padding.PKCS1v15())) != secret:
            raise TokenFault(FaultKind.LOST, "wrong answer")

    def _oaep(self, digest: str, mask_digest: str, encrypted: bytes) -> bytes | None:
        scheme = TransportPadding(digest, mask_digest)
        try:
            message = self._tried(Transform.DECRYPT_OAEP, encrypted, scheme)
        except TokenFault as fault:
            if fault.kind is FaultKind.INPUT_REFUSED:
                return None
            if fault.kind is FaultKind.UNCLEAR and self._opens_our_own(scheme):
                return None
            raise
        if message is not None:
            return message
        block = self._block(encrypted)
        if block is None:
            raise TokenFault(FaultKind.NOT_POSSIBLE)
        return oaep_message(block, digest, mask_digest)

    def _block(self, encrypted: bytes) -> bytes | None:
        """The padded block, as long as the modulus: some modules leave out leading zeros. None where raw RSA is forbidden."""
        try:
            block = self._tried(Transform.DECRYPT_RAW, encrypted)
        except TokenFault as fault:
            if fault.kind is not FaultKind.INPUT_REFUSED:
                raise
            # Whatever the module holds against the number, it goes the way of a wrong padding.
            block = b""
        return None if block is None else block.rjust((self._public.key_size + 7) // 8, b"\0")

    def _opens_our_own(self, scheme: TransportPadding) -> bool:
        """Whether a general error was about what was given: a token that opens our own is in order."""
        secret = random_octets()
        try:
            return self._decrypted(Transform.DECRYPT_OAEP, self._encrypted(secret, scheme), scheme) == secret
        except TokenFault:
            return False

    def _tried(self, transform: Transform, data: bytes, scheme: TransportPadding | None = None) -> bytes | None:
        """The token's answer, or None where it cannot do that; raises ``TokenFault`` for anything else."""
        if (transform, scheme) in self._impossible:
            return None
        try:
            return self._decrypted(transform, data, scheme)
        except TokenFault as fault:
            if fault.kind is not FaultKind.NOT_POSSIBLE:
                raise
        self._impossible.add((transform, scheme))
        return None

    def _decrypted(self, transform: Transform, data: bytes, scheme: TransportPadding | None = None) -> bytes:
        digests = {} if scheme is None else {"digest": scheme.digest, "mask_digest": scheme.mask_digest}
        return self.value(Operation.DECRYPT, transform=transform, data=data.hex(), **digests)

    def _agreed(self, peer: EllipticCurvePublicKey) -> bytes:
        point = peer.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        size = (peer.curve.key_size + 7) // 8
        return self.value(Operation.DERIVE, data=point.hex(), bytes=size).rjust(size, b"\0")

    def _encrypted(self, secret: bytes, scheme: TransportPadding) -> bytes:
        assert isinstance(self._public, RSAPublicKey)
        assert scheme.digest is not None
        assert scheme.mask_digest is not None
        mask = padding.MGF1(hash_algorithm(scheme.mask_digest))
        return self._public.encrypt(secret, padding.OAEP(mask, hash_algorithm(scheme.digest), None))

    def _permission(self) -> str:
        return "decrypts" if isinstance(self._public, RSAPublicKey) else "derives"

    def _prove_possession(self) -> None:
        if isinstance(self._public, EllipticCurvePublicKey):
            ephemeral = ec.generate_private_key(self._public.curve)
            proved = self._agreed(ephemeral.public_key()) == ephemeral.exchange(ec.ECDH(), self._public)
        else:
            secret = random_octets()
            try:
                proved = self._unwrapped(_PROOF_SCHEME, self._encrypted(secret, _PROOF_SCHEME)) == secret
            except KeyRefused:
                proved = False
        if not proved:
            raise KeyUnfit("the key does not belong to the certificate")


def _fits(encrypted: bytes, key: RSAPublicKey) -> bool:
    """Whether this can be something encrypted with the key; anybody can tell, so it may be told."""
    return len(encrypted) == (key.key_size + 7) // 8 and int.from_bytes(encrypted, "big") < key.public_numbers().n
