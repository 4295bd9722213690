"""What a client sends to hand a letter over; the answers are the contracts themselves."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from services.gateway.schemas.text import Body, Line, Moment, Sha256Text, StrictDetsisNo
from shared.contracts.inbound import PackageFinding
from shared.contracts.outbound import OutboundMessage
from shared.eyp import SecurityCode


class RecipientRequest(Body):
    """One recipient of a letter."""

    detsis_no: StrictDetsisNo
    """DETSİS number of the unit the letter is for."""


class UnencryptedDecisionRequest(Body):
    """A person's decision to send a HİZMETE ÖZEL letter unencrypted to recipients that have no certificate (L.26)."""

    decided_by: Annotated[Line, Field(min_length=3, max_length=200)]
    """Who decided: name and title, for the record."""
    reason: Annotated[Line, Field(min_length=10, max_length=500)]
    """Why it has to go unencrypted."""
    decided_at: Moment | None = None
    """When; now unless given."""


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
    package_id: UUID | None = None
    """A finished package of the institution (``/v1/packages``) to send instead of the part ``package``."""
    package_sha256: Sha256Text | None = None
    """SHA-256 of the package in hexadecimal; when given, other bytes are refused as digest-mismatch."""
    expires_at: Moment | None = None
    """A recipient not yet submitted to the KEP provider by then is given up as ``expired``."""
    security_code: SecurityCode | None = None
    """Degree of confidentiality. Required for an encrypted package (.eyps), which does not show it; of others it must
    be what the package says, if given."""
    unencrypted_decision: UnencryptedDecisionRequest | None = None
    """Needed, and used, only when a letter should be encrypted and no recipient has a usable certificate; goes into
    the letter's history and the audit log."""

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

    def pointer(self, detsis_no: int) -> str:
        """Where in the request this recipient stands."""
        return f"/message/recipients/{self.recipient_nos.index(detsis_no)}/detsis_no"


class AcceptedMessage(OutboundMessage):
    """The 202: the letter is stored durably and will be sent. ``queued`` is not sent, sent is not delivered."""

    package_findings: list[PackageFinding] = Field(default_factory=list)
    """What the check of the package found and the institution's policy let pass."""
