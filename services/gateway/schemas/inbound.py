"""What a client sends about incoming letters; the answers are the contracts themselves."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from services.gateway.schemas.text import Body, Line, StrictDetsisNo, Whole

LeaseToken = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")]


class PackageForm(StrEnum):
    """In what form a package is downloaded."""

    RECEIVED = "received"
    """Byte for byte as it came."""
    OPENED = "opened"
    """The package inside an encrypted one, opened for this download; any other package as it came."""


class LeaseBody(Body):
    """Take letters for a while."""

    institution_no: StrictDetsisNo | None = None
    """Only letters to this institution; all of the API key's unless given."""
    max: Whole = Field(default=10, ge=1, le=100)
    """At most so many letters."""
    seconds: Whole = Field(default=300, ge=5, le=3600)
    """How long the lease holds, in seconds; renew it when you need longer."""
    wait: float = Field(default=0, strict=True, ge=0, le=30)
    """How long to wait, in seconds, when there is no letter now."""


class AckBody(Body):
    """The letter is safe in the document system and registered."""

    lease_token: LeaseToken
    """The token of the lease."""
    registry_no: Annotated[Line, Field(min_length=1, max_length=100)]
    """The number under which the institution registered the letter."""


class NackBody(Body):
    """The letter could not be taken now; it becomes available again."""

    lease_token: LeaseToken
    """The token of the lease."""
    reason: Annotated[Line, Field(max_length=1000)] | None = None
    """Why, for the people who look after the institution."""
    delay_seconds: Whole = Field(default=0, ge=0, le=86400)
    """Not to be leased again before so many seconds."""


class RenewBody(Body):
    """Keep the lease longer."""

    lease_token: LeaseToken
    """The token of the lease."""
    seconds: Whole = Field(default=300, ge=5, le=3600)
    """From now, in seconds."""
