"""Settings of the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from services.gateway.keys import read_key
from shared.config import DatabaseSettings


class Settings(DatabaseSettings):
    """What the gateway reads from ``KEPGW_GATEWAY_*``."""

    kep_relay_url: str = Field(description="Base URL of kep_relay, for example http://127.0.0.1:8103.")
    detsis_sync_url: str = Field(description="Base URL of detsis_sync.")
    signer_url: str = Field(description="Base URL of signer.")
    spool_directory: Path = Field(
        description="Where an upload lies while it is received; needs room for the uploads under way, nothing stays.",
    )
    blob_store_url: str = Field(
        description="file:///directory or s3://bucket/prefix for the files of packages under way and finished packages."
    )
    max_package_bytes: int = Field(
        default=20_000_000, ge=1_000, le=1_000_000_000, description="Largest package that is accepted, in bytes."
    )
    bootstrap_admin_key: SecretStr | None = Field(
        default=None,
        description="An API key (kepgw_<8-16 letters or digits>_<32-64 letters or digits>) that holds scope admin "
        "from the first start; only its digest is stored.",
    )
    default_language: Literal["tr", "en"] = Field(
        default="tr", description="Language of problem titles when the caller states none that we have."
    )
    requests_per_second: float = Field(
        default=50, gt=0, le=100_000, description="Requests one API key may make per second, in the long run."
    )
    request_burst: int = Field(
        default=200, ge=1, le=1_000_000, description="Requests one API key may make at once after a pause."
    )
    key_cache_seconds: float = Field(
        default=3,
        ge=0,
        le=60,
        description="How long a key or an institution's policy holds after it was looked up: the delay of a revocation "
        "or a change made through another replica.",
    )
    idempotency_takeover_seconds: int = Field(
        default=60, ge=5, le=3600, description="Age after which a submission that never ended may be continued."
    )
    idempotency_retention_days: int = Field(
        default=90, ge=1, le=3650, description="How long an Idempotency-Key is remembered."
    )
    draft_retention_days: int = Field(
        default=90,
        ge=1,
        le=3650,
        description="A package under way that is not finished is discarded after so long without a step.",
    )

    print_max_pages: int = Field(
        default=200, ge=1, le=5_000, description="Most pages of letter and annexes that one print may have."
    )
    print_seconds: float = Field(
        default=120, ge=1, le=600, description="How long making one print may take before its process is killed."
    )
    print_memory_bytes: int = Field(
        default=1_500_000_000, ge=300_000_000, le=16_000_000_000,
        description="Address space of the process that makes a print, in bytes.",
    )  # fmt: skip
    prints_at_once: int = Field(
        default=2, ge=1, le=64, description="Prints being made at the same time; four times as many may wait."
    )

    verification_retention_days: int = Field(
        default=30, ge=1, le=3650,
        description="File and report of a kept verification are deleted after so long; digests and verdicts stay.",
    )  # fmt: skip
    verification_most_looks: int = Field(
        default=20, ge=1, le=1_000, description="Verdicts on a kept file until an open one is left as it is."
    )
    verifications_per_client: int = Field(
        default=20, ge=1, le=10_000, description="Verifications of one client under way; more are told to come later."
    )
    verifications_at_once: int = Field(
        default=8, ge=1, le=256, description="Kept verifications that one process judges at the same time."
    )
    verification_report_seconds: float = Field(
        default=60, ge=1, le=600, description="How long drawing one report may take before its process is killed."
    )

    @field_validator("service_tokens")
    @classmethod
    def _own_token(cls, tokens: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if "gateway" not in tokens:
            raise ValueError("has no token for gateway")
        return tokens

    @field_validator("blob_store_url")
    @classmethod
    def _known_store(cls, url: str) -> str:
        if urlsplit(url).scheme not in {"file", "s3", "s3a"}:
            raise ValueError("must be a file:// or s3:// URL")
        return url

    @field_validator("bootstrap_admin_key")
    @classmethod
    def _formed_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            read_key(key.get_secret_value())
        return key
