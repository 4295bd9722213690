"""Calls whose refusals are turned into this project's errors; what the parts of the driver share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from services.kep_relay.drivers.eyws import wire, wire_answers
from services.kep_relay.drivers.eyws.failures import RefusalError
from services.kep_relay.drivers.eyws.transport import EywsTransport
from services.kep_relay.drivers.eyws.wire import Operation
from services.kep_relay.drivers.eyws.wire_answers import Answer, Listed
from services.kep_relay.drivers.protocol import MailboxAccount
from shared.clock import Clock
from shared.errors import DomainError, ErrorCode

MOST_FOLDERS = 20
FAR_BACK = timedelta(days=30)
_AHEAD = timedelta(hours=24)
_LEAST_WINDOW = timedelta(minutes=2)


class EywsDesk:
    """One service with many accounts. Everything raises ``LoginRefusedError`` and ``DomainError`` as drivers do."""

    def __init__(self, transport: EywsTransport, clock: Clock) -> None:
        self.transport = transport
        self.codes = transport.codes
        self.clock = clock

    @asynccontextmanager
    async def asking(self, mailbox: MailboxAccount, call: wire.Call, *, files: bool = False) -> AsyncIterator[Answer]:
        """The answer; a ``RefusalError`` in the block becomes what the table of codes says."""
        try:
            async with self.transport.call(mailbox, call, files=files) as answer:
                yield answer
        except RefusalError as error:
            raise self.error(mailbox, error) from error

    def error(self, mailbox: MailboxAccount, error: RefusalError) -> DomainError:
        """A refusal as this project's error, without the account's secrets."""
        return self.codes.error(error, wire.secrets(mailbox))

    async def folders(self, mailbox: MailboxAccount) -> list[str]:
        """The names of the account's folders; empty when the service does not tell."""
        async with self.asking(mailbox, wire.about_account(Operation.FOLDERS, mailbox)) as answer:
            return wire_answers.folders(answer)

    async def must_exist(self, mailbox: MailboxAccount, folder: str, names: Sequence[str]) -> None:
        """Raises PROVIDER_REFUSED with the names that there are when ``folder`` is none of them."""
        if folder not in names:
            there = ", ".join(names[:MOST_FOLDERS]) or "none that it tells"
            detail = f"the account {mailbox.address} has no folder {folder!r}; it has {there}"
            raise DomainError(ErrorCode.PROVIDER_REFUSED, detail[:500])

    async def listed(self, mailbox: MailboxAccount, folder: str, back: timedelta) -> tuple[list[Listed], int]:
        """What a folder got from ``back`` ago to a day ahead, and how many entries have no id (kep.md 2.9, 7.27).

        Of an answer that is too large the two halves of its time are asked for instead. A refusal of the
        folder itself names those that there are.
        """
        now = self.clock.now()
        try:
            return await self._between(mailbox, folder, now - back, now + _AHEAD)
        except DomainError as error:
            if error.code in {ErrorCode.PROVIDER_REFUSED, ErrorCode.NOT_FOUND} and (
                names := await self.folders(mailbox)
            ):
                await self.must_exist(mailbox, folder, names)
            raise

    async def _between(
        self, mailbox: MailboxAccount, folder: str, start: datetime, end: datetime
    ) -> tuple[list[Listed], int]:
        try:
            async with self.asking(mailbox, wire.list_messages(mailbox, folder, start, end)) as answer:
                return wire_answers.listed(answer)
        except DomainError as error:
            if error.code is not ErrorCode.TOO_LARGE or end - start < _LEAST_WINDOW:
                raise
        middle = start + (end - start) / 2
        early, nameless = await self._between(mailbox, folder, start, middle)
        late, more_nameless = await self._between(mailbox, folder, middle, end)
        return early + late, nameless + more_nameless
