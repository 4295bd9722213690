"""Settings of signer."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from services.signer.formats.cades_upgrading import ArchiveVersion
from shared.config import CommonSettings

_CERTIFICATE_PROVIDERS = [
    "depo.kamusm.gov.tr",
    "www.kamusm.gov.tr",
    "sil.e-guven.com",
    "crl.e-tugra.com",
    "crl1.e-tugra.com",
    "www.turktrust.com.tr",
    "sil.e-imzatr.com",
]


class Settings(CommonSettings):
    """See docs/configuration.md for the table."""

    trust_directory: Path = Field(
        description="Trust anchors by purpose: qualified/ seal/ kephs/ timestamp/ encryption/ (empty: those of seal/), and intermediates/."
    )
    trust_officers: Path | None = Field(
        default=None,
        description="JSON file of the officers whose signatures a managed trust store needs (deploy/TRUST.md); trust_directory is that store then.",
    )
    trust_officers_sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-fA-F]{64}$", description="SHA-256 of that file; another file is refused."
    )
    trust_version_at_least: int = Field(
        default=1, ge=1, le=999_999, description="Lowest version of a managed trust store; an older one is refused."
    )
    keys_file: Path | None = Field(
        default=None,
        description="JSON list of keys (PKCS#12 or PKCS#11) that sign or decrypt. Without it this signer only verifies and encrypts.",
    )
    signatures_at_once: int = Field(default=8, ge=1, le=64, description="Signatures and seals made at the same time.")
    hardware_sessions: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Sessions with one hardware module's token at most; each is a process of 25 MB.",
    )
    hardware_timeout_seconds: float = Field(
        default=10, gt=0, le=120, description="Longest wait for one answer of a token; its session is ended then."
    )
    hardware_check_seconds: float = Field(
        default=15,
        ge=1,
        le=3600,
        description="How often tokens are looked at, and those that came back are used again.",
    )
    revocation_directory: Path | None = Field(
        default=None, description="Revocation lists (*.crl) brought by other means, for a signer without network."
    )
    fetch_allowed_hosts: list[str] = Field(
        default=_CERTIFICATE_PROVIDERS,
        description='Hosts that revocation lists, OCSP responses and certificates may be fetched from; ["*"] allows every public host.',
    )
    fetch_allow_private: bool = Field(
        default=False, description="Also ask private and loopback addresses, on any port. For a sandbox only."
    )
    fetch_timeout_seconds: float = Field(
        default=10, gt=0, le=60, description="Longest wait for an answer when fetching."
    )
    fetch_limit_bytes: int = Field(
        default=20 * 1024 * 1024, gt=0, le=200 * 1024 * 1024, description="Largest revocation list."
    )
    fetch_proxy: SecretStr | None = Field(
        default=None,
        description="Address of an http proxy for all fetching (http://[user:password@]host:port). It finds the addresses, so fetch_allowed_hosts must not be *.",
    )
    offline: bool = Field(
        default=False, description="Fetch nothing: verdicts rest on what files bring along and what is supplied."
    )
    ocsp_kept_seconds: float = Field(
        default=3600, ge=0, le=604_800, description="How long an OCSP response is used again, within its own dates."
    )
    ocsp_without_nonce_seconds: float = Field(
        default=86_400,
        ge=0,
        le=604_800,
        description="How old an OCSP response may be that leaves out our nonce; 0 refuses them all.",
    )
    evidence_directory: Path | None = Field(
        default=None,
        description="Where the evidence that verdicts rest on is kept, so that they can be made again. Without it none is.",
    )
    evidence_days: int = Field(
        default=3650, ge=1, le=36_500, description="How long, after the last verdict that rests on it."
    )
    timestamp_url: str | None = Field(
        default=None,
        description="Time-stamp authority (RFC 3161) for seals of keys with a seal_level above b, and for raising signatures.",
    )
    timestamp_authorization: SecretStr | None = Field(
        default=None, description="Value of the Authorization header for it, for example Basic and a base64 text."
    )
    timestamp_policies: list[str] = Field(
        default=[], description="JSON list of the policies (OIDs) accepted in its time-stamps; empty for any."
    )
    timestamp_timeout_seconds: float = Field(default=10, gt=0, le=60, description="Longest wait for a time-stamp.")
    timestamp_skew_seconds: float = Field(
        default=60, gt=0, le=3600, description="How far a new time-stamp may be from our clock."
    )
    archive_timestamp: ArchiveVersion = Field(
        default=ArchiveVersion.V3,
        description="Archive time-stamp of seals with seal_level a: v3 (EN 319 122-1), or v2, which older software reads.",
    )
    seal_evidence_limit_bytes: int = Field(
        default=768 * 1024,
        gt=0,
        le=16 * 1024 * 1024,
        description="Most that certificates and revocation data add to one signature at X-L or A; gateway leaves 1 MiB of a package for all of them.",
    )
    reload_seconds: float = Field(
        default=30, ge=1, le=86_400, description="How often the trust and revocation directories are looked at."
    )
    file_limit_bytes: int = Field(
        default=60 * 1024 * 1024,
        gt=0,
        le=1024 * 1024 * 1024,
        description="Largest file or content to verify, sign, encrypt or decrypt.",
    )
    seal_limit_bytes: int = Field(
        default=10 * 1024 * 1024, gt=0, le=100 * 1024 * 1024, description="Largest package component to seal."
    )
    verification_workers: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Verifications computed at the same time, each in a process of its own; one per core is enough.",
    )
    verification_cpu_seconds: float = Field(
        default=20,
        gt=0,
        le=600,
        description="Processor time of one verification; then its process is killed and it is reported as not completed.",
    )
    verification_memory_bytes: int = Field(
        default=1536 * 1024 * 1024,
        ge=256 * 1024 * 1024,
        le=64 * 1024 * 1024 * 1024,
        description="Address space of one verification process, revocation lists included.",
    )
    verification_timeout_seconds: float = Field(
        default=45, gt=0, le=600, description="After this a verification is reported as not completed."
    )
    envelopes_at_once: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Envelopes made, opened or looked at at the same time; what is opened is in memory until it is sent.",
    )
    retry_after_seconds: int = Field(
        default=300, ge=1, le=86_400, description="When to ask again after revocation data was missing."
    )

    @field_validator("fetch_proxy")
    @classmethod
    def _proxy_has_an_address(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is not None:
            address = urlsplit(proxy.get_secret_value())
            if address.scheme != "http" or not address.hostname:
                raise ValueError("not the address of an http proxy")
        return proxy

    @model_validator(mode="after")
    def _hosts_are_listed_for_a_proxy(self) -> Settings:
        if self.fetch_proxy is not None and "*" in self.fetch_allowed_hosts:
            raise ValueError('fetch_proxy: with it fetch_allowed_hosts must name hosts, not ["*"]')
        return self

    @field_validator("timestamp_url")
    @classmethod
    def _authority_has_an_address(cls, url: str | None) -> str | None:
        if url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
            raise ValueError("not an http address")
        return url
