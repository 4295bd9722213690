"""Keys in memory, out of PKCS#12 files: for development or a small office."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from services.signer.certificates import Certificate, load_certificate
from services.signer.checks.algorithms import RSA_PSS
from services.signer.checks.mathematics import hash_algorithm
from services.signer.envelopes.algorithms import TransportPadding
from services.signer.envelopes.opening import KeyRefused
from services.signer.findings import CheckFailed
from services.signer.keys.entries import KeysUnreadable, SoftwareEntry
from services.signer.keys.port import DIGEST_BY_CURVE, scheme_and_digest


class SoftwareKey:
    """A private key in memory."""

    def __init__(self, key: RSAPrivateKey | EllipticCurvePrivateKey, *, pss: bool = False) -> None:
        self._key = key
        self.scheme, self.digest = scheme_and_digest(key.public_key(), pss=pss)

    def sign(self, hashed: bytes) -> bytes:
        """The signature value over a digest; DER for ECDSA."""
        algorithm = hash_algorithm(self.digest)
        if isinstance(self._key, EllipticCurvePrivateKey):
            return self._key.sign(hashed, ec.ECDSA(Prehashed(algorithm)))
        scheme: padding.AsymmetricPadding = padding.PKCS1v15()
        if self.scheme == RSA_PSS:
            scheme = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
        return self._key.sign(hashed, scheme, Prehashed(algorithm))


class SoftwareDecryptionKey:
    """A private key in memory that opens envelopes and signs nothing."""

    def __init__(self, key: RSAPrivateKey | EllipticCurvePrivateKey) -> None:
        self._key = key
        self.curve = None if isinstance(key, RSAPrivateKey) else key.curve.name

    def unwrap(self, scheme: TransportPadding, encrypted: bytes) -> bytes:
        """What was encrypted with the RSA key; raises ``KeyRefused``.

        For PKCS#1 v1.5 the library itself answers a bad padding with random bytes where it can; where it
        raises, the caller puts a random key in their place.
        """
        if not isinstance(self._key, RSAPrivateKey):
            raise KeyRefused
        primitive: padding.AsymmetricPadding = padding.PKCS1v15()
        if scheme.digest is not None and scheme.mask_digest is not None:
            mask = padding.MGF1(hash_algorithm(scheme.mask_digest))
            primitive = padding.OAEP(mask, hash_algorithm(scheme.digest), None)
        try:
            return self._key.decrypt(encrypted, primitive)
        except (ValueError, UnsupportedAlgorithm):
            raise KeyRefused from None

    def agree(self, point: bytes) -> bytes:
        """The ECDH secret with a public point on the key's curve; raises ``KeyRefused``."""
        if not isinstance(self._key, EllipticCurvePrivateKey):
            raise KeyRefused
        try:
            # Refuses points that are not on the curve, by which a sender could learn the key.
            peer = EllipticCurvePublicKey.from_encoded_point(self._key.curve, point)
            return self._key.exchange(ec.ECDH(), peer)
        except (ValueError, UnsupportedAlgorithm):
            raise KeyRefused from None


@dataclass(frozen=True)
class OpenedStore:
    """What a PKCS#12 file holds."""

    key: RSAPrivateKey | EllipticCurvePrivateKey
    certificate: Certificate
    others: tuple[Certificate, ...]


def open_store(entry: SoftwareEntry, directory: Path) -> OpenedStore:
    """The key and certificates of an entry; raises ``KeysUnreadable`` naming it."""
    try:
        password = (directory / entry.password_file).read_bytes().rstrip(b"\r\n")
        store = pkcs12.load_pkcs12((directory / entry.pkcs12).read_bytes(), password or None)
    except (OSError, ValueError, TypeError) as error:
        raise KeysUnreadable(f"key {entry.key_id}: PKCS#12 or password unreadable") from error
    key, holder = store.key, store.cert
    if holder is None or not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise KeysUnreadable(f"key {entry.key_id}: the PKCS#12 holds no usable key with its certificate")
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name not in DIGEST_BY_CURVE:
        raise KeysUnreadable(f"key {entry.key_id}: curve {key.curve.name} is not supported")
    if key.public_key() != holder.certificate.public_key():
        raise KeysUnreadable(f"key {entry.key_id}: key and certificate do not belong together")
    try:
        certificate = load_certificate(holder.certificate.public_bytes(Encoding.DER))
        others = tuple(load_certificate(item.certificate.public_bytes(Encoding.DER)) for item in store.additional_certs)
    except CheckFailed as error:
        raise KeysUnreadable(f"key {entry.key_id}: unreadable certificate in the PKCS#12") from error
    return OpenedStore(key, certificate, others)
