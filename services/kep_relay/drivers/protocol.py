"""What every KEP driver offers: outcome types and raw bytes; nothing above knows which driver ran."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pydantic import SecretStr

from shared.contracts.mailboxes import ServerAddress
from shared.domain.identifiers import KepAddress
from shared.errors import DomainError, ErrorCode


@dataclass(frozen=True)
class MailboxAccount:
    """How to reach one KEP account, with its password: for drivers only, never logged or sent on."""

    mailbox_id: str
    institution_no: int
    address: KepAddress
    username: str
    password: SecretStr
    smtp: ServerAddress
    imap: ServerAddress
    inbox_folder: str
    sent_folder: str
    revision: int
    """Grows with every change of the configuration; sessions of an older revision are not used again."""


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
    """

    reason_code: str
    reason: str
    unreachable: bool = False


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
