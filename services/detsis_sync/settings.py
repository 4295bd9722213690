"""Settings of detsis_sync."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import httpx
from pydantic import Field, FilePath, SecretStr, field_validator

from services.detsis_sync.soap.wire import Operation
from shared.config import DatabaseSettings
from shared.secrets import SecretBox


class Settings(DatabaseSettings):
    """See docs/configuration.md for the table."""

    secret_keys: SecretStr = Field(
        description="Fernet keys, one a line, newest first: they encrypt the accounts' passwords. Use …_FILE."
    )
    detsis_ca_file: FilePath | None = Field(
        default=None, description="PEM bundle to trust for DETSİS instead of the system's."
    )
    detsis_proxy_url: str | None = Field(default=None, description="HTTP proxy towards DETSİS.")
    detsis_soap_version: Literal["1.1", "1.2"] = Field(
        default="1.1", description="SOAP version of requests: all known clients of DETSİS use 1.1."
    )
    detsis_operation_seconds: dict[str, Annotated[float, Field(gt=0, le=14400, allow_inf_nan=False)]] = Field(
        default={},
        description="JSON object: operation → seconds one call of it may take as a whole, instead of 30 for small calls, "
        "LIVE_TIMEOUT_SECONDS for CORRESPONDENCE_PACKAGE and 1800 for lists. Operations by their names in "
        'services/detsis_sync/soap/wire/operations.py, for example {"UNITS_BY_DETAIL": 90, "EXTERNAL_UNITS": 3600}.',
    )
    external_list_since: date = Field(
        default=date(2010, 1, 1),
        description="Date from which the external list is read: an early one makes it a full list.",
    )
    shrink_limit_ratio: float = Field(
        default=0.02, ge=0, le=1, description="A list that lost more than this share of its rows is refused."
    )
    stale_after_hours: float = Field(
        default=36, gt=0, description="Age from which answers say that the mirror is stale."
    )
    live_timeout_seconds: float = Field(default=8, gt=0, le=60, description="Longest wait for a live answer.")
    live_breaker_seconds: float = Field(
        default=15, ge=0, description="How long DETSİS is left alone after it could not be reached."
    )
    live_list_timeout_seconds: float = Field(
        default=30, gt=0, le=35, description="Longest wait for live lists and searches, which DETSİS takes longer for."
    )
    live_concurrency: int = Field(
        default=16,
        ge=1,
        le=200,
        description="Live questions under way at one endpoint; one institution has at most half of them, and a quarter "
        "for details that no letter waits for.",
    )
    live_letter_cache_seconds: float = Field(
        default=10,
        ge=0,
        le=120,
        description="How long DETSİS' answer about a letter serves further steps of the same sender, so that check and "
        "sending ask once; 0 asks every time.",
    )
    live_cache_seconds: float = Field(
        default=300,
        ge=0,
        le=3600,
        description="How long live answers about units, managers, officers and file plans are used again.",
    )
    live_cache_keep_seconds: float = Field(
        default=14400,
        ge=0,
        le=86400,
        description="How long such an answer still serves, marked stale, while DETSİS does not answer.",
    )
    contact_max_age_hours: float = Field(
        default=24, gt=0, description="Age up to which stored contacts of a unit are used without asking DETSİS again."
    )
    certificate_warning_days: float = Field(
        default=30, ge=0, le=3650, description="How long before its end an encryption certificate is warned about."
    )
    refresh_mode: Literal["full", "delta"] = Field(
        default="full",
        description="What a night asks for: every unit, or with delta only what changed since the last refresh.",
    )
    full_every_days: int = Field(
        default=7, ge=1, le=60, description="With delta: after how many days a night asks for every unit again."
    )
    staged_list_hours: float = Field(
        default=3, gt=0, le=24, description="How old a fetched list may be to go on with after a crash."
    )
    eyp_checks_per_run: int = Field(
        default=100, ge=0, le=5000, description="Institutions asked for their EYP versions in one refresh."
    )
    refresh_retry_seconds: float = Field(
        default=900,
        gt=0,
        le=86400,
        description="Pause before a refresh that could not reach DETSİS is tried again, inside the nightly window.",
    )
    registration_portal_url: str = Field(
        default="https://yetkili.detsis.gov.tr",
        pattern=r"^https?://[!-~]+$",
        description="Where officers enter a KEP address by hand: DETSİS publishes no call that does it.",
    )
    registration_check_seconds: float = Field(
        default=300, ge=1, le=86400, description="How often DETSİS is asked about open KEP registrations."
    )
    exports_at_once: int = Field(default=2, ge=1, le=20, description="Exports of the whole mirror at the same time.")
    export_seconds: float = Field(
        default=900, gt=0, le=86400, description="Longest time for one export; a slower reader's breaks off."
    )
    schedule_check_seconds: float = Field(default=5, gt=0, description="How often due refreshes are looked for.")

    @field_validator("detsis_proxy_url")
    @classmethod
    def _proxy_is_usable(cls, url: str | None) -> str | None:
        try:
            if url is not None:
                httpx.Proxy(url)
        except httpx.InvalidURL as error:
            raise ValueError("not the URL of a proxy") from error
        return url

    @field_validator("detsis_operation_seconds")
    @classmethod
    def _operations_exist(cls, seconds: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(seconds.keys() - Operation.__members__.keys()):
            raise ValueError(f"no operations: {', '.join(unknown)[:200]}")
        return seconds

    @field_validator("secret_keys")
    @classmethod
    def _keys_are_usable(cls, keys: SecretStr) -> SecretStr:
        SecretBox(keys)
        return keys
