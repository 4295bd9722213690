"""The second factor that some KEP accounts ask for before they hand out messages (kep.md 2.5)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from shared.contracts.base import Contract


class SecondFactorState(StrEnum):
    """Whether messages of a mailbox are handed out."""

    NOT_NEEDED = "not_needed"
    """As far as anybody knows."""
    NEEDED = "needed"
    """Messages wait at the provider; somebody is to begin a challenge."""
    CHALLENGED = "challenged"
    """An SMS key or a signature is waited for."""
    CONFIRMED = "confirmed"
    """Until the provider asks again; how long that is, it does not tell."""


class SecondFactor(Contract):
    """Where a mailbox stands. What the provider needs to recognise a challenge by is never shown."""

    mailbox_id: str
    state: SecondFactorState
    kind: Literal["sms", "signature"] | None = None
    """What the challenge asks for; None without one."""
    text: str | None = None
    """What is to be signed, for ``signature``."""
    digest_base64: str | None = None
    """Its digest as the provider gave it."""
    reason: str | None = None
    """The provider's words when it last refused."""
    needed_at: datetime | None = None
    challenged_at: datetime | None = None
    challenged_by: str | None = None
    confirmed_at: datetime | None = None
    confirmed_by: str | None = None
    challenges_left: int = 0
    """How many may be begun now."""
    next_challenge_at: datetime | None = None
    """When the next one may be begun, if none may now."""


class SecondFactorChallenge(Contract):
    """A person begins a challenge."""

    by: str = Field(min_length=1, max_length=200)
    """Who, for the record."""


class SecondFactorAnswer(Contract):
    """A person answers it: with the key from the SMS, or with a signature over the text."""

    by: str = Field(min_length=1, max_length=200)
    sms_code: str | None = Field(default=None, pattern=r"^[0-9A-Za-z]{1,64}$", repr=False)
    signature_base64: str | None = Field(default=None, min_length=1, max_length=512 * 1024, repr=False)
    """CAdES-BES in DER, Base64."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.sms_code is None) == (self.signature_base64 is None):
            raise ValueError("either sms_code or signature_base64")
        return self
