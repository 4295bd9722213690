"""What every KEP driver offers: outcome types and raw bytes; nothing above knows which driver ran."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias, TypeVar

from pydantic import SecretStr

from shared.contracts.mailboxes import ServerAddress
from shared.domain.identifiers import KepAddress
from shared.errors import DomainError, ErrorCode


@dataclass(frozen=True)
class EywsAccount:
    """How PTT KEP's SOAP service is reached for one account, and its secrets (kep.md 2.5)."""

    url: str
    fallback_url: str | None
    ca_file: str | None
    agent_no: SecretStr
    second_password: SecretStr
    login: Literal["password", "sms", "signature"]


@dataclass(frozen=True)
class MailboxAccount:
    """How to reach one KEP account, with its password: for drivers only, never logged or sent on."""

    mailbox_id: str
    institution_no: int
    address: KepAddress
    username: str
    password: SecretStr
    smtp: ServerAddress | None
    imap: ServerAddress | None
    inbox_folder: str
    sent_folder: str
    revision: int
    """Grows with every change of the configuration; sessions of an older revision are not used again."""
    eyws: EywsAccount | None = None

    @property
    def smtp_server(self) -> ServerAddress:
        """Where messages are submitted; MAILBOX_NOT_READY for an account that has no such server."""
        return _configured(self.smtp, "SMTP server")

    @property
    def imap_server(self) -> ServerAddress:
        """Where mail is read; MAILBOX_NOT_READY for an account that has no such server."""
        return _configured(self.imap, "IMAP server")

    @property
    def eyws_service(self) -> EywsAccount:
        """The SOAP service; MAILBOX_NOT_READY for an account that is not reached by it."""
        return _configured(self.eyws, "SOAP service")


_Part = TypeVar("_Part")


def _configured(part: _Part | None, name: str) -> _Part:
    if part is None:
        raise DomainError(ErrorCode.MAILBOX_NOT_READY, f"the mailbox has no {name} configured")
    return part


class LoginRefusedError(DomainError):
    """MAILBOX_NOT_READY: the provider refuses the account itself.

    Nothing may be tried with it until its configuration changes (a loop of wrong passwords locks it:
    kep.md 7.4).
    """

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorCode.MAILBOX_NOT_READY, detail)


@dataclass(frozen=True)
class Accepted:
    """The provider took the message. Only evidence 10 proves it; this is merely its word."""

    reply: str


@dataclass(frozen=True)
class TemporaryFailure:
    """Certainly not taken; the same bytes may be taken later.

    ``unreachable``: it was the provider that failed, not this message, so others would fare the same.
    ``account_only``: others of this account, that is; the provider's other accounts may not.
    """

    reason_code: str
    reason: str
    unreachable: bool = False
    account_only: bool = False


@dataclass(frozen=True)
class PermanentFailure:
    """Certainly not taken, and never will be as it is."""

    reason_code: str
    reason: str


@dataclass(frozen=True)
class Blocked:
    """Certainly not taken; a person (or another part) must change something first.

    ``stop_account``: the account itself is refused, so no other letter may be tried with it either
    (a loop of wrong passwords locks it: kep.md 7.4).
    """

    reason_code: str
    reason: str
    stop_account: bool = False


@dataclass(frozen=True)
class OutcomeUnknown:
    """The provider had the whole message and its answer did not arrive: it may or may not have been taken."""

    reason_code: str
    reason: str


SubmissionOutcome: TypeAlias = Accepted | TemporaryFailure | PermanentFailure | Blocked | OutcomeUnknown


@dataclass(frozen=True)
class Envelope:
    """Who a message is from and to, and the Message-ID it carries (with angle brackets)."""

    sender: KepAddress
    recipient: KepAddress
    message_id_header: str


class InboxSession(Protocol):
    """A mailbox opened for reading. Every method raises ``DomainError(PROVIDER_UNAVAILABLE)`` when the link breaks."""

    @property
    def uidvalidity(self) -> int:
        """The folder's incarnation: another value than last time means that all UIDs are new."""
        ...

    async def list_new(self, after_uid: int) -> Sequence[int]:
        """UIDs greater than ``after_uid``, ascending."""
        ...

    async def fetch(self, uid: int, *, limit: int) -> bytes:
        """The message as stored, without marking it seen. TOO_LARGE beyond ``limit`` bytes."""
        ...

    async def size(self, uid: int) -> int | None:
        """The message's size in bytes as the provider announces it; None when the message is gone."""
        ...

    def pieces(self, uid: int, *, limit: int) -> AsyncIterator[bytes]:
        """What ``fetch`` gives, in pieces of a bounded size, for messages that are not to be held whole."""
        ...

    async def mark_seen(self, uid: int) -> None:
        """Tell the provider that we took the message; it may issue evidence 60 for it."""
        ...

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """Return when the folder changed (IDLE) or the time is over."""
        ...


