"""What a client sends about incoming letters; the answers are the contracts themselves."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from services.gateway.schemas.consumers import ConsumerName
from services.gateway.schemas.text import Body, Line, StrictDetsisNo, Whole
from shared.contracts.consumers import DEFAULT_CONSUMER, ConsumerRole

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
    consumer: ConsumerName = DEFAULT_CONSUMER
    """Whose letters; while no consumers were entered all are those of `default`."""
    role: ConsumerRole | None = None
    """`responsible`: only letters that the consumer registers. `copy`: only its copies. Unless given: copies when there
    is no letter; one answer never has both."""
    max: Whole = Field(default=10, ge=1, le=100)
    """At most so many letters."""
    seconds: Whole = Field(default=300, ge=5, le=3600)
    """How long the lease holds, in seconds; renew it when you need longer."""
    wait: float = Field(default=0, strict=True, ge=0, le=30)
    """How long to wait, in seconds, when there is no letter now."""


class AckBody(Body):
    """The letter is safe in the document system and registered; of a copy: the consumer has dealt with it."""

    lease_token: LeaseToken
    """The token of the lease."""
    registry_no: Annotated[Line, Field(min_length=1, max_length=100)] | None = None
    """The number under which the institution registered the letter: demanded, except of a copy. What a copy is filed
    under is noted with the copy and says nothing about the letter."""


class RefusalReasonBody(Body):
    """One reason why a letter is refused."""

    rule: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9.#_-]+$")]
    """Id of the package rule that is broken, as in the findings, or `other`."""
    text: Annotated[Line, Field(min_length=1, max_length=1000)]
    """For the sender."""


class AcceptanceBody(Body):
    """What an authorised person decides about a letter of another administration."""

    decision: Literal["accepted", "refused"]
    decided_by: Annotated[Line, Field(min_length=1, max_length=200)]
    """Who decided, for the record."""
    reasons: list[RefusalReasonBody] = Field(default=[], max_length=50)
    """At least one of a refusal; none of an acceptance."""


class ReleaseBody(Body):
    """A person releases a mail that the virus scanner withheld."""

    decided_by: Annotated[Line, Field(min_length=1, max_length=200)]
    """Who decided, for the record."""
    reason: Annotated[Line, Field(min_length=1, max_length=1000)]
    """Why it may be handed out, for the record."""


class RefusalNoticeBody(Body):
    """An authorised person has the sender of a refused letter told."""

    decided_by: Annotated[Line, Field(min_length=1, max_length=200)]
    """Who has the notice sent; it names this person."""
    text: Annotated[Line, Field(min_length=1, max_length=2000)] | None = None
    """What is to be said besides the reasons of the refusal."""


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
