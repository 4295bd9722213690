"""The institution's keys: PKCS#12 files named by a JSON list; nothing secret ever leaves.

A PKCS#12 file is for development or a small office. ``SigningPort`` and ``DecryptionPort`` are what a
hardware module would implement as well. A key either signs or decrypts, never both: whoever may have
something decrypted must not get a signature by it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.signer.certificates import Certificate, load_certificate
from services.signer.checks.mathematics import hash_algorithm
from services.signer.envelopes.algorithms import TransportPadding
from services.signer.envelopes.opening import DecryptionPort, KeyRefused
from services.signer.findings import CheckFailed
from shared.contracts.signatures import SigningKey, SigningPurpose
from shared.errors import DomainError, ErrorCode

_DIGEST_BY_CURVE = {"secp256r1": "sha256", "secp384r1": "sha384", "secp521r1": "sha512"}


class KeyEntry(BaseModel):
    """One entry of the keys file; relative paths are relative to that file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    institution_no: int = Field(ge=10_000_000, le=99_999_999)
    purposes: list[SigningPurpose] = Field(min_length=1)
    pkcs12: str
    password_file: str


class KeysUnreadable(Exception):  # noqa: N818 - names the state of the file
    """The keys cannot be used as configured; the message names the file, never its content."""


class SigningPort(Protocol):
    """Signs one digest; the private key stays behind it."""

    @property
    def digest(self) -> str:
        """``hashlib`` name of the digest to sign."""
        ...

    @property
    def scheme(self) -> str:
        """``rsassa_pkcs1v15`` or ``ecdsa``."""
        ...

    def sign(self, hashed: bytes) -> bytes:
        """The signature value over a digest; DER for ECDSA."""
        ...


class SoftwareKey:
    """A private key in memory."""

    def __init__(self, key: RSAPrivateKey | EllipticCurvePrivateKey) -> None:
        self._key = key
        self.scheme = "rsassa_pkcs1v15" if isinstance(key, RSAPrivateKey) else "ecdsa"
        self.digest = "sha256" if isinstance(key, RSAPrivateKey) else _DIGEST_BY_CURVE[key.curve.name]

    def sign(self, hashed: bytes) -> bytes:
        """The signature value over a digest; DER for ECDSA."""
        prehashed = Prehashed(hash_algorithm(self.digest))
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(hashed, padding.PKCS1v15(), prehashed)
        return self._key.sign(hashed, ec.ECDSA(prehashed))


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
class HeldKey:
    """A key's certificate, owner and what it may be used for."""

    key_id: str
    institution_no: int
    purposes: frozenset[SigningPurpose]
    certificate: Certificate

    def describe(self) -> SigningKey:
        """The contract's form."""
        parts = (self.certificate.subject_value(kind) for kind in ("common_name", "organization_name", "country_name"))
        return SigningKey(
            key_id=self.key_id,
            institution_no=self.institution_no,
            purposes=sorted(self.purposes),
            certificate_sha256=self.certificate.sha256,
            subject=", ".join(part for part in parts if part),
            not_after=self.certificate.not_after,
        )


@dataclass(frozen=True)
class LoadedKey(HeldKey):
    """A key that signs, with its chain."""

    chain: tuple[Certificate, ...]
    port: SigningPort


@dataclass(frozen=True)
class DecryptionKey(HeldKey):
    """A key that opens envelopes; also after its certificate has ended, because letters encrypted before still come."""

    port: DecryptionPort


