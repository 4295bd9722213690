"""A KEP provider in memory, behind the driver protocol: takes mail, keeps a Sent folder, fails on order."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes

from services.kep_relay.drivers.protocol import (
    Accepted,
    Envelope,
    InboxSession,
    MailboxAccount,
    OutcomeUnknown,
    SubmissionOutcome,
    TemporaryFailure,
)
from shared.errors import DomainError, ErrorCode


@dataclass(frozen=True)
class SentMail:
    """One message the provider took."""

    account: str
    envelope: Envelope
    raw: bytes


class MemoryProvider:
    """Implements ``KepDriver``. Outcomes put into ``answers`` are given first, in order."""

    def __init__(self) -> None:
        self.sent: list[SentMail] = []
        self.answers: deque[SubmissionOutcome] = deque()
        self.calls = 0
        self.lose_answers = 0
        """So many messages are taken without the answer arriving."""
        self.drop_messages = 0
        """So many messages get lost together with the answer."""
        self.searchable = True
        self.pause = 0.0
        self.answering = asyncio.Event()
        """While it is clear, messages are received and not answered."""
        self.answering.set()
        self.at_once = 0
        self.most_at_once = 0
        self.reached = asyncio.Event()

    async def submit(
        self, mailbox: MailboxAccount, envelope: Envelope, content: AsyncIterable[bytes], *, size: int
    ) -> SubmissionOutcome:
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            try:
                raw = b"".join([chunk async for chunk in content])
            except DomainError as error:
                return TemporaryFailure(error.code, error.detail)
            assert len(raw) == size
            self.reached.set()
            await asyncio.sleep(self.pause)
            await self.answering.wait()
            if self.answers:
                answer = self.answers.popleft()
                if not isinstance(answer, Accepted):
                    return answer
            if self.drop_messages:
                self.drop_messages -= 1
                return OutcomeUnknown(ErrorCode.PROVIDER_UNAVAILABLE, "connection lost")
            self.sent.append(SentMail(mailbox.address, envelope, raw))
            if self.lose_answers:
                self.lose_answers -= 1
                return OutcomeUnknown(ErrorCode.PROVIDER_UNAVAILABLE, "connection lost")
            return Accepted("250 taken")
        finally:
            self.at_once -= 1

    async def find_sent(self, mailbox: MailboxAccount, *, message_id_header: str, rem_id: str) -> bool:
        if not self.searchable:
            raise DomainError(ErrorCode.PROVIDER_UNAVAILABLE, "IMAP does not answer")
        return any(
            mail.account == mailbox.address
            and (mail.envelope.message_id_header == message_id_header or self._rem_id(mail) == rem_id)
            for mail in self.sent
        )

    @staticmethod
    def _rem_id(mail: SentMail) -> str | None:
        return message_from_bytes(mail.raw)["X-TR-REM-iletiID"]

    @asynccontextmanager
    async def open_inbox(self, mailbox: MailboxAccount) -> AsyncIterator[InboxSession]:
        raise DomainError(ErrorCode.PROVIDER_UNAVAILABLE, "this provider has no inbox")
        yield

    async def probe(self, mailbox: MailboxAccount) -> None:
        if not self.searchable:
            raise DomainError(ErrorCode.PROVIDER_UNAVAILABLE, "no answer")

    async def aclose(self) -> None:
        return None

    def copies(self) -> dict[str, int]:
        """How often each Message-ID was taken."""
        return Counter(mail.envelope.message_id_header for mail in self.sent)
