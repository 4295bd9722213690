"""KEP mailboxes as other services see them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from shared.contracts.base import Contract


class ReadPolicy(StrEnum):
    """When the provider is told that we took a letter (this may create evidence 60)."""

    ON_STORE = "on_store"
    ON_ACK = "on_ack"


class ServerAddress(Contract):
    """One mail server of a provider; nothing about real providers is assumed (kep.md 3.1)."""

    host: str
    port: int = Field(ge=1, le=65535)
    tls: Literal["implicit", "starttls"] = "implicit"
    ca_file: str | None = None
    """PEM bundle to trust instead of the system's."""


class MailboxConfiguration(Contract):
    """How one KEP account is reached. ``password`` goes in and never comes out."""

    institution_no: int
    address: str
    driver: Literal["smtp_imap"] = "smtp_imap"
    username: str
    password: str | None = Field(default=None, repr=False)
    smtp: ServerAddress
    imap: ServerAddress
    inbox_folder: str = "INBOX"
    sent_folder: str = "Sent"
    poll_interval_seconds: float = Field(default=60, ge=0.2, le=3600)
    read_policy: ReadPolicy = ReadPolicy.ON_ACK
    signing_key_id: str
    """The key in signer that signs this mailbox's messages."""
    sends: bool = True
    active: bool = True


class Mailbox(Contract):
    """A configured mailbox, without secrets."""

    mailbox_id: str
    configuration: MailboxConfiguration
    created_at: datetime
    updated_at: datetime


class ReadinessCheck(Contract):
    """One thing that must hold before a mailbox may send."""

    id: str
    ok: bool
    detail: str


class MailboxReadiness(Contract):
    """Whether a letter handed over now would go out at once."""

    mailbox_id: str
    ready: bool
    last_successful_poll_at: datetime | None
    checks: list[ReadinessCheck]
