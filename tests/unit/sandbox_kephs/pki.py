"""Throw-away identities: one root, leaves below it."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from services.sandbox.pki.identity import Identity, PrivateKey
from tests.support.pki import usage

NOT_BEFORE = datetime(2024, 1, 1, tzinfo=UTC)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "TR"), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )


def make_root() -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Deneme Kök")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE).not_valid_after(NOT_BEFORE + timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    return Identity(certificate, key)


def make_identity(root: Identity, common_name: str, *, use_rsa: bool = False, host: str | None = None) -> Identity:
    key: PrivateKey = rsa.generate_private_key(65537, 2048) if use_rsa else ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common_name)).issuer_name(root.certificate.subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE).not_valid_after(NOT_BEFORE + timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key()), critical=False)
    )  # fmt: skip
    if host is not None:
        names = [x509.IPAddress(ipaddress.ip_address(host))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Identity(builder.sign(root.key, hashes.SHA256()), key, (root.certificate,))


def server_context(identity: Identity, directory: Path) -> ssl.SSLContext:
    certificate, key = directory / "server.pem", directory / "server.key"
    certificate.write_bytes(identity.served_chain_pem)
    key.write_bytes(identity.key_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def client_context(root: Identity) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=root.certificate_pem.decode())
