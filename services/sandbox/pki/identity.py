"""A private key with its certificate and issuers, and the PKCS#12 file they travel in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

PrivateKey: TypeAlias = RSAPrivateKey | EllipticCurvePrivateKey
"""The two kinds of key the sandbox makes: RSA-2048 and P-256."""


@dataclass(frozen=True)
class Identity:
    """Whoever holds ``key``: its certificate and the issuers above it, nearest first, the root last.

    A root's own identity has an empty chain.
    """

    certificate: x509.Certificate
    key: PrivateKey
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def certificate_pem(self) -> bytes:
        """The certificate alone, PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def served_chain_pem(self) -> bytes:
        """What a TLS server presents: the certificate and its issuers without the root, PEM."""
        served = (self.certificate, *self.chain[:-1])
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in served)

    @property
    def key_pem(self) -> bytes:
        """The private key, PKCS#8 PEM, not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def save_pkcs12(identity: Identity, path: Path, password: str, *, friendly_name: str) -> None:
    """Write ``identity`` with its chain to ``path``, mode 0600, whole or not at all."""
    content = pkcs12.serialize_key_and_certificates(
        friendly_name.encode(),
        identity.key,
        identity.certificate,
        identity.chain,
        BestAvailableEncryption(password.encode()),
    )
    write_private(path, content)


def load_pkcs12(path: Path, password: str) -> Identity:
    """Read an identity written by ``save_pkcs12``; raise ``ValueError`` for a wrong password or another kind of file."""
    key, certificate, others = pkcs12.load_key_and_certificates(path.read_bytes(), password.encode())
    if certificate is None or not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise ValueError(f"{path.name} does not hold a certificate with an RSA or EC key")
    return Identity(certificate, key, _in_issuing_order(certificate, others))


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _in_issuing_order(leaf: x509.Certificate, others: list[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    by_subject = {other.subject: other for other in others}
    chain: list[x509.Certificate] = []
    current = leaf
    while current.issuer != current.subject and current.issuer in by_subject:
        current = by_subject.pop(current.issuer)
        chain.append(current)
    return tuple(chain)
