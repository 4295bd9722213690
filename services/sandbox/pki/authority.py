"""Making roots, issuing authorities and the certificates below them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID

from services.sandbox.pki.identity import Identity, PrivateKey
from services.sandbox.pki.profiles import Level, Profile, Purpose, authority_extensions, authority_name

_BACKDATED = timedelta(days=2)
"""Certificates start in the past, so that a machine whose clock runs a little behind accepts them."""
_ROOT_LIFETIME = timedelta(days=20 * 365)
_ISSUING_LIFETIME = timedelta(days=10 * 365)
LEAF_LIFETIME = timedelta(days=3 * 365)


@dataclass(frozen=True)
class PublicationUrls:
    """Where the control server publishes what a certificate points at."""

    base: str
    """``http://host:port/pki``, without a trailing slash."""

    def crl(self, purpose: Purpose, level: Level) -> str:
        """The revocation list of what that authority issued."""
        return f"{self.base}/{purpose}/{level}.crl"

    def certificate(self, purpose: Purpose, level: Level) -> str:
        """That authority's own certificate, DER."""
        return f"{self.base}/{purpose}/{level}.crt"

    def ocsp(self, purpose: Purpose) -> str:
        """The responder for what the issuing authority issued. Roots have none: their lists are enough."""
        return f"{self.base}/{purpose}/ocsp"

    @property
    def timestamp(self) -> str:
        """The RFC 3161 authority."""
        return f"{self.base}/timestamp"


def new_rsa_key() -> rsa.RSAPrivateKey:
    """RSA-2048."""
    return rsa.generate_private_key(65537, 2048)


def new_ec_key() -> ec.EllipticCurvePrivateKey:
    """P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def create_root(purpose: Purpose, now: datetime) -> Identity:
    """A new self-signed root."""
    key = new_ec_key()
    subject = authority_name(purpose, Level.ROOT)
    builder = _builder(subject, subject, key, now, _ROOT_LIFETIME)
    for extension, critical in authority_extensions(Level.ROOT):
        builder = builder.add_extension(extension, critical)
    return Identity(builder.sign(key, hashes.SHA256()), key)


def create_issuing(purpose: Purpose, root: Identity, urls: PublicationUrls, now: datetime) -> Identity:
    """A new issuing authority below ``root``, with the root's list but no responder, as Kamu SM does it."""
    key = new_ec_key()
    builder = _builder(authority_name(purpose, Level.ISSUING), root.certificate.subject, key, now, _ISSUING_LIFETIME)
    for extension, critical in authority_extensions(Level.ISSUING):
        builder = builder.add_extension(extension, critical)
    builder = (
        builder.add_extension(_issuer_key(root), critical=False)
        .add_extension(_crl_points(urls.crl(purpose, Level.ROOT)), critical=False)
        .add_extension(_access(ca=urls.certificate(purpose, Level.ROOT), ocsp=None), critical=False)
    )
    return Identity(builder.sign(root.key, hashes.SHA256()), key, (root.certificate,))


def issue(
    profile: Profile,
    issuer: Identity,
    key: PrivateKey,
    urls: PublicationUrls,
    now: datetime,
    *,
    lifetime: timedelta = LEAF_LIFETIME,
) -> Identity:
    """A certificate of ``profile`` for ``key``, with pointers to revocation data unless the profile is exempt."""
    builder = _builder(profile.subject, issuer.certificate.subject, key, now, lifetime)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_issuer_key(issuer), critical=False)
    for extension, critical in profile.extensions:
        builder = builder.add_extension(extension, critical)
    if not any(isinstance(extension, x509.OCSPNoCheck) for extension, _critical in profile.extensions):
        access = _access(ca=urls.certificate(profile.purpose, Level.ISSUING), ocsp=urls.ocsp(profile.purpose))
        points = _crl_points(urls.crl(profile.purpose, Level.ISSUING))
        builder = builder.add_extension(points, critical=False).add_extension(access, critical=False)
    return Identity(builder.sign(issuer.key, hashes.SHA256()), key, (issuer.certificate, *issuer.chain))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _issuer_key(issuer: Identity) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())


def _crl_points(url: str) -> x509.CRLDistributionPoints:
    return x509.CRLDistributionPoints([x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)])


def _access(*, ca: str, ocsp: str | None) -> x509.AuthorityInformationAccess:
    methods = [(AuthorityInformationAccessOID.CA_ISSUERS, ca)]
    if ocsp is not None:
        methods.insert(0, (AuthorityInformationAccessOID.OCSP, ocsp))
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in methods]
    )
