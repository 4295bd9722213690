"""Certificates and revocation lists of any shape, and the two judges they are put before: ours and OpenSSL."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from services.signer.certificate_paths import Material, PathVerdict, judge_certificate_path
from services.signer.certificates import load_certificate
from services.signer.checks.chain import ANY_PATH, PathInputs
from services.signer.pipeline import load_lists
from tests.support.pki import NOW, usage

DAY = timedelta(days=1)
Extension = tuple[x509.ExtensionType, bool]
CA_USAGE = usage(key_cert_sign=True, crl_sign=True)


@lru_cache
def key(number: int) -> ec.EllipticCurvePrivateKey:
    """A key; the same one for the same number."""
    return ec.generate_private_key(ec.SECP256R1())


def name(common_name: str, *more: x509.NameAttribute[str]) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "TR"),
            *more,
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@dataclass(frozen=True)
class Party:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def name(self) -> x509.Name:
        return self.certificate.subject

    @property
    def serial(self) -> int:
        return self.certificate.serial_number


def certify(
    issuer: Party | None,
    subject: x509.Name | str,
    *extensions: Extension,
    ca: bool = False,
    length: int | None = None,
    key_usage: x509.KeyUsage | None = None,
    days: tuple[float, float] = (-30, 365),
    own: ec.EllipticCurvePrivateKey | None = None,
    signed_with: ec.EllipticCurvePrivateKey | None = None,
    constraints: bool = True,
) -> Party:
    """A certificate by ``issuer``, or by itself; a CA's has the usage of one unless another is given."""
    own = own or ec.generate_private_key(ec.SECP256R1())
    subject = name(subject) if isinstance(subject, str) else subject
    signing = issuer.key if issuer else own
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.name if issuer else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + days[0] * DAY)
        .not_valid_after(NOW + days[1] * DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    if constraints:
        builder = builder.add_extension(x509.BasicConstraints(ca, length), critical=True)
    if ca and key_usage is None:
        key_usage = CA_USAGE
    if key_usage is not None:
        builder = builder.add_extension(key_usage, critical=True)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Party(builder.sign(signed_with or signing, hashes.SHA256()), own)


@dataclass
class Entry:
    """A line of a list."""

    serial: int
    at: datetime = NOW - DAY
    reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise
    issuer: x509.Name | None = None
    extensions: tuple[Extension, ...] = ()


def crl(
    signer: Party,
    *entries: Entry,
    issuer: x509.Name | None = None,
    number: int | None = 1,
    extensions: Iterable[Extension] = (),
    at: datetime = NOW - DAY / 24,
    days: float | None = 1,
    digest: hashes.HashAlgorithm | None = None,
) -> bytes:
    """A list signed with ``signer``'s key, in its name unless ``issuer`` is another."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer or signer.name)
        .last_update(at)
        .next_update(at + (days or 1) * DAY)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
    )
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    for entry in entries:
        line = x509.RevokedCertificateBuilder().serial_number(entry.serial).revocation_date(entry.at)
        if entry.reason is not None:
            line = line.add_extension(x509.CRLReason(entry.reason), critical=False)
        if entry.issuer is not None:
            line = line.add_extension(x509.CertificateIssuer([x509.DirectoryName(entry.issuer)]), critical=True)
        for extension, critical in entry.extensions:
            line = line.add_extension(extension, critical)
        builder = builder.add_revoked_certificate(line.build())
    return builder.sign(signer.key, digest or hashes.SHA256()).public_bytes(Encoding.DER)


def scope(**options: object) -> Extension:
    """A critical issuingDistributionPoint."""
    defaults: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**(defaults | options)), True  # type: ignore[arg-type]


def points(*urls: str, crl_issuer: x509.Name | None = None) -> Extension:
    """A cRLDistributionPoints with one point for each address, or one for ``crl_issuer``."""
    issuers = [x509.DirectoryName(crl_issuer)] if crl_issuer is not None else None
    named = [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, issuers) for url in urls]
    return x509.CRLDistributionPoints(named or [x509.DistributionPoint(None, None, None, issuers)]), False


def policies(*oids: str) -> Extension:
    return x509.CertificatePolicies([x509.PolicyInformation(ObjectIdentifier(oid), None) for oid in oids]), False


@dataclass
class Court:
    """What is handed to both judges."""

    anchor: Party
    pool: Sequence[Party] = ()
    lists: Sequence[bytes] = ()
    inputs: PathInputs = ANY_PATH
    moment: datetime = NOW
    more_anchors: Sequence[Party] = field(default=())

    def judge(self, party: Party) -> PathVerdict:
        anchors = tuple(load_certificate(item.der) for item in (self.anchor, *self.more_anchors))
        pool = tuple(load_certificate(item.der) for item in self.pool)
        material = Material(anchors, pool, load_lists(self.lists))
        return judge_certificate_path(load_certificate(party.der), material, self.moment, NOW, inputs=self.inputs)

    def openssl(self, party: Party, directory: Path, *, revocation: bool) -> bool:
        """Whether ``openssl verify`` says OK of the same files."""
        files = {
            "anchors.pem": [self.anchor, *self.more_anchors],
            "pool.pem": [*self.pool],
            "one.pem": [party],
        }
        for file, parties in files.items():
            text = b"".join(item.certificate.public_bytes(Encoding.PEM) for item in parties)
            (directory / file).write_bytes(text)
        arguments = ["-CAfile", "anchors.pem", "-attime", str(int(self.moment.timestamp()))]
        if self.pool:
            arguments += ["-untrusted", "pool.pem"]
        if revocation:
            loaded = [x509.load_der_x509_crl(item) for item in self.lists]
            (directory / "lists.pem").write_bytes(b"".join(item.public_bytes(Encoding.PEM) for item in loaded))
            arguments += ["-CRLfile", "lists.pem", "-crl_check_all", "-extended_crl", "-use_deltas"]
        for oid in sorted(self.inputs.policies or {"2.5.29.32.0"}):
            arguments += ["-policy", oid]
        flags = {
            "-explicit_policy": self.inputs.require_explicit_policy,
            "-inhibit_map": self.inputs.inhibit_policy_mapping,
            "-inhibit_any": self.inputs.inhibit_any_policy,
        }
        arguments += ["-policy_check", *(flag for flag, given in flags.items() if given)]
        command = ["openssl", "verify", "-no-CApath", "-no-CAstore", "-purpose", "any", *arguments, "one.pem"]
        return subprocess.run(command, cwd=directory, check=False, capture_output=True).returncode == 0
