"""Settings of kep_relay: ``KEPGW_KEP_RELAY_*``."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from services.kep_relay.asking_settings import AskingSettings
from services.kep_relay.outbound.deemed_read import DeemedReadRule
from shared.contracts.signatures import Profile
from shared.secrets import SecretBox

MEBIBYTE = 1024 * 1024


class Settings(AskingSettings):
    """Where the neighbours are, how long things may take, and what is waited for."""

    blob_store_url: str = Field(description="file:///directory or s3://bucket/prefix for packages, mails and evidence.")
    secret_keys: SecretStr = Field(description="Fernet keys for stored passwords, one a line; the first encrypts.")
    detsis_sync_url: str = Field(description="Base URL of detsis_sync.")
    signer_url: str = Field(description="Base URL of signer.")

    max_package_bytes: int = Field(
        default=20 * MEBIBYTE, ge=1024, le=100 * MEBIBYTE, description="Largest package that is taken for sending."
    )
    kep_domains: list[str] = Field(
        default=["hs[0-9][0-9].kep.tr", "*.hs[0-9][0-9].kep.tr"],
        min_length=1,
        description="JSON list of domains (shell patterns) that letters may go from and to; keeps test and production apart.",
    )
    message_ttl_hours: float = Field(
        default=120, gt=0, le=24 * 90, description="A letter not handed to the provider by then expires."
    )
    message_signature_profiles: list[Profile] = Field(
        default=[Profile.QUALIFIED_SIGNATURE, Profile.INSTITUTION_SEAL],
        min_length=1,
        description="JSON list of profiles; a message's signature that a letter brings along must satisfy one of them.",
    )

    retry_pauses_seconds: list[float] = Field(
        default=[1, 2, 5, 15, 60, 120, 300],
        min_length=1,
        description="JSON list of pauses after a failure that passes by itself; the last one repeats.",
    )
    blocked_pauses_seconds: list[float] = Field(
        default=[30, 60, 300, 900, 3600],
        min_length=1,
        description="JSON list of pauses before looking again at what blocks a letter; the last one repeats.",
    )
    reconcile_window_seconds: float = Field(
        default=900,
        ge=0,
        le=86400,
        description="A message whose answer got lost is sent again only if the provider does not show it for so long.",
    )
    reconcile_pauses_seconds: list[float] = Field(
        default=[2, 5, 15, 30, 60], min_length=1, description="JSON list of pauses between two such looks."
    )

    instance_ttl_seconds: float = Field(
        default=30, ge=1, le=600, description="A process that does not renew its life sign for so long counts as dead."
    )
    claim_seconds: float = Field(
        default=900,
        ge=10,
        le=7200,
        description="Longest time one step of one letter may take; above all SMTP timeouts.",
    )
    sweep_interval_seconds: float = Field(default=5, ge=0.2, le=600, description="Pause between two sweeps.")
    evidence_overdue_hours: float = Field(
        default=24, gt=0, le=24 * 30, description="After so long without delivery evidence a letter asks for attention."
    )
    evidence_long_overdue_hours: float = Field(
        default=72, gt=0, le=24 * 90, description="After so long it is told a second time (evidence_long_overdue)."
    )
    deemed_read_rule: DeemedReadRule = Field(
        default=DeemedReadRule.NONE,
        description="Rule by which a delivered letter is shown as counting as read: none, 24-hours or next-working-day.",
    )
    job_concurrency: int = Field(default=16, ge=1, le=200, description="Jobs that run at the same time.")

    submissions_per_mailbox: int = Field(
        default=4, ge=1, le=50, description="SMTP sessions that one process holds with one account."
    )
    submission_interval_seconds: float = Field(
        default=0, ge=0, le=600, description="Least time between the starts of two submissions from one account."
    )
    smtp_connect_seconds: float = Field(default=10, gt=0, le=300, description="Time to connect, with TLS.")
    smtp_command_seconds: float = Field(default=60, gt=0, le=600, description="Time for the answer to one command.")
    smtp_data_seconds: float = Field(
        default=300, gt=0, le=1800, description="Time for the answer after the last byte of a message."
    )
    smtp_idle_seconds: float = Field(default=20, ge=0, le=600, description="How long an unused session is kept.")
    smtp_credit_words: list[str] = Field(
        default=["kontör", "kontor", "kredi", "bakiye", "credit", "balance"],
        description="JSON list of words, any case; a refused message whose answer holds one waits for credit, and the "
        "account's other letters behind it.",
    )
    smtp_client_name: str = Field(
        default="kep-gateway.invalid", description="Name given in EHLO.", pattern=r"^[A-Za-z0-9.-]{1,253}$"
    )

    legacy_tls_endpoints: list[str] = Field(
        default=[],
        description="JSON list of providers' servers (host:port) that only speak old TLS 1.2: ciphers without forward secrecy and "
        "no secure renegotiation are taken there. Certificates are verified everywhere.",
    )

    eyws_connect_seconds: float = Field(
        default=20, gt=0, le=300, description="Time to connect to a KEP provider's SOAP service, with TLS."
    )
    eyws_call_seconds: float = Field(default=120, gt=0, le=600, description="Time for a whole small call of it.")
    eyws_transfer_seconds: float = Field(
        default=600, gt=0, le=1800, description="Time for a call that carries a message or a file; below claim_seconds."
    )
    eyws_codes_file: str | None = Field(
        default=None,
        description="JSON file with what the SOAP service's refusals mean, looked at before the built-in list (RUNBOOK: the SOAP service refuses).",
    )

    @field_validator("smtp_credit_words")
    @classmethod
    def _words_say_something(cls, words: list[str]) -> list[str]:
        if any(len(word.strip()) < 3 for word in words):
            raise ValueError("words have at least three characters")
        return words

    @field_validator("secret_keys")
    @classmethod
    def _keys_are_usable(cls, keys: SecretStr) -> SecretStr:
        SecretBox(keys)
        return keys

    @field_validator("legacy_tls_endpoints")
    @classmethod
    def _are_endpoints(cls, endpoints: list[str]) -> list[str]:
        if any(not re.fullmatch(r"[A-Za-z0-9.-]{1,253}:[0-9]{1,5}", endpoint) for endpoint in endpoints):
            raise ValueError("must be host:port")
        return [endpoint.lower() for endpoint in endpoints]

    @field_validator("blob_store_url")
    @classmethod
    def _store_is_known(cls, url: str) -> str:
        if urlsplit(url).scheme not in {"file", "s3", "s3a"}:
            raise ValueError("must be a file:// or s3:// URL")
        return url

    @field_validator("detsis_sync_url", "signer_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ValueError("must be an http:// or https:// URL")
        return url

    @field_validator("retry_pauses_seconds", "blocked_pauses_seconds", "reconcile_pauses_seconds")
    @classmethod
    def _pauses_pass(cls, pauses: list[float]) -> list[float]:
        if any(not 0 < pause <= 86400 for pause in pauses):
            raise ValueError("pauses lie between 0 and 86400 seconds")
        return pauses
