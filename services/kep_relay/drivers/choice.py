"""The driver of each mailbox by its configuration, itself a driver: nothing above knows which one runs."""

from __future__ import annotations

from collections.abc import AsyncIterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.kep_relay.drivers.protocol import (
    AccountDesk,
    Envelope,
    EvidenceBox,
    InboxSession,
    KepDriver,
    MailboxAccount,
    SecondFactorDesk,
    SubmissionOutcome,
)


class Desks(Protocol):
    """What a mailbox's provider offers besides mail; None for what it does not."""

    def evidence_box(self, mailbox: MailboxAccount) -> EvidenceBox | None:
        """Where evidence about sent messages is asked for."""
        ...

    def account_desk(self, mailbox: MailboxAccount) -> AccountDesk | None:
        """Where credit and quota are asked for."""
        ...

    def second_factor(self, mailbox: MailboxAccount) -> SecondFactorDesk | None:
        """Where a second factor is given, for an account that is asked for one."""
        ...


class MailOnly:
    """``Desks`` of an installation that reaches its accounts by mail servers alone."""

    def evidence_box(self, mailbox: MailboxAccount) -> EvidenceBox | None:  # noqa: ARG002 - a part of the protocol
        """None."""
        return None

    def account_desk(self, mailbox: MailboxAccount) -> AccountDesk | None:  # noqa: ARG002 - a part of the protocol
        """None."""
        return None

    def second_factor(self, mailbox: MailboxAccount) -> SecondFactorDesk | None:  # noqa: ARG002 - a part of the protocol
        """None."""
        return None


class SoapDriver(KepDriver, EvidenceBox, AccountDesk, SecondFactorDesk, Protocol):
    """A driver that offers everything (``drivers.eyws``)."""


class DriverChoice:
    """See ``KepDriver`` and ``Desks`` for what the methods promise."""

    def __init__(self, mail: KepDriver, eyws: SoapDriver) -> None:
        self._mail = mail
        self._eyws = eyws

    def _of(self, mailbox: MailboxAccount) -> KepDriver:
        return self._mail if mailbox.eyws is None else self._eyws

    async def submit(
        self, mailbox: MailboxAccount, envelope: Envelope, content: AsyncIterable[bytes], *, size: int
    ) -> SubmissionOutcome:
        """See ``KepDriver.submit``."""
        return await self._of(mailbox).submit(mailbox, envelope, content, size=size)

    async def find_sent(self, mailbox: MailboxAccount, *, message_id_header: str, rem_id: str) -> bool:
        """See ``KepDriver.find_sent``."""
        return await self._of(mailbox).find_sent(mailbox, message_id_header=message_id_header, rem_id=rem_id)

    def open_inbox(self, mailbox: MailboxAccount) -> AbstractAsyncContextManager[InboxSession]:
        """See ``KepDriver.open_inbox``."""
        return self._of(mailbox).open_inbox(mailbox)

    async def probe(self, mailbox: MailboxAccount) -> None:
        """See ``KepDriver.probe``."""
        await self._of(mailbox).probe(mailbox)

    def evidence_box(self, mailbox: MailboxAccount) -> EvidenceBox | None:
        """See ``Desks.evidence_box``; with mail servers evidence comes as mail."""
        return None if mailbox.eyws is None else self._eyws

    def account_desk(self, mailbox: MailboxAccount) -> AccountDesk | None:
        """See ``Desks.account_desk``."""
        return None if mailbox.eyws is None else self._eyws

    def second_factor(self, mailbox: MailboxAccount) -> SecondFactorDesk | None:
        """See ``Desks.second_factor``; None as well for an account that the passwords are enough for."""
        return None if mailbox.eyws is None or mailbox.eyws.login == "password" else self._eyws

    async def aclose(self) -> None:
        """Give back the connections of both."""
        try:
            await self._mail.aclose()
        finally:
            await self._eyws.aclose()
