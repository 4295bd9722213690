"""Whether a unit is part of an institution: whose account asks must not write letters for somebody else."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.live.calls import LiveCalls
from services.detsis_sync.live.memory import ShortMemory
from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.soap.wire import Operation
from services.detsis_sync.tables import UnitRecord
from shared.clock import Clock
from shared.domain.identifiers import DetsisNumber
from shared.errors import DomainError, ErrorCode, Fault

_DEEPEST = 32


class Belonging:
    """Knows by the mirror, and asks DETSİS about units the mirror does not hold."""

    def __init__(self, calls: LiveCalls, clock: Clock, *, cache_seconds: float) -> None:
        self._calls = calls
        self._memory: ShortMemory[tuple[DetsisAccount, DetsisNumber], frozenset[int]] = ShortMemory(
            clock, fresh_seconds=cache_seconds, largest=10_000
        )

    async def require(
        self, institution: DetsisNumber, sender: DetsisNumber, mirrored: frozenset[int], account: DetsisAccount | None
    ) -> None:
        """Return if ``sender`` is ``institution`` or below it. ``mirrored``: what ``mirrored_line`` says of it.

        Raises ``DomainError``: INSTITUTION_FORBIDDEN when it is somebody else's, VALIDATION_FAILED when nobody knows
        it, DIRECTORY_UNAVAILABLE or DIRECTORY_REFUSED when DETSİS would have to say and does not.
        """
        if institution in {sender, *mirrored}:
            return
        line = mirrored
        # What the mirror knows of other institutions ends at first-level units, and it may be a day old.
        if account is not None:
            remembered = await self._memory.get((account, sender), lambda: self._ask(account, sender))
            line = remembered.value or mirrored
        if institution in line:
            return
        if not line:
            detail = "no unit of this institution is known by this number"
            raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault("/sender_no", detail)])
        raise DomainError(
            ErrorCode.INSTITUTION_FORBIDDEN, f"unit {sender} does not belong to institution {institution}"
        )

    async def _ask(self, account: DetsisAccount, sender: DetsisNumber) -> frozenset[int]:
        row = await self._calls.ask(account, Operation.UNIT, lambda client: client.unit(sender))
        if row is None:
            return frozenset()
        line = {sender, row.main_institution_no or sender}
        if row.main_institution_no != sender:
            above = await self._calls.ask(account, Operation.ANCESTORS, lambda client: client.ancestors(sender))
            line |= {unit.detsis_no for unit in above if unit.main_institution_no == row.main_institution_no}
        return frozenset(line)


async def mirrored_line(session: AsyncSession, unit: int) -> frozenset[int]:
    """The unit and what is above it up to its main institution; empty when the mirror does not know it.

    No further: a main institution that is attached to another one does not belong to it.
    """
    line: set[int] = set()
    number: int | None = unit
    while number is not None and number not in line and len(line) < _DEEPEST:
        row = (
            await session.execute(
                select(UnitRecord.parent_no, UnitRecord.main_institution_no).where(UnitRecord.detsis_no == number)
            )
        ).first()
        if row is None:
            break
        line.add(number)
        if row.main_institution_no is not None:
            line.add(row.main_institution_no)
        number = None if row.main_institution_no == number else row.parent_no
    return frozenset(line)
