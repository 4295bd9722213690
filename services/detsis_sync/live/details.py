"""Details of units that people look at: asked of DETSİS, shortly remembered, and marked stale while it is down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Any, TypeVar

from services.detsis_sync.live.calls import LiveCalls
from services.detsis_sync.live.contacts import ContactBook
from services.detsis_sync.live.cursors import following, start_of
from services.detsis_sync.live.memory import Remembered, ShortMemory
from services.detsis_sync.metrics import DirectoryMetrics
from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.soap.client import DetsisClient
from services.detsis_sync.soap.wire import Operation
from shared.clock import Clock
from shared.contracts.directory import AnswerSource, Freshness
from shared.contracts.directory.certificates import EypVersion, UnitEypVersions
from shared.contracts.directory.live import (
    DetsisOfficer,
    DetsisOfficers,
    FilePlanEntry,
    FilePlanPage,
    FormerNumber,
    FormerNumbers,
    UnitContact,
    UnitContacts,
    UnitManager,
    UnitManagers,
    UnitUetsNumbers,
)
from shared.domain.identifiers import DetsisNumber
from shared.errors import DomainError, ErrorCode

_LARGEST = 30_000
"""Rows remembered, of all answers together."""
Row = TypeVar("Row")


class LiveDetails:
    """Asks for details as an account.

    Every method raises ``DomainError``: DIRECTORY_UNAVAILABLE when neither DETSİS nor memory can answer,
    DIRECTORY_REFUSED when DETSİS says no.
    """

    def __init__(
        self,
        calls: LiveCalls,
        contacts: ContactBook,
        clock: Clock,
        metrics: DirectoryMetrics,
        *,
        fresh_seconds: float,
        keep_seconds: float,
    ) -> None:
        self._calls = calls
        self._contacts = contacts
        self._metrics = metrics
        # By account: what DETSİS shows one institution need not be for another.
        self._memory: ShortMemory[tuple[DetsisAccount, Operation, object], tuple[Any, ...]] = ShortMemory(
            clock, fresh_seconds=fresh_seconds, keep_seconds=keep_seconds, largest=_LARGEST,
            weigh=lambda rows: len(rows) + 1,
        )  # fmt: skip

    async def contacts(self, number: DetsisNumber, account: DetsisAccount | None) -> UnitContacts:
        """A unit's contacts; stored ones if they are recent or DETSİS cannot be asked."""
        known, failure = await self._contacts.of([number], account)
        found = known.get(number)
        if found is None:
            raise failure or DomainError(
                ErrorCode.DIRECTORY_UNAVAILABLE, "contacts of this unit were never read, and nobody may ask DETSİS"
            )
        return UnitContacts(
            detsis_no=number,
            contacts=[UnitContact(kind=row.kind, value=row.value, label=row.label) for row in found.rows],
            freshness=Freshness(
                as_of=found.as_of,
                stale=found.stale,
                snapshot_id=None,
                source=AnswerSource.LIVE if found.live else AnswerSource.STORED,
            ),
        )

    async def uets_numbers(self, number: DetsisNumber, account: DetsisAccount) -> UnitUetsNumbers:
        """A unit's UETS numbers."""
        found = await self._ask(
            account,
            Operation.UETS_NUMBERS,
            number,
            lambda client: client.uets_numbers(number),
        )
        return UnitUetsNumbers(detsis_no=number, numbers=list(found.value), freshness=_freshness(found))

    async def eyp_versions(self, number: DetsisNumber, account: DetsisAccount) -> UnitEypVersions:
        """The package versions an institution takes."""
        found = await self._ask(
            account,
            Operation.EYP_VERSIONS,
            number,
            lambda client: client.eyp_versions(number),
        )
        freshness = _freshness(found)
        return UnitEypVersions(
            detsis_no=number,
            answered_for=number,
            versions=[EypVersion(version=version) for version in found.value],
            checked_at=found.as_of,
            source=freshness.source,
            freshness=freshness,
        )

    async def managers(self, number: DetsisNumber, on: date | None, account: DetsisAccount) -> UnitManagers:
        """Who leads a unit, today or on a Turkish local day."""
        found = await self._ask(
            account,
            Operation.MANAGERS,
            (number, on),
            lambda client: client.managers(number, on),
        )
        people = [
            UnitManager(
                name=row.name,
                title=row.title,
                kind_of_post=row.kind_of_post,
                legal_basis=row.legal_basis,
                manager_code=row.manager_code,
                from_day=row.from_day,
                to_day=row.to_day,
                active=row.active,
            )
            for row in found.value
        ]
        return UnitManagers(detsis_no=number, on=on, managers=people, freshness=_freshness(found))

    async def officers(self, account: DetsisAccount) -> DetsisOfficers:
        """The DETSİS officers of the account's own institution."""
        found = await self._ask(account, Operation.OFFICERS, None, lambda client: client.officers())
        people = [
            DetsisOfficer(
                given_name=row.given_name, surname=row.surname, phone=row.phone, email=row.email, role=row.role
            )
            for row in found.value
        ]
        return DetsisOfficers(institution_no=account.institution_no, officers=people, freshness=_freshness(found))

    async def file_plan(
        self, number: DetsisNumber, account: DetsisAccount, *, cursor: str | None, limit: int
    ) -> FilePlanPage:
        """A page of a main institution's file plan."""
        start = start_of("plan", cursor)
        found = await self._ask(
            account,
            Operation.FILE_PLAN,
            number,
            lambda client: client.file_plan(number),
        )
        entries = [
            FilePlanEntry(
                code_id=row.code_id,
                code=row.code,
                title=row.title,
                level=row.level,
                retention_years_text=row.retention_years_text,
                retention_phase_text=row.retention_phase_text,
                retention_code=row.retention_code,
                footnote=row.footnote,
                explanation=row.explanation,
                active=row.active,
            )
            for row in found.value[start : start + limit]
        ]
        return FilePlanPage(
            detsis_no=number,
            entries=entries,
            next_cursor=following("plan", start + limit, len(found.value)),
            freshness=_freshness(found),
        )

    async def former_numbers(self, numbers: Sequence[str], account: DetsisAccount) -> FormerNumbers:
        """The units that have these numbers of the older register."""
        wanted = tuple(dict.fromkeys(numbers))
        found = await self._ask(
            account,
            Operation.NUMBERS_OF_FORMER,
            wanted,
            lambda client: client.numbers_of_former(wanted),
        )
        items: list[FormerNumber] = []
        for number in wanted:
            rows = [row for row in found.value if row.former_number == number]
            items += [
                FormerNumber(
                    former_number=number,
                    detsis_no=row.detsis_no,
                    name=row.name,
                    main_institution_no=row.main_institution_no,
                    active=row.active,
                )
                for row in rows
            ] or [FormerNumber(former_number=number, detsis_no=None)]
        return FormerNumbers(items=items, freshness=_freshness(found))

    async def _ask(
        self,
        account: DetsisAccount,
        operation: Operation,
        parameter: object,
        question: Callable[[DetsisClient], Awaitable[Sequence[Row]]],
    ) -> Remembered[tuple[Row, ...]]:
        async def ask(client: DetsisClient) -> tuple[Row, ...]:
            return tuple(await question(client))

        try:
            found = await self._memory.get(
                (account, operation, parameter), lambda: self._calls.ask(account, operation, ask)
            )
        except DomainError as error:
            refused = error.code is ErrorCode.DIRECTORY_REFUSED
            self._metrics.lookups.labels("detail", "refused" if refused else "failed").inc()
            raise
        result = "stored" if found.stale else "cache" if found.cached else "live"
        self._metrics.lookups.labels("detail", result).inc()
        return found


def _freshness(found: Remembered[Any]) -> Freshness:
    source = AnswerSource.STORED if found.stale else AnswerSource.LIVE
    return Freshness(as_of=found.as_of, stale=found.stale, snapshot_id=None, source=source)
