"""The officers of a trust store: whose keys count, and how many different persons must have signed.

The file is the operator's and lies outside the store: whoever may write the store must not be able to name its
officers. A person may have several keys and counts once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.signer.trust_changes.documents import StoreUnreadable, canonical, parse, read_bytes, read_document
from services.signer.trust_changes.manifest import Moment, Name, OfficerSignature, Version

OfficerKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey
_PublicKey = Ed25519PublicKey | ec.EllipticCurvePublicKey

_CONTEXT = b"kepgw trust store, version 1\n"
"""Before every signed manifest: a key's signature about something else is none about a store."""
_CURVES = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}
_FILE_LIMIT = 256 * 1024
_SHORTEST_PASSPHRASE = 12


class Officer(BaseModel):
    """One key of one person."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Name
    public_key: str = Field(max_length=2000)
    """PEM (SubjectPublicKeyInfo): Ed25519, or ECDSA on P-256, P-384 or P-521."""
    retired: Moment | None = None
    """From then on the key counts for nothing but the history before."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        _public(self.public_key)
        return self

    @property
    def key_sha256(self) -> str:
        """Names the key."""
        return key_sha256(_public(self.public_key))


class Officers(BaseModel):
    """Who may approve, and how many of them it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    threshold: int = Field(default=2, ge=2, le=32)
    """Different persons whose signatures a version needs."""
    officers: tuple[Officer, ...] = Field(min_length=2, max_length=64)

    @model_validator(mode="after")
    def _enough_of_them(self) -> Self:
        keys = [officer.key_sha256 for officer in self.officers]
        if len(set(keys)) != len(keys):
            raise ValueError("the same key is listed twice")
        if len({_person(officer.name) for officer in self.officers if officer.retired is None}) < self.threshold:
            raise ValueError("fewer persons than the threshold asks for")
        return self

    def who(self, key: str) -> Officer | None:
        """The officer of a key, by its SHA-256."""
        return next((officer for officer in self.officers if officer.key_sha256 == key), None)

    def signed_by(self, version: Version, *, created: datetime | None = None) -> tuple[str, ...]:
        """The different persons whose signatures under ``version`` hold, in order.

        Args:
            version: as read, nothing of it believed.
            created: for the history only: keys that were retired after this count too.
        """
        found: dict[str, str] = {}
        for signature in version.signatures:
            officer = self.who(signature.key_sha256)
            if officer is None or not holds(officer, version.manifest, signature):
                continue
            if officer.retired is not None and (created is None or created >= officer.retired):
                continue
            found.setdefault(_person(officer.name), officer.name)
        return tuple(found.values())

    def enough(self, persons: Iterable[str]) -> bool:
        """Whether these names are as many persons as it takes."""
        return len({_person(name) for name in persons}) >= self.threshold


def read_officers(path: Path, sha256: str | None = None) -> Officers:
    """The officers' file; raises ``StoreUnreadable``, also when its SHA-256 is not the one given."""
    if sha256 is not None and hashlib.sha256(read_bytes(path, _FILE_LIMIT)).hexdigest() != sha256.lower():
        raise StoreUnreadable(f"{path}: not the file whose SHA-256 is configured")
    return read_document(path, Officers, _FILE_LIMIT)


def signed_bytes(manifest: dict[str, Any]) -> bytes:
    """What an officer signs."""
    return _CONTEXT + canonical(manifest)


def sign(key: OfficerKey, manifest: dict[str, Any]) -> OfficerSignature:
    """The signature of an officer's key about a manifest."""
    data = signed_bytes(manifest)
    if isinstance(key, Ed25519PrivateKey):
        signature = key.sign(data)
    else:
        signature = key.sign(data, ec.ECDSA(_CURVES[key.curve.name]))
    return OfficerSignature(key_sha256=key_sha256(key.public_key()), signature=base64.b64encode(signature).decode())


def holds(officer: Officer, manifest: dict[str, Any], signature: OfficerSignature) -> bool:
    """Whether ``signature`` is one of this officer's key about this manifest."""
    key = _public(officer.public_key)
    try:
        value = base64.b64decode(signature.signature, validate=True)
        if isinstance(key, Ed25519PublicKey):
            key.verify(value, signed_bytes(manifest))
        else:
            key.verify(value, signed_bytes(manifest), ec.ECDSA(_CURVES[key.curve.name]))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def new_key(name: str, path: Path, passphrase: str) -> Officer:
    """Make an Ed25519 key in a new file (PKCS#8, encrypted, mode 0600) and return its public half, with ``name``.

    Raises ``StoreUnreadable`` when the file exists or the passphrase has fewer than 12 characters.
    """
    if len(passphrase) < _SHORTEST_PASSPHRASE:
        raise StoreUnreadable(f"the passphrase has fewer than {_SHORTEST_PASSPHRASE} characters")
    key = Ed25519PrivateKey.generate()
    protection = BestAvailableEncryption(passphrase.encode())
    encoded = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    officer = parse({"name": name, "public_key": public.decode()}, Officer, "the officer")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnreadable(f"{path}: {error.strerror or error}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(encoded)
        file.flush()
        os.fsync(file.fileno())
    return officer


def load_key(path: Path, passphrase: str) -> OfficerKey:
    """An officer's private key; raises ``StoreUnreadable``, also for one that no passphrase protects."""
    data = read_bytes(path, _FILE_LIMIT)
    try:
        key = load_pem_private_key(data, passphrase.encode())
    except TypeError as error:
        raise StoreUnreadable(f"{path}: the key is not encrypted, or there is no passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise StoreUnreadable(f"{path}: wrong passphrase, or no private key in PEM") from error
    if isinstance(key, Ed25519PrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES
    ):
        return key
    raise StoreUnreadable(f"{path}: neither an Ed25519 key nor an ECDSA key on P-256, P-384 or P-521")


def key_sha256(key: _PublicKey) -> str:
    """SHA-256 of SubjectPublicKeyInfo, in hex."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _public(encoded: str) -> _PublicKey:
    try:
        key = load_pem_public_key(encoded.encode())
    except UnsupportedAlgorithm as error:
        raise ValueError("not a public key in PEM") from error
    if isinstance(key, Ed25519PublicKey) or (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES):
        return key
    raise ValueError("neither an Ed25519 key nor an ECDSA key on P-256, P-384 or P-521")


def _person(name: str) -> str:
    return " ".join(name.split()).casefold()
