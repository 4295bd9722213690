"""The PKI of one state directory: made at first start, read back at every later one."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from services.sandbox.pki.authority import PublicationUrls, create_issuing, create_root, issue, new_ec_key
from services.sandbox.pki.identity import Identity, PrivateKey, load_pkcs12, save_pkcs12, write_private
from services.sandbox.pki.profiles import Level, Profile, Purpose, ocsp_responder, timestamp_authority, tls_server
from services.sandbox.pki.revocation import OcspResponder, Revocation, RevocationRegister, build_crl
from services.sandbox.pki.timestamp import TimestampAuthority
from shared.clock import Clock

TLS_SERVER = "tls-server"
TIMESTAMP_AUTHORITY = "timestamp-authority"
_ISSUING_SUFFIX = f"-{Level.ISSUING}"
_CRL_REMADE_AFTER = timedelta(hours=1)


class UnknownIdentityError(LookupError):
    """No certificate of that name has been issued."""


@dataclass(frozen=True)
class IdentityFiles:
    """Where an identity lies: PKCS#12, the file with its password, and the certificate alone (PEM)."""

    pkcs12: Path
    password_file: Path
    certificate: Path


class Pki:
    """Authorities, the identities they issued, and the revocation data about them.

    ``clock`` must be the machine's: a list dated in the future is refused by every verifier.
    """

    def __init__(self, directory: Path, urls: PublicationUrls, clock: Clock, *, tls_host: str = "127.0.0.1") -> None:
        self.urls = urls
        self._directory = directory
        self._clock = clock
        self._authorities: dict[tuple[Purpose, Level], Identity] = {}
        self._identities: dict[str, Identity] = {}
        self._purposes: dict[str, Purpose] = {}
        for purpose in Purpose:
            self._open_hierarchy(purpose)
        self._register = RevocationRegister(directory / "revocations.json")
        self._crls: dict[tuple[Purpose, Level], tuple[datetime, int, bytes]] = {}
        for purpose in Purpose:
            self.ensure(_responder_name(purpose), ocsp_responder(purpose), new_ec_key)
        self.ensure(TLS_SERVER, tls_server(tls_host), new_ec_key)
        self.ensure(TIMESTAMP_AUTHORITY, timestamp_authority(), new_ec_key)

    def ensure(
        self, name: str, profile: Profile, new_key: Callable[[], PrivateKey], *, lifetime: timedelta | None = None
    ) -> Identity:
        """The identity ``name``: read back if it was issued before, else issued now from ``profile``."""
        files = self.files(name)
        if files.pkcs12.exists():
            identity = load_pkcs12(files.pkcs12, files.password_file.read_text(encoding="ascii"))
        else:
            issuer = self.authority(profile.purpose, Level.ISSUING)
            extra = {} if lifetime is None else {"lifetime": lifetime}
            identity = issue(profile, issuer, new_key(), self.urls, self._clock.now(), **extra)
            password = secrets.token_urlsafe(24)
            write_private(files.password_file, password.encode("ascii"))
            write_private(files.certificate, identity.certificate_pem)
            save_pkcs12(identity, files.pkcs12, password, friendly_name=name)
        self._identities[name] = identity
        self._purposes[name] = profile.purpose
        return identity

    def identity(self, name: str) -> Identity:
        """The identity called ``name``; raise ``UnknownIdentityError`` if ``ensure`` was not called for it."""
        try:
            return self._identities[name]
        except KeyError:
            raise UnknownIdentityError(name) from None

    def certificate(self, name: str) -> x509.Certificate:
        """The certificate called ``name``: an identity's, or an issuing authority's (``<purpose>-issuing``).

        Raises:
            UnknownIdentityError: there is none of that name.
        """
        for purpose in Purpose:
            if name == f"{purpose}{_ISSUING_SUFFIX}":
                return self.authority(purpose, Level.ISSUING).certificate
        return self.identity(name).certificate

    def names(self) -> tuple[str, ...]:
        """The names of all certificates below the roots."""
        return tuple(sorted([*self._identities, *(f"{purpose}{_ISSUING_SUFFIX}" for purpose in Purpose)]))

    def files(self, name: str) -> IdentityFiles:
        """Where the identity called ``name`` lies."""
        folder = self._directory / "identities"
        return IdentityFiles(folder / f"{name}.p12", folder / f"{name}.password", folder / f"{name}.crt")

    def authority(self, purpose: Purpose, level: Level) -> Identity:
        """A hierarchy's root or issuing authority."""
        return self._authorities[purpose, level]

    def anchor(self, purpose: Purpose) -> x509.Certificate:
        """The root that a verifier has to trust for that purpose."""
        return self.authority(purpose, Level.ROOT).certificate

    def revoke(self, name: str, reason: x509.ReasonFlags, revoked_at: datetime | None = None) -> Revocation:
        """Revoke the certificate called ``name``, now or as of a past moment.

        Raises:
            UnknownIdentityError: no certificate has that name.
            ValueError: ``revoked_at`` lies in the future.
        """
        certificate, now = self.certificate(name), self._clock.now()
        if revoked_at is not None and revoked_at > now:
            raise ValueError("a certificate cannot be revoked as of a future moment")
        if name in self._identities:
            purpose, level = self._purposes[name], Level.ISSUING
        else:
            purpose, level = Purpose(name.removesuffix(_ISSUING_SUFFIX)), Level.ROOT
        moment = (revoked_at or now).astimezone(UTC).replace(microsecond=0)
        revocation = Revocation(
            purpose=purpose, level=level, serial=certificate.serial_number, revoked_at=moment, reason=reason
        )
        return self._register.add(revocation)

    def is_revoked(self, certificate: x509.Certificate) -> bool:
        """Whether a certificate of this PKI has been revoked."""
        return self._register.find(certificate.serial_number) is not None

    def crl(self, purpose: Purpose, level: Level, *, stale: bool = False) -> bytes:
        """The current revocation list of an authority, DER; with ``stale`` one that ran out yesterday."""
        now = self._clock.now().astimezone(UTC).replace(microsecond=0)
        authority, revocations = self.authority(purpose, level), self._register.of(purpose, level)
        if stale:
            made_at = now - timedelta(days=2)
            return build_crl(authority, revocations, number=int(made_at.timestamp()), this_update=made_at)
        made = self._crls.get((purpose, level))
        if made is not None and now - made[0] < _CRL_REMADE_AFTER and made[1] == len(revocations):
            return made[2]
        # the count keeps numbers rising when two lists are made within one second
        number = int(now.timestamp()) * 1000 + len(revocations) % 1000
        content = build_crl(authority, revocations, number=number, this_update=now)
        self._crls[purpose, level] = (now, len(revocations), content)
        return content

    def ocsp_answer(self, purpose: Purpose, request_der: bytes) -> bytes:
        """The DER OCSP response of that hierarchy's issuing authority."""
        issued = frozenset(
            identity.certificate.serial_number
            for name, identity in self._identities.items()
            if self._purposes[name] is purpose
        )
        authority, signer = self.authority(purpose, Level.ISSUING), self.identity(_responder_name(purpose))
        return OcspResponder(authority, signer, issued, self._register).answer(request_der, self._clock.now())

    @property
    def timestamps(self) -> TimestampAuthority:
        """The RFC 3161 authority."""
        return TimestampAuthority(self.identity(TIMESTAMP_AUTHORITY))

    def timestamp_answer(self, request_der: bytes) -> bytes:
        """The DER TimeStampResp to a DER TimeStampReq, at the machine's time."""
        return self.timestamps.answer(request_der, self._clock.now())

    def server_ssl_context(self) -> ssl.SSLContext:
        """A TLS 1.2+ server context with the sandbox's server certificate, for mail and https listeners."""
        certificate, key = self.tls_files()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        return context

    def tls_files(self) -> tuple[Path, Path]:
        """The server certificate with its issuer, and its key, as PEM files."""
        server = self.identity(TLS_SERVER)
        certificate, key = self._directory / "tls-server.pem", self._directory / "tls-server.key"
        if not (certificate.exists() and key.exists()):
            write_private(key, server.key_pem)
            write_private(certificate, server.served_chain_pem)
        return certificate, key

    def publish_anchors(self, directory: Path) -> None:
        """Write each hierarchy's root to ``directory/<purpose>/root.crt``; TLS to ``tls/ca.pem``.

        The authority of seals goes to ``intermediates/``: encryption certificates stand alone in DETSİS.
        """
        for purpose in Purpose:
            name = "ca.pem" if purpose is Purpose.TLS else "root.crt"
            write_private(directory / purpose / name, self.anchor(purpose).public_bytes(Encoding.PEM))
        between = self.authority(Purpose.SEAL, Level.ISSUING).certificate
        write_private(directory / "intermediates" / "seal.crt", between.public_bytes(Encoding.PEM))

    def _open_hierarchy(self, purpose: Purpose) -> None:
        now = self._clock.now()
        root = self._kept_authority(purpose, Level.ROOT)
        if root is None:
            root = self._keep_authority(purpose, Level.ROOT, create_root(purpose, now))
        issuing = self._kept_authority(purpose, Level.ISSUING)
        if issuing is None:
            issuing = self._keep_authority(purpose, Level.ISSUING, create_issuing(purpose, root, self.urls, now))
        self._authorities[purpose, Level.ROOT] = root
        self._authorities[purpose, Level.ISSUING] = issuing

    def _authority_files(self, purpose: Purpose, level: Level) -> tuple[Path, Path]:
        folder = self._directory / "authorities"
        return folder / f"{purpose}-{level}.p12", folder / f"{purpose}-{level}.password"

    def _kept_authority(self, purpose: Purpose, level: Level) -> Identity | None:
        path, password_file = self._authority_files(purpose, level)
        return load_pkcs12(path, password_file.read_text(encoding="ascii")) if path.exists() else None

    def _keep_authority(self, purpose: Purpose, level: Level, identity: Identity) -> Identity:
        path, password_file = self._authority_files(purpose, level)
        password = secrets.token_urlsafe(24)
        write_private(password_file, password.encode("ascii"))
        save_pkcs12(identity, path, password, friendly_name=f"{purpose}-{level}")
        return identity


def _responder_name(purpose: Purpose) -> str:
    return f"ocsp-{purpose}"