class KeyRing:
    """All keys by id."""

    def __init__(self, keys: Sequence[HeldKey]) -> None:
        self._keys = {key.key_id: key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def all(self) -> list[HeldKey]:
        """Every key, by id."""
        return [self._keys[key_id] for key_id in sorted(self._keys)]

    def take(self, key_id: str, purpose: SigningPurpose, institution_no: int | None = None) -> LoadedKey:
        """The key for one signature.

        Raises ``DomainError``: NOT_FOUND for an unknown id, INSTITUTION_FORBIDDEN for another
        purpose or another institution's key.
        """
        key = self._held(key_id, purpose, institution_no)
        if not isinstance(key, LoadedKey):
            raise DomainError(ErrorCode.INSTITUTION_FORBIDDEN, f"key {key_id!r} does not sign")
        return key

    def decryption_keys(self, institution_no: int, key_id: str | None = None) -> tuple[DecryptionKey, ...]:
        """The institution's decryption keys, or the one named; there are several after a change of certificates.

        Raises ``DomainError``: NOT_FOUND when there is none, else as ``take`` does.
        """
        purpose = SigningPurpose.PACKAGE_DECRYPTION
        candidates = self.all() if key_id is None else [self._held(key_id, purpose, institution_no)]
        found = tuple(
            key for key in candidates if isinstance(key, DecryptionKey) and key.institution_no == institution_no
        )
        if not found:
            raise DomainError(ErrorCode.NOT_FOUND, f"no decryption key for institution {institution_no}")
        return found

    def _held(self, key_id: str, purpose: SigningPurpose, institution_no: int | None) -> HeldKey:
        key = self._keys.get(key_id)
        if key is None:
            raise DomainError(ErrorCode.NOT_FOUND, f"no key {key_id!r}")
        if purpose not in key.purposes:
            raise DomainError(ErrorCode.INSTITUTION_FORBIDDEN, f"key {key_id!r} is not for {purpose}")
        if institution_no is not None and institution_no != key.institution_no:
            raise DomainError(ErrorCode.INSTITUTION_FORBIDDEN, f"key {key_id!r} belongs to another institution")
        return key


def load_keys(keys_file: Path) -> KeyRing:
    """Open every key of the keys file; raises ``KeysUnreadable`` naming the entry at fault."""
    try:
        entries = TypeAdapter(list[KeyEntry]).validate_python(json.loads(keys_file.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise KeysUnreadable(f"{keys_file}: not a readable list of keys ({type(error).__name__})") from error
    if len({entry.key_id for entry in entries}) != len(entries):
        raise KeysUnreadable(f"{keys_file}: the same key_id twice")
    return KeyRing([_load(entry, keys_file.parent) for entry in entries])


def _load(entry: KeyEntry, directory: Path) -> HeldKey:
    decrypts = SigningPurpose.PACKAGE_DECRYPTION in entry.purposes
    if decrypts and len(set(entry.purposes)) > 1:
        raise KeysUnreadable(f"key {entry.key_id}: a key that decrypts must not sign")
    try:
        password = (directory / entry.password_file).read_bytes().rstrip(b"\r\n")
        store = pkcs12.load_pkcs12((directory / entry.pkcs12).read_bytes(), password or None)
    except (OSError, ValueError, TypeError) as error:
        raise KeysUnreadable(f"key {entry.key_id}: PKCS#12 or password unreadable") from error
    key, holder = store.key, store.cert
    if holder is None or not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise KeysUnreadable(f"key {entry.key_id}: the PKCS#12 holds no usable key with its certificate")
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name not in _DIGEST_BY_CURVE:
        raise KeysUnreadable(f"key {entry.key_id}: curve {key.curve.name} is not supported")
    if key.public_key() != holder.certificate.public_key():
        raise KeysUnreadable(f"key {entry.key_id}: key and certificate do not belong together")
    try:
        certificate = load_certificate(holder.certificate.public_bytes(Encoding.DER))
        others = tuple(load_certificate(item.certificate.public_bytes(Encoding.DER)) for item in store.additional_certs)
    except CheckFailed as error:
        raise KeysUnreadable(f"key {entry.key_id}: unreadable certificate in the PKCS#12") from error
    purposes = frozenset(entry.purposes)
    if decrypts:
        return DecryptionKey(entry.key_id, entry.institution_no, purposes, certificate, SoftwareDecryptionKey(key))
    # A relying party has its own roots; sending ours would only invite trust in it.
    chain = tuple(item for item in others if not item.self_issued)
    return LoadedKey(entry.key_id, entry.institution_no, purposes, certificate, chain, SoftwareKey(key))
