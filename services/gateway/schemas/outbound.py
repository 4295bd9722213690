"""What a client sends to hand a letter over; the answers are the contracts themselves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from services.gateway.schemas.text import Body, Line, Moment, Sha256Text, StrictDetsisNo
from shared.contracts.inbound import PackageFinding
from shared.contracts.outbound import OutboundMessage


class RecipientRequest(Body):
    """One recipient of a letter."""

    detsis_no: StrictDetsisNo
    """DETSİS number of the unit the letter is for."""


class OutboundMessageRequest(Body):
    """The part ``message`` of ``POST /v1/outbound-messages``."""

    institution_no: StrictDetsisNo | None = None
    """DETSİS number of the sending institution; may be left out when the API key is bound to one only."""
    recipients: list[RecipientRequest] = Field(min_length=1, max_length=500)
    """The real recipients; each gets a KEP message and evidence of its own."""
    client_ref: Annotated[Line, Field(min_length=1, max_length=200)] | None = None
    """The caller's own reference; comes back in every answer and can be searched for."""
    subject: Annotated[Line, Field(min_length=1, max_length=500)] | None = None
    """Subject of the KEP message; the letter's own subject unless given."""
    package_sha256: Sha256Text | None = None
    """SHA-256 of the package in hexadecimal; when given, other bytes are refused as digest-mismatch."""
    expires_at: Moment | None = None
    """A recipient not yet submitted to the KEP provider by then is given up as ``expired``."""

    @model_validator(mode="after")
    def _each_recipient_once(self) -> OutboundMessageRequest:
        numbers = [recipient.detsis_no for recipient in self.recipients]
        if len(set(numbers)) != len(numbers):
            raise ValueError("a recipient is named twice")
        return self

    @property
    def recipient_nos(self) -> list[int]:
        """The DETSİS numbers, in the order given."""
        return [recipient.detsis_no for recipient in self.recipients]


class AcceptedMessage(OutboundMessage):
    """The 202: the letter is stored durably and will be sent. ``queued`` is not sent, sent is not delivered."""

    package_findings: list[PackageFinding] = Field(default_factory=list)
    """What the check of the package found and the institution's policy let pass."""