class KepDriver(Protocol):
    """One way to talk to a KEP provider."""

    async def submit(
        self, mailbox: MailboxAccount, envelope: Envelope, content: AsyncIterable[bytes], *, size: int
    ) -> SubmissionOutcome:
        """Hand over a complete message, byte for byte (CRLF lines, last line ended).

        ``size`` is the exact number of bytes in ``content``. Never raises for anything the provider
        or the network does: that is what the outcome is for.
        """
        ...

    async def find_sent(self, mailbox: MailboxAccount, *, message_id_header: str, rem_id: str) -> bool:
        """Whether the provider keeps a sent message with this Message-ID or X-TR-REM-iletiID.

        Raises ``DomainError(PROVIDER_UNAVAILABLE)`` when it cannot be asked: that is not a "no".
        """
        ...

    def open_inbox(self, mailbox: MailboxAccount) -> AbstractAsyncContextManager[InboxSession]:
        """The mailbox's inbox. Raises ``LoginRefusedError``, and ``DomainError`` for everything else."""
        ...

    async def probe(self, mailbox: MailboxAccount) -> None:
        """Connect to submission without logging in; raise ``DomainError`` if that does not work."""
        ...

    async def aclose(self) -> None:
        """Give back every connection."""
        ...


@dataclass(frozen=True)
class ListedEvidence:
    """One entry of a provider's list of evidence about a sent message (kep.md 2.3): its word, not yet proof."""

    provider_id: str
    """The provider's own id of the document; stable, and unique within the account."""
    code: int | None
    """National code as listed; any number is kept."""
    text: str
    """The provider's words. Never interpreted."""
    at: datetime | None
    at_text: str
    provider: str
    recipient: str | None
    """KEP address; None where the list names none (kep.md 7.13)."""


class EvidenceBox(Protocol):
    """For providers that are asked for evidence instead of sending it as mail."""

    async def list_evidence(self, mailbox: MailboxAccount, message_id_header: str) -> Sequence[ListedEvidence]:
        """What exists about a message that was sent, with recipients where the provider tells them.

        Raises ``LoginRefusedError``; ``DomainError``: PROVIDER_UNAVAILABLE when it cannot be asked,
        PROVIDER_REFUSED with its words when it does not answer the question. An empty list is an answer.
        """
        ...

    async def fetch_evidence(self, mailbox: MailboxAccount, provider_id: str, *, limit: int) -> bytes:
        """The document, byte for byte. Raises as ``list_evidence`` does; TOO_LARGE beyond ``limit`` bytes."""
        ...


@dataclass(frozen=True)
class AccountStanding:
    """What the provider says about the account itself; None for what it does not tell."""

    credit: float | None = None
    credit_unit: str | None = None
    quota_kilobytes: int | None = None
    """Room left or allowed, whichever the provider means by it (kep.md 2.3, KotaSorgula)."""


class AccountDesk(Protocol):
    """For providers that tell credit and quota."""

    async def standing(self, mailbox: MailboxAccount) -> AccountStanding:
        """Raises ``LoginRefusedError``, and ``DomainError`` as ``EvidenceBox.list_evidence`` does."""
        ...


@dataclass(frozen=True)
class Challenge:
    """What a person has to answer before messages can be read (kep.md 2.5)."""

    kind: str
    """``sms`` or ``signature``."""
    security_id: SecretStr
    """Belongs to this challenge alone."""
    text: str | None = None
    """To be signed, for ``signature``."""
    digest: str | None = None
    """Base64, as the provider gave it; for ``signature``."""


class SecondFactorNeededError(DomainError):
    """MAILBOX_NOT_READY: listing works, but messages are handed out only after a second factor (kep.md 7.5)."""

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorCode.MAILBOX_NOT_READY, detail)


SecurityIds = Callable[[MailboxAccount], Awaitable[SecretStr | None]]
"""The security id that reading an account needs now, from its last confirmed challenge; None without one.

A driver asks for it before each download, so that an answer given meanwhile counts at once.
"""


class SecondFactorDesk(Protocol):
    """For accounts whose provider asks for a second factor."""

    async def challenge(self, mailbox: MailboxAccount) -> Challenge:
        """Begin a log-in; an SMS may be sent and paid for. Raises as ``AccountDesk.standing`` does."""
        ...

    async def answer(self, mailbox: MailboxAccount, challenge: Challenge, answer: bytes) -> SecretStr:
        """The security id to read with. ``answer``: the SMS key, or the CAdES-BES signature in DER.

        Raises VALIDATION_FAILED when the provider does not take the answer, otherwise as ``challenge`` does.
        """
        ...
