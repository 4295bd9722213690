"""The driver ``smtp_imap``: submission over SMTP, reading over IMAP (kep.md 3.1: a profile, not a named provider)."""

from __future__ import annotations

from collections.abc import AsyncIterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.kep_relay.drivers.protocol import Envelope, InboxSession, MailboxAccount, SubmissionOutcome
from services.kep_relay.drivers.smtp_imap.smtp import SmtpSubmission


class MailReading(Protocol):
    """The IMAP half; see ``KepDriver`` for what the methods promise."""

    async def find_sent(self, mailbox: MailboxAccount, *, message_id_header: str, rem_id: str) -> bool:
        """See ``KepDriver.find_sent``."""
        ...

    def open_inbox(self, mailbox: MailboxAccount) -> AbstractAsyncContextManager[InboxSession]:
        """See ``KepDriver.open_inbox``."""
        ...


class SmtpImapDriver:
    """Both halves as one ``KepDriver``."""

    def __init__(self, submission: SmtpSubmission, reading: MailReading) -> None:
        self._submission = submission
        self._reading = reading

    async def submit(
        self, mailbox: MailboxAccount, envelope: Envelope, content: AsyncIterable[bytes], *, size: int
    ) -> SubmissionOutcome:
        """See ``KepDriver.submit``."""
        return await self._submission.submit(mailbox, envelope, content, size=size)

    async def find_sent(self, mailbox: MailboxAccount, *, message_id_header: str, rem_id: str) -> bool:
        """See ``KepDriver.find_sent``."""
        return await self._reading.find_sent(mailbox, message_id_header=message_id_header, rem_id=rem_id)

    def open_inbox(self, mailbox: MailboxAccount) -> AbstractAsyncContextManager[InboxSession]:
        """See ``KepDriver.open_inbox``."""
        return self._reading.open_inbox(mailbox)

    async def probe(self, mailbox: MailboxAccount) -> None:
        """See ``KepDriver.probe``."""
        await self._submission.probe(mailbox)

    async def aclose(self) -> None:
        """See ``KepDriver.aclose``."""
        await self._submission.aclose()
