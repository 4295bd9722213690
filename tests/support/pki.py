"""A throw-away public-key infrastructure for tests: made in memory, never written down.

``build_pki(now)`` gives a hierarchy for each purpose (root, issuing CA) and the usual certificates
below it. Every signature here is made with ``cryptography`` alone, so that the code under test is
not checked against itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes as Key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
QC_BTK = bytes.fromhex(
    # SEQUENCE { SEQUENCE { 0.4.0.1862.1.1 }, SEQUENCE { 2.16.792.1.61.0.1.5070.1.1 } }
    "30193008060604008e460101300d060b608618013d0001a74e0101"
)
PASSWORD = b"test-only"


@lru_cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """An RSA key; the same one for the same arguments, because making them is slow."""
    return rsa.generate_private_key(65537, bits)


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def usage(**names: bool) -> x509.KeyUsage:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: names.get(name, False) for name in every})


@dataclass
class Holder:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: Key
    issuers: tuple[x509.Certificate, ...] = ()
    """Issuing CAs up to, not including, the root."""

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def chain_der(self) -> tuple[bytes, ...]:
        return (self.der, *(item.public_bytes(Encoding.DER) for item in self.issuers))

    def write_pkcs12(self, path: Path, password: bytes = PASSWORD) -> Path:
        path.write_bytes(
            pkcs12.serialize_key_and_certificates(
                b"key", self.key, self.certificate, self.issuers, BestAvailableEncryption(password)
            )
        )
        return path


@dataclass
class Authority(Holder):
    """A CA that issues and revokes."""

    crl_url: str | None = None
    revoked: dict[int, datetime] = field(default_factory=dict)

    def issue(
        self,
        name: str,
        *,
        now: datetime = NOW,
        key: Key | None = None,
        key_usage: x509.KeyUsage | None = None,
        qualified: bool = False,
        extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
        days: tuple[int, int] = (-30, 365),
        ca: bool = False,
        serial_number: int | None = None,
        digest: hashes.HashAlgorithm | None = None,
        identity_no: str = "10000000146",
        crl_url: str | None = None,
    ) -> Holder:
        key = key or ec_key()
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "TR"),
                x509.NameAttribute(NameOID.SERIAL_NUMBER, identity_no),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(serial_number or x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if ca:
            key_usage = usage(key_cert_sign=True, crl_sign=True)
        if key_usage is not None:
            builder = builder.add_extension(key_usage, critical=True)
        if qualified:
            builder = builder.add_extension(
                x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.5.5.7.1.3"), QC_BTK), critical=False
            ).add_extension(
                x509.CertificatePolicies([x509.PolicyInformation(ObjectIdentifier("2.16.792.1.2.1.1.5.7.1.1"), None)]),
                critical=False,
            )
        if self.crl_url:
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(self.crl_url)], None, None, None)
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        certificate = builder.sign(self.key, digest or hashes.SHA256())
        own = () if self.certificate.issuer == self.certificate.subject else (self.certificate,)
        if ca:
            return Authority(certificate, key, (*own, *self.issuers), crl_url)
        return Holder(certificate, key, (*own, *self.issuers))

    def revoke(self, holder: Holder, at: datetime) -> None:
        self.revoked[holder.certificate.serial_number] = at

    def crl(self, at: datetime = NOW, *, hours: float = 24, extra_entries: int = 0) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(at - timedelta(hours=1))
            .next_update(at - timedelta(hours=1) + timedelta(hours=hours))
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        entries = dict(self.revoked) | {10**12 + index: at for index in range(extra_entries)}
        for serial_number, moment in entries.items():
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(serial_number)
                .revocation_date(moment)
                .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
                .build()
            )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


def make_root(name: str, *, now: datetime = NOW, key: Key | None = None, crl_url: str | None = None) -> Authority:
    key = key or ec_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "TR"), x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3650))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key, (), crl_url)


@dataclass
class Hierarchy:
    """A root and the CA that issues below it."""

    root: Authority
    issuing: Authority

    def crls(self, at: datetime = NOW, *, hours: float = 24) -> list[bytes]:
        return [self.root.crl(at, hours=hours), self.issuing.crl(at, hours=hours)]


@dataclass
class Pki:
    """Everything a signature test needs."""

    qualified: Hierarchy
    seal: Hierarchy
    kephs: Hierarchy
    timestamp: Hierarchy
    signer: Holder
    sealer: Holder
    transaction: Holder
    tsa: Holder

    def hierarchies(self) -> dict[str, Hierarchy]:
        return {"qualified": self.qualified, "seal": self.seal, "kephs": self.kephs, "timestamp": self.timestamp}

    def crls(self, at: datetime = NOW, *, hours: float = 24) -> list[bytes]:
        return [item for hierarchy in self.hierarchies().values() for item in hierarchy.crls(at, hours=hours)]

    def write_trust(self, directory: Path) -> Path:
        for purpose, hierarchy in self.hierarchies().items():
            (directory / purpose).mkdir(parents=True, exist_ok=True)
            (directory / purpose / "root.pem").write_bytes(hierarchy.root.pem)
        return directory


NES_USAGE = usage(digital_signature=True, content_commitment=True)
SEAL_USAGE = usage(digital_signature=True)


def make_hierarchy(name: str, *, now: datetime = NOW, crl_base: str | None = None) -> Hierarchy:
    root_url = f"{crl_base}/{name}-root.crl" if crl_base else None
    issuing_url = f"{crl_base}/{name}-issuing.crl" if crl_base else None
    root = make_root(f"Test {name} root", now=now, crl_url=root_url)
    issuing = root.issue(f"Test {name} CA", now=now, ca=True, days=(-2000, 2000), crl_url=issuing_url)
    assert isinstance(issuing, Authority)
    return Hierarchy(root, issuing)


def build_pki(now: datetime = NOW, *, crl_base: str | None = None) -> Pki:
    """A fresh PKI; ``crl_base`` (an http URL) goes into the certificates as distribution point."""
    trees = {
        name: make_hierarchy(name, now=now, crl_base=crl_base) for name in ("qualified", "seal", "kephs", "timestamp")
    }
    stamping = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)
    return Pki(
        **trees,
        signer=trees["qualified"].issuing.issue(
            "Ayşe Örnek", now=now, key=rsa_key(), key_usage=NES_USAGE, qualified=True
        ),
        sealer=trees["seal"].issuing.issue(
            "Örnek Belediyesi", now=now, key=ec_key(ec.SECP384R1()), key_usage=SEAL_USAGE, identity_no="1234567890"
        ),
        transaction=trees["kephs"].issuing.issue("Örnek KEPHS işlem", now=now, key_usage=SEAL_USAGE),
        tsa=trees["timestamp"].issuing.issue(
            "Örnek zaman damgası", now=now, key_usage=SEAL_USAGE, extensions=(stamping,)
        ),
    )
