"""Settings of signer."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

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
        description='Hosts that revocation lists may be fetched from; ["*"] allows every public host.',
    )
    fetch_allow_private: bool = Field(
        default=False, description="Also ask private and loopback addresses, on any port. For a sandbox only."
    )
    fetch_timeout_seconds: float = Field(default=10, gt=0, le=60, description="Longest wait for a revocation list.")
    fetch_limit_bytes: int = Field(
        default=20 * 1024 * 1024, gt=0, le=200 * 1024 * 1024, description="Largest revocation list."
    )
    timestamp_url: str | None = Field(
        default=None, description="Time-stamp authority (RFC 3161) for seals of keys with seal_level t."
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
    verification_workers: int = Field(default=2, ge=1, le=64, description="Verifications computed at the same time.")
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

    @field_validator("timestamp_url")
    @classmethod
    def _authority_has_an_address(cls, url: str | None) -> str | None:
        if url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
            raise ValueError("not an http address")
        return url
