"""The register for institutions that keep no copy of it (EK-3/3): DETSİS is asked, and its answers shortly remembered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from services.detsis_sync.live.calls import LiveCalls
from services.detsis_sync.live.cursors import following, start_of
from services.detsis_sync.live.memory import Remembered, ShortMemory
from services.detsis_sync.metrics import DirectoryMetrics
from services.detsis_sync.mirror.folding import fold
from services.detsis_sync.rows import KepAddressRow, UnitRow
from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.soap.client import DetsisClient
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason
from services.detsis_sync.soap.wire import Operation
from shared.clock import Clock
from shared.contracts.directory import AnswerSource, Freshness, Unit, UnitAnswer, UnitKepAddress, UnitPage
from shared.domain.identifiers import DetsisNumber, ascii_lower, detsis_number
from shared.errors import DomainError, ErrorCode, Fault

_MOST_ROWS = 20_000
"""Of one list: beyond that an institution should keep a copy."""
_REMEMBERED_ROWS = 30_000
_SHORTEST_SEARCH = 5
_DEEPEST = 32
_UPPER = str.maketrans("iı", "İI")

Rows = tuple[UnitRow, ...]
_Key = tuple[DetsisAccount, Operation, object]


class LiveRegister:
    """Looks units up as an account. Every method raises ``DomainError``: DIRECTORY_UNAVAILABLE, DIRECTORY_REFUSED."""

    def __init__(
        self, calls: LiveCalls, clock: Clock, metrics: DirectoryMetrics, *, fresh_seconds: float, keep_seconds: float
    ) -> None:
        self._calls = calls
        self._metrics = metrics
        self._rows: ShortMemory[_Key, Rows] = ShortMemory(
            clock, fresh_seconds=fresh_seconds, keep_seconds=keep_seconds, largest=_REMEMBERED_ROWS,
            weigh=lambda rows: len(rows) + 1,
        )  # fmt: skip
        self._addresses: ShortMemory[tuple[DetsisAccount, tuple[DetsisNumber, ...]], tuple[KepAddressRow, ...]] = (
            ShortMemory(
                clock, fresh_seconds=fresh_seconds, keep_seconds=keep_seconds, largest=_REMEMBERED_ROWS,
                weigh=lambda rows: len(rows) + 1,
            )
        )  # fmt: skip

    async def main_institutions(
        self, account: DetsisAccount, text: str = "", *, cursor: str | None, limit: int
    ) -> UnitPage:
        """Main institutions by name; with ``text`` those that have all of its words, or words that begin so."""
        found = await self._list(account, Operation.MAIN_INSTITUTIONS, None, lambda client: client.main_institutions())
        words = fold(text).split()
        rows = sorted((row for row in found.value if _begin(words, row.name)), key=_by_name)
        return await self._page(account, found, rows, cursor, limit)

    async def unit(self, account: DetsisAccount, number: DetsisNumber) -> UnitAnswer:
        """One unit with its path and addresses; NOT_FOUND."""
        found = await self._one(account, number)
        (row,) = found.value
        above = await self._line(account, row)
        (unit,) = await self._units(account, [row])
        path = [step.name for step in reversed(above.value)]
        main = path[0] if path else row.name
        return UnitAnswer(
            unit=unit.model_copy(update={"path": [*path, row.name], "main_institution_name": main}),
            freshness=_fresh(found),
        )

    async def children(
        self, account: DetsisAccount, number: DetsisNumber, *, open_only: bool, cursor: str | None, limit: int
    ) -> UnitPage:
        """Units directly below one, open ones first, then by name; NOT_FOUND.

        Whether DETSİS answers with direct children or with everything below is not known: only direct ones are given.
        """
        found = await self._list(account, Operation.CHILDREN, number, lambda client: client.children(number))
        direct = [row for row in found.value if number in {row.parent_no, row.second_parent_no}]
        if not direct:
            await self._one(account, number)
        wanted = [row for row in direct if not open_only or (row.active and row.operating)]
        wanted.sort(key=lambda row: (not (row.active and row.operating), *_by_name(row)))
        return await self._page(account, found, wanted, cursor, limit)

    async def ancestors(self, account: DetsisAccount, number: DetsisNumber) -> UnitPage:
        """Units above one, nearest first, followed from parent to parent; NOT_FOUND."""
        found = await self._one(account, number)
        line = await self._line(account, found.value[0])
        return UnitPage(units=await self._units(account, line.value), next_cursor=None, freshness=_fresh(line))

    async def search(
        self,
        account: DetsisAccount,
        text: str,
        *,
        main_institution: DetsisNumber | None,
        cursor: str | None,
        limit: int,
    ) -> UnitPage:
        """Units with ``text`` in their name, or with that number; open ones first, then by name.

        Raises VALIDATION_FAILED for fewer than five letters: DETSİS searches no shorter ones.
        """
        wanted = " ".join(text.split())
        try:
            number = detsis_number(wanted)
        except ValueError:
            pass
        else:
            return await self._numbered(account, number)
        if len(wanted) < _SHORTEST_SEARCH:
            detail = f"DETSİS itself searches from {_SHORTEST_SEARCH} letters on"
            raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault("/q", detail)])
        # names of the register are in upper case, where i is İ and ı is I
        name = wanted.translate(_UPPER).upper()
        found = await self._remember(
            account,
            Operation.UNITS_BY_NAME,
            (name, main_institution),
            lambda client: _whole(client.units_by_name(name, main_institution)),
        )
        rows = sorted(found.value, key=lambda row: (not (row.active and row.operating), *_by_name(row)))
        return await self._page(account, found, rows, cursor, limit)

    async def _numbered(self, account: DetsisAccount, number: DetsisNumber) -> UnitPage:
        found = await self._find(account, number)
        return await self._page(account, found, found.value, None, 1)

    async def _one(self, account: DetsisAccount, number: DetsisNumber) -> Remembered[Rows]:
        found = await self._find(account, number)
        if not found.value:
            raise DomainError(ErrorCode.NOT_FOUND, f"DETSİS knows no unit {number}")
        return found

    async def _find(self, account: DetsisAccount, number: DetsisNumber) -> Remembered[Rows]:
        async def ask(client: DetsisClient) -> Rows:
            row = await client.unit(number)
            return () if row is None else (row,)

        return await self._remember(account, Operation.UNIT, number, ask)

    async def _line(self, account: DetsisAccount, row: UnitRow) -> Remembered[Rows]:
        """What is above a unit, nearest first: DETSİS promises no order."""
        found = await self._remember(
            account, Operation.ANCESTORS, row.detsis_no, lambda client: _whole(client.ancestors(row.detsis_no))
        )
        by_number = {step.detsis_no: step for step in found.value if step.detsis_no != row.detsis_no}
        line: list[UnitRow] = []
        parent = row.parent_no
        while parent is not None and parent in by_number and len(line) < _DEEPEST:
            line.append(by_number.pop(parent))
            parent = line[-1].parent_no
        return Remembered(tuple(line), found.as_of, found.cached, found.stale)

    async def _list(
        self,
        account: DetsisAccount,
        operation: Operation,
        parameter: object,
        question: Callable[[DetsisClient], AbstractAsyncContextManager[Any]],
    ) -> Remembered[Rows]:
        async def ask(client: DetsisClient) -> Rows:
            rows: list[UnitRow] = []
            async with question(client) as answer:
                async for batch in answer:
                    rows += batch
                    if len(rows) > _MOST_ROWS:
                        detail = f"more than {_MOST_ROWS} units: keep a copy of the register"
                        raise DirectoryCallError(FailureReason.TOO_LARGE, operation, detail, refused=True)
            return tuple(rows)

        return await self._remember(account, operation, parameter, ask)

    async def _remember(
        self, account: DetsisAccount, operation: Operation, parameter: object, ask: Callable[[DetsisClient], Any]
    ) -> Remembered[Rows]:
        try:
            found = await self._rows.get(
                (account, operation, parameter), lambda: self._calls.ask(account, operation, ask)
            )
        except DomainError as error:
            refused = error.code is ErrorCode.DIRECTORY_REFUSED
            self._metrics.lookups.labels("live_register", "refused" if refused else "failed").inc()
            raise
        self._metrics.lookups.labels("live_register", "cache" if found.cached else "live").inc()
        return found

    async def _page(
        self, account: DetsisAccount, found: Remembered[Rows], rows: Sequence[UnitRow], cursor: str | None, limit: int
    ) -> UnitPage:
        start = start_of("live", cursor)
        part = rows[start : start + limit]
        next_cursor = following("live", start + limit, len(rows))
        return UnitPage(units=await self._units(account, part), next_cursor=next_cursor, freshness=_fresh(found))

    async def _units(self, account: DetsisAccount, rows: Sequence[UnitRow]) -> list[Unit]:
        """Rows with their addresses, which are asked for with one call."""
        numbers = tuple(row.detsis_no for row in rows)
        entries: dict[int, list[KepAddressRow]] = {number: [] for number in numbers}
        if numbers:
            found = await self._addresses.get(
                (account, numbers),
                lambda: self._calls.ask(
                    account, Operation.KEP_ADDRESSES, lambda client: _whole(client.kep_addresses(numbers))
                ),
            )
            for entry in found.value:
                if entry.detsis_no in entries:
                    entries[entry.detsis_no].append(entry)
        return [_unit(row, entries[row.detsis_no]) for row in rows]


async def _whole(answer: Any) -> tuple[Any, ...]:
    return tuple(await answer)


def _begin(words: Sequence[str], name: str) -> bool:
    named = fold(name).split()
    return all(any(word.startswith(beginning) for word in named) for beginning in words)


def _by_name(row: UnitRow) -> tuple[str, int]:
    return fold(row.name), row.detsis_no


def _fresh(found: Remembered[Any]) -> Freshness:
    return Freshness(as_of=found.as_of, stale=found.stale, snapshot_id=None, source=AnswerSource.LIVE)


def _unit(row: UnitRow, entries: Sequence[KepAddressRow]) -> Unit:
    path = [part for text in (row.path_text or "").split(">") if (part := text.strip())]
    addresses = [
        UnitKepAddress(address=entry.address, active=entry.active, status_text=entry.status_text)
        for entry in sorted(entries, key=lambda entry: (not entry.active, ascii_lower(entry.address)))
    ]
    return Unit(
        detsis_no=row.detsis_no,
        name=row.name,
        parent_no=row.parent_no,
        main_institution_no=row.main_institution_no,
        main_institution_name=path[0] if path else None,
        path=path,
        active=row.active,
        operating=row.operating,
        external_addressee=row.external_addressee,
        sendable=row.open_to_letters and any(address.active for address in addresses),
        postal_address=row.postal_address,
        place_name=row.place_name,
        kep_addresses=addresses,
    )
