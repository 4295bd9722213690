"""What DETSİS says about one letter: the package for its real list, and the units the mirror has doubts about."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.detsis_sync.live.calls import LiveCalls
from services.detsis_sync.live.memory import ShortMemory
from services.detsis_sync.mirror.addresses import is_open
from services.detsis_sync.rows import CorrespondencePackage, UnitRow
from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.soap.wire import Operation
from shared.clock import Clock
from shared.contracts.directory import Unit
from shared.domain.identifiers import DetsisNumber

_UNITS_AT_ONCE = 8
_Key = tuple[DetsisAccount, DetsisNumber, tuple[DetsisNumber, ...]]


@dataclass(frozen=True)
class LiveLetter:
    """DETSİS' answer about one letter."""

    package: CorrespondencePackage
    units: Mapping[DetsisNumber, UnitRow | None]
    """Of those recipients that the mirror calls closed or does not know: None when DETSİS does not know them either."""

    @property
    def answered_at(self) -> datetime:
        """When DETSİS gave the package."""
        return self.package.answered_at


class LiveLetters:
    """Asks once for a letter, however many steps want to know within ``cache_seconds``.

    An answer is only ever used for the account (its password included) and the sender that got it.
    """

    def __init__(self, calls: LiveCalls, clock: Clock, *, cache_seconds: float, cached_recipients: int) -> None:
        self._calls = calls
        self._memory: ShortMemory[_Key, LiveLetter] = ShortMemory(
            clock,
            fresh_seconds=cache_seconds,
            largest=cached_recipients,
            weigh=lambda letter: len(letter.package.recipients) + len(letter.units) + 1,
        )

    async def ask(
        self,
        account: DetsisAccount,
        sender: DetsisNumber,
        recipients: Sequence[DetsisNumber],
        known: Mapping[int, Unit],
    ) -> tuple[LiveLetter, bool]:
        """The answer for exactly this list, and whether it was held. ``known``: the recipients as the mirror has them.

        Raises ``DomainError``: DIRECTORY_UNAVAILABLE, DIRECTORY_REFUSED. Half an answer is none.
        """
        remembered = await self._memory.get(
            (account, sender, tuple(recipients)), lambda: self._ask(account, sender, recipients, known)
        )
        return remembered.value, remembered.cached

    def addresses(
        self, account: DetsisAccount, sender: DetsisNumber, recipients: Sequence[DetsisNumber]
    ) -> LiveLetter | None:
        """An answer just given to this sender whose list holds all of ``recipients``.

        Good for addresses, which do not depend on the rest of the list, as the closing phrase does.
        """
        wanted = set(recipients)
        for (asked_as, asked_for, list_), letter in self._memory.fresh():
            if asked_for == sender and asked_as == account and wanted.issubset(list_):
                return letter
        return None

    async def _ask(
        self,
        account: DetsisAccount,
        sender: DetsisNumber,
        recipients: Sequence[DetsisNumber],
        known: Mapping[int, Unit],
    ) -> LiveLetter:
        until = asyncio.get_running_loop().time() + self._calls.seconds
        package = await self._calls.ask(
            account,
            Operation.CORRESPONDENCE_PACKAGE,
            lambda client: client.correspondence_package(sender, recipients),
            until=until,
        )
        # That answer names addresses, not whether a unit is still open. Only where the mirror would refuse is the
        # unit itself asked for: it may have been opened today.
        doubtful = [number for number in recipients if number not in known or not is_open(known[number])]
        return LiveLetter(package, await self._units(account, doubtful, until))

    async def _units(
        self, account: DetsisAccount, numbers: Sequence[DetsisNumber], until: float
    ) -> Mapping[DetsisNumber, UnitRow | None]:
        waiting = asyncio.Semaphore(_UNITS_AT_ONCE)

        async def unit(number: DetsisNumber) -> UnitRow | None:
            async with waiting:
                return await self._calls.ask(account, Operation.UNIT, lambda client: client.unit(number), until=until)

        try:
            async with asyncio.TaskGroup() as group:
                asked = {number: group.create_task(unit(number)) for number in numbers}
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return {number: task.result() for number, task in asked.items()}
