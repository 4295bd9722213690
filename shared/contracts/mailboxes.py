"""KEP mailboxes as other services see them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

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


def https_url(url: str | None) -> str | None:
    """``url`` if calls can go there. Raises ``ValueError`` with what is wrong."""
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.fragment:
        raise ValueError("must be an https:// URL without user name and fragment")
    if parts.port == 0 or not url.isascii() or any(char.isspace() or not char.isprintable() for char in url):
        raise ValueError("must be a URL of plain characters with a port up to 65535, if it names one")
    return url


class EywsService(Contract):
    """Access to an account over PTT KEP's SOAP service (kep.md 2.1, 2.5).

    ``agent_no`` and ``second_password`` go in and never come out; None keeps what is stored.
    """

    url: str = Field(max_length=1000)
    """Where calls go: always this https address, whatever a WSDL says."""
    fallback_url: str | None = Field(default=None, max_length=1000)
    """The provider's second host, used while the first cannot be reached (kep.md 7.23)."""
    ca_file: str | None = None
    """PEM bundle to trust instead of the system's."""
    agent_no: str | None = Field(default=None, pattern=r"^[0-9]{11}$", repr=False)
    """Identity number of the authorised agent (işlem yetkilisi), ``tcno``."""
    second_password: str | None = Field(default=None, min_length=1, max_length=500, repr=False)
    """``sifre``; the mailbox's ``password`` is ``parola``."""
    login: Literal["password", "sms", "signature"] = "password"
    """What the account asks for before it hands out messages: BASE, OTP, EIMZA."""

    _are_https = field_validator("url", "fallback_url")(https_url)


class MailboxConfiguration(Contract):
    """How one KEP account is reached. ``password`` goes in and never comes out.

    ``smtp_imap`` needs ``username``, ``smtp`` and ``imap``; ``eyws`` needs ``eyws``, and neither takes the other's.
    """

    institution_no: int
    address: str
    driver: Literal["smtp_imap", "eyws"] = "smtp_imap"
    username: str = ""
    password: str | None = Field(default=None, repr=False)
    smtp: ServerAddress | None = None
    imap: ServerAddress | None = None
    eyws: EywsService | None = None
    inbox_folder: str = "INBOX"
    sent_folder: str = ""
    """Left out: ``Sent``, for ``eyws`` ``INBOX.Sent`` (kep.md 2.4)."""
    poll_interval_seconds: float = Field(default=60, ge=0.2, le=3600)
    read_policy: ReadPolicy = ReadPolicy.ON_ACK
    signing_key_id: str | None = None
    """The key in signer that signs this mailbox's messages; None: every letter brings its message's signature along."""
    sends: bool = True
    active: bool = True

    @model_validator(mode="before")
    @classmethod
    def _usual_folder(cls, values: object) -> object:
        if isinstance(values, dict) and not values.get("sent_folder"):
            return values | {"sent_folder": "INBOX.Sent" if values.get("driver") == "eyws" else "Sent"}
        return values

    @model_validator(mode="after")
    def _driver_has_its_part(self) -> Self:
        for fault in driver_faults(self.driver, username=self.username, smtp=self.smtp, imap=self.imap, eyws=self.eyws):
            raise ValueError(fault)
        return self


def driver_faults(
    driver: str, *, username: str, smtp: object | None, imap: object | None, eyws: object | None
) -> list[str]:
    """What the driver lacks or does not take, one sentence each; empty when the parts fit it."""
    if driver == "eyws":
        parts = {"eyws": eyws}
        others = {"username": username or None, "smtp": smtp, "imap": imap}
    else:
        parts = {"username": username or None, "smtp": smtp, "imap": imap}
        others = {"eyws": eyws}
    missing = [f"driver {driver} needs {name}" for name, part in parts.items() if part is None]
    return missing + [f"driver {driver} takes no {name}" for name, part in others.items() if part is not None]


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
