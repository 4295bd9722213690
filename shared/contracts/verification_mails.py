"""Mails with which DETSİS asks whether a KEP mailbox is read, as kep_relay shows them to the gateway (EK-1/6, EK-2/5).

Nothing on our side ever opens a link: an authorised person does, after looking at what is said here about it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract
from shared.domain.verdict import Conclusion

IntakeCheckId = Literal["mailbox", "active", "account", "polling", "verification-senders"]
RecognisedBy = Literal["sender", "hint"]


class LinkWarning(StrEnum):
    """What speaks against opening a link."""

    UNEXPECTED_HOST = "unexpected-host"
    """It leads to a host that is not one of the configured hosts of DETSİS."""
    NOT_ENCRYPTED = "not-encrypted"
    USER_INFO = "user-info"
    """Something stands before an ``@``: what looks like the host is not the host."""
    UNUSUAL_PORT = "unusual-port"
    FOREIGN_LETTERS = "foreign-letters"
    """The host's name has letters outside ASCII, which can look like others."""


class MailWarning(StrEnum):
    """What speaks against a mail as a whole."""

    ENVELOPE_NOT_VERIFIED = "envelope-not-verified"
    """No KEP provider's valid signature is around it: anybody may have written it."""
    ENVELOPE_PENDING = "envelope-pending"
    """Its signature has not been judged yet, or could not be so far."""
    SENDER_NOT_CONFIGURED = "sender-not-configured"
    """It does not come from a configured sender of DETSİS; it only looks like a verification mail."""
    SENDER_DISAGREES = "sender-disagrees"
    """The evidence inside names another sender than the mail itself."""
    NO_LINK = "no-link"
    LINKS_LEFT_OUT = "links-left-out"
    """More or longer links than are shown."""
    NO_EXPECTED_LINK = "no-expected-link"
    """No link leads to a configured host of DETSİS."""


class VerificationLink(Contract):
    """One http or https link in the mail's text."""

    url: str
    """Host in ASCII, everything outside ASCII percent-encoded."""
    host: str
    warnings: list[LinkWarning] = Field(default_factory=list)


class VerificationMail(Contract):
    """A mail that is, or may be, a verification mail of DETSİS."""

    message_id: UUID
    """Of the incoming message; its bytes are at ``/inbound-messages/{message_id}/raw``."""
    institution_no: int
    mailbox_id: str
    mailbox_address: str
    recognised_by: RecognisedBy
    """``sender``: from a configured sender, so never offered as a letter; ``hint``: it may be one, and is offered."""
    sender_address: str | None
    subject: str | None
    received_at: datetime
    raw_sha256: str
    envelope: Conclusion | None
    """Verdict on the provider's signature around it; None while there is none."""
    links: list[VerificationLink]
    """Those to configured hosts first."""
    links_left_out: int
    warnings: list[MailWarning]
    settled_at: datetime | None = None
    """When it was written down that an authorised person dealt with it."""
    settled_by: str | None = None


class VerificationMails(Contract):
    """Newest first."""

    mails: list[VerificationMail]


class Settlement(Contract):
    """An authorised person opened the link of a verification mail."""

    settled_by: str = Field(min_length=1, max_length=200)


class IntakeCheck(Contract):
    """One thing that must hold before an address may be opened to others: they send at once (EK-2/4)."""

    id: IntakeCheckId
    ok: bool
    detail: str


class IntakeReport(Contract):
    """Whether mail to an address would be taken in here."""

    address: str
    address_allowed: bool
    """Its domain is among the configured KEP domains."""
    mailbox_id: str | None
    """The mailbox of that address, if one is configured for these institutions."""
    checks: list[IntakeCheck]
