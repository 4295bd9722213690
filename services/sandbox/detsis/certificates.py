"""Encryption certificates: who has one, when it was renewed, which are no good; and the making of their bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from services.sandbox.pki.authority import create_root, new_rsa_key
from services.sandbox.pki.identity import Identity, load_pkcs12, save_pkcs12
from services.sandbox.pki.profiles import Level, Purpose, institution_encryption
from services.sandbox.pki.store import Pki
from shared.clock import Clock

GOOD_FOR = timedelta(days=3 * 365)
"""How long a certificate is valid."""
_HOLDERS_PERCENT = 80
_UNKNOWN_AUTHORITY, _PASSWORD = "unknown-authority", "sandbox"


class Flaw(StrEnum):
    """What is wrong with a certificate."""

    NONE = "none"
    EXPIRED = "expired"
    UNKNOWN_AUTHORITY = "unknown authority"
    NOT_A_CERTIFICATE = "not a certificate"


@dataclass(frozen=True)
class CertificateOrder:
    """One certificate to be made: the same order gives the same bytes."""

    number: int
    name: str
    order: int
    begins: date
    ends: date
    flaw: Flaw


Forge = Callable[[CertificateOrder], bytes]
"""Makes the DER of a certificate."""


@lru_cache(maxsize=65_536)
def uploads_before(word: int, first_day: date) -> tuple[tuple[date, Flaw], ...]:
    """What a generated main institution has uploaded before the register's first day, oldest first."""
    if word % 100 >= _HOLDERS_PERCENT:
        return ()
    flaw = {7: Flaw.EXPIRED, 11: Flaw.UNKNOWN_AUTHORITY, 13: Flaw.NOT_A_CERTIFICATE}.get(word % 50, Flaw.NONE)
    newest = first_day - (GOOD_FOR + timedelta(days=30) if flaw is Flaw.EXPIRED else timedelta(days=30 + word % 700))
    older = [newest - timedelta(days=1000 + word % 90)] if word // 100 % 3 == 0 else []
    return (*((day, Flaw.NONE) for day in older), (newest, flaw))


class CertificateForge:
    """Signs with the sandbox's own issuing authority for institutions, or with one that nobody knows.

    Nobody holds the private keys: a few public keys serve everybody, since making one for each institution
    would take minutes.
    """

    def __init__(
        self,
        issuer: Identity,
        stranger: Identity,
        keys: Sequence[rsa.RSAPublicKey],
        points: x509.CRLDistributionPoints | None,
    ) -> None:
        self._issuer = issuer
        self._stranger = stranger
        self._keys = tuple(keys)
        self._points = points
        self._made = lru_cache(maxsize=16_384)(self._make)

    def __call__(self, order: CertificateOrder) -> bytes:
        """The DER."""
        return self._made(order)

    def _make(self, order: CertificateOrder) -> bytes:
        digest = blake2b(f"{order.number}/{order.order}".encode(), digest_size=16).digest()
        if order.flaw is Flaw.NOT_A_CERTIFICATE:
            return b"-----BEGIN CERTIFICATE-----\n" + digest.hex().encode()
        issuer = self._stranger if order.flaw is Flaw.UNKNOWN_AUTHORITY else self._issuer
        profile = institution_encryption(order.name, f"{int.from_bytes(digest) % 10**10:010}")
        key = self._keys[digest[0] % len(self._keys)]
        builder = (
            x509.CertificateBuilder()
            .subject_name(profile.subject)
            .issuer_name(issuer.certificate.subject)
            .public_key(key)
            .serial_number(int.from_bytes(digest) >> 1)
            .not_valid_before(datetime.combine(order.begins, time(), UTC))
            .not_valid_after(datetime.combine(order.ends, time(), UTC))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_issuer_key(issuer), critical=False)
        )
        for extension, critical in profile.extensions:
            builder = builder.add_extension(extension, critical)
        if self._points is not None:
            builder = builder.add_extension(self._points, critical=False)
        # Deterministic: a mirror knows a certificate by its hash, and this one may be made a second time.
        return builder.sign(issuer.key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def _issuer_key(issuer: Identity) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())


def forge_of(pki: Pki, directory: Path, clock: Clock) -> CertificateForge:
    """A forge over the sandbox's PKI; what it needs besides is kept in ``directory``."""
    file = directory / f"{_UNKNOWN_AUTHORITY}.p12"
    if file.exists():
        stranger = load_pkcs12(file, _PASSWORD)
    else:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The same name as the known root, another key: only the signature tells them apart.
        stranger = create_root(Purpose.SEAL, clock.now())
        save_pkcs12(stranger, file, _PASSWORD, friendly_name=_UNKNOWN_AUTHORITY)
    profile = institution_encryption("DETSİS DENEME ANAHTARI", "0000000000")
    keys = []
    for place in range(3):
        key = pki.ensure(f"detsis-key-{place + 1}", profile, new_rsa_key).key.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        keys.append(key)
    url = x509.UniformResourceIdentifier(pki.urls.crl(Purpose.SEAL, Level.ISSUING))
    points = x509.CRLDistributionPoints([x509.DistributionPoint([url], None, None, None)])
    return CertificateForge(pki.authority(Purpose.SEAL, Level.ISSUING), stranger, keys, points)
