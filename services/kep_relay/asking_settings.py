"""Settings of what providers are asked for: evidence, the account's standing; part of ``services.kep_relay.settings``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from services.kep_relay.inbound.settings import InboundSettings

_DAY = 86400


class AskingSettings(InboundSettings):
    """How often what is asked, and from when on somebody is to look."""

    evidence_poll_steps: list[tuple[float, int]] = Field(
        default=[(30, 1), (60, 1), (120, 1), (300, 1), (900, 1), (3600, 47), (_DAY, 28)],
        min_length=1,
        max_length=50,
        description="JSON list of [pause in seconds, times]: when a provider that lists evidence is asked about a letter again.",
    )
    evidence_fetch_pauses_seconds: list[float] = Field(
        default=[30, 60, 300, 900, 3600, 21600],
        min_length=1,
        description="JSON list of pauses after a listed document could not be had; the last one repeats.",
    )
    evidence_fetch_days: float = Field(
        default=30, gt=0, le=365, description="How long such a document is asked for; then its letter stays flagged."
    )
    account_interval_seconds: float = Field(
        default=900, ge=10, le=_DAY, description="How often a provider that tells credit and quota is asked for them."
    )
    credit_warning: float = Field(
        default=100, ge=0, description="Below this credit (in the provider's unit) a mailbox is counted as short of it."
    )
    quota_warning_kilobytes: int = Field(
        default=100 * 1024, ge=0, description="Below this quota, as the provider tells it, a mailbox is short of room."
    )
    second_factor_challenges: int = Field(
        default=2, ge=1, le=10, description="Challenges that may be begun in a row without one being answered right."
    )
    second_factor_pause_seconds: float = Field(
        default=3600, ge=0, le=_DAY, description="How long none may be begun after that; providers lock accounts."
    )
    unready_mailbox: Literal["queue", "refuse"] = Field(
        default="queue",
        description="A letter for a mailbox that is stopped or out of credit: queue (accepted, waits as blocked) or refuse.",
    )

    @field_validator("evidence_poll_steps")
    @classmethod
    def _steps_pass(cls, steps: list[tuple[float, int]]) -> list[tuple[float, int]]:
        if any(not 1 <= pause <= 7 * _DAY or not 1 <= times <= 10_000 for pause, times in steps):
            raise ValueError("pauses lie between 1 second and 7 days, and are made 1 to 10000 times")
        return steps

    @field_validator("evidence_fetch_pauses_seconds")
    @classmethod
    def _fetch_pauses_pass(cls, pauses: list[float]) -> list[float]:
        if any(not 1 <= pause <= 7 * _DAY for pause in pauses):
            raise ValueError("pauses lie between 1 second and 7 days")
        return pauses
