"""What a person sends about a second factor."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from services.gateway.schemas.text import Body, Line

_Person = Annotated[Line, Field(min_length=2, max_length=200)]


class ChallengeBody(Body):
    """A challenge is begun."""

    by: _Person
    """Who begins it, for the record."""


class ConfirmationBody(Body):
    """A challenge is answered: with ``sms_code`` or with ``signature_base64``, as its ``kind`` says."""

    by: _Person
    """Who answers it, for the record."""
    sms_code: str | None = Field(default=None, pattern=r"^[0-9A-Za-z]{1,64}$", repr=False)
    """The key from the SMS."""
    signature_base64: str | None = Field(
        default=None, min_length=1, max_length=256 * 1024, pattern=r"^[A-Za-z0-9+/=\r\n]+$", repr=False
    )
    """CAdES-BES over the challenge's text, in DER."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.sms_code is None) == (self.signature_base64 is None):
            raise ValueError("needs either sms_code or signature_base64")
        return self
