"""How units are reached besides KEP: as DETSİS last said, asked again when that is old, and kept for when it is down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.live.calls import LiveCalls
from services.detsis_sync.metrics import DirectoryMetrics
from services.detsis_sync.rows import ContactRow
from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.soap.wire import Operation
from services.detsis_sync.tables import ContactFetch, ContactRecord
from shared.clock import Clock
from shared.db.session import Database
from shared.domain.identifiers import DetsisNumber
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

WEB, EMAIL, PHONE, FAX = 1, 2, 4, 5
"""Kinds of contacts (detsis.md 8)."""
_AT_ONCE = 4
_MOST_REFUSALS = 3
"""Refused so often, the rest of a list is not asked for."""
_MOST_CONTACTS = 200
"""Of one unit: what is beyond is not kept."""


@dataclass(frozen=True)
class UnitContacts:
    """The contacts of one unit."""

    rows: tuple[ContactRow, ...]
    as_of: datetime
    live: bool
    """Asked for just now; else stored."""
    stale: bool = False

    def of_kind(self, kind: int) -> list[ContactRow]:
        """Those of one kind, in the order DETSİS gave them."""
        return [row for row in self.rows if row.kind == kind]


class ContactBook:
    """Reads contacts through the table that keeps them."""

    def __init__(
        self, database: Database, calls: LiveCalls, clock: Clock, metrics: DirectoryMetrics, *, max_age: timedelta
    ) -> None:
        self._database = database
        self._calls = calls
        self._clock = clock
        self._metrics = metrics
        self._max_age = max_age

    async def of(
        self, numbers: Sequence[DetsisNumber], account: DetsisAccount | None
    ) -> tuple[Mapping[DetsisNumber, UnitContacts], DomainError | None]:
        """What is known of each unit, and why something could not be asked for, if so.

        Units that were never read and cannot be asked for now are missing. ``account`` None: DETSİS is left alone.
        """
        async with self._database.reading() as session:
            stored = await self._stored(session, numbers)
        old = [number for number in dict.fromkeys(numbers) if number not in stored or stored[number].stale]
        asked: dict[DetsisNumber, UnitContacts] = {}
        failure: DomainError | None = None
        if account is not None and old:
            asked, failure = await self._ask(account, old)
            await self._keep(asked)
        found = {**stored, **asked}
        for number in dict.fromkeys(numbers):
            known = found.get(number)
            result = "failed" if known is None else "live" if known.live else "stored"
            self._metrics.lookups.labels("contacts", result).inc()
        return found, failure

    async def _stored(self, session: AsyncSession, numbers: Sequence[DetsisNumber]) -> dict[DetsisNumber, UnitContacts]:
        fetches = await session.execute(
            select(ContactFetch.detsis_no, ContactFetch.fetched_at).where(ContactFetch.detsis_no.in_(numbers))
        )
        rows: dict[int, list[ContactRow]] = {}
        for record in await session.scalars(
            select(ContactRecord)
            .where(ContactRecord.detsis_no.in_(numbers))
            .order_by(ContactRecord.detsis_no, ContactRecord.position)
        ):
            number = DetsisNumber(record.detsis_no)
            rows.setdefault(number, []).append(ContactRow(number, record.kind, record.value, record.label))
        now = self._clock.now()
        return {
            DetsisNumber(number): UnitContacts(
                tuple(rows.get(number, ())), at, live=False, stale=now - at > self._max_age
            )
            for number, at in fetches
        }

    async def _ask(
        self, account: DetsisAccount, numbers: Sequence[DetsisNumber]
    ) -> tuple[dict[DetsisNumber, UnitContacts], DomainError | None]:
        """Several at once, all within the time of one question."""
        until = asyncio.get_running_loop().time() + self._calls.seconds
        answers: dict[DetsisNumber, UnitContacts] = {}
        failures: list[DomainError] = []
        waiting = list(reversed(numbers))

        async def one_after_another() -> None:
            while waiting and not _hopeless(failures):
                number = waiting.pop()
                try:
                    rows = await self._one(account, number, until)
                except DomainError as error:
                    failures.append(error)
                    continue
                own = [row for row in rows if row.detsis_no == number][:_MOST_CONTACTS]
                answers[number] = UnitContacts(tuple(own), self._clock.now(), live=True)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(_AT_ONCE, len(numbers))):
                group.create_task(one_after_another())
        return answers, failures[0] if failures else None

    async def _one(self, account: DetsisAccount, number: DetsisNumber, until: float) -> list[ContactRow]:
        return await self._calls.ask(account, Operation.CONTACTS, lambda client: client.contacts(number), until=until)

    async def _keep(self, answers: Mapping[DetsisNumber, UnitContacts]) -> None:
        """Write through. That it cannot be kept is no reason to withhold an answer."""
        if not answers:
            return
        # in one order, so that two letters to the same units wait for each other instead of blocking each other
        numbers = sorted(answers)
        fetches = insert(ContactFetch).values(
            [{"detsis_no": number, "fetched_at": answers[number].as_of} for number in numbers]
        )
        rows = [
            {"detsis_no": number, "position": position, "kind": row.kind, "value": row.value, "label": row.label}
            for number in numbers
            for position, row in enumerate(answers[number].rows)
        ]
        try:
            async with self._database.unit_of_work() as work:
                await work.session.execute(
                    fetches.on_conflict_do_update(
                        index_elements=[ContactFetch.detsis_no], set_={"fetched_at": fetches.excluded.fetched_at}
                    )
                )
                kept = [(row["detsis_no"], row["position"]) for row in rows]
                places = tuple_(ContactRecord.detsis_no, ContactRecord.position)
                await work.session.execute(
                    delete(ContactRecord).where(ContactRecord.detsis_no.in_(numbers), places.not_in(kept))
                )
                for start in range(0, len(rows), 1000):
                    part = insert(ContactRecord).values(rows[start : start + 1000])
                    await work.session.execute(
                        part.on_conflict_do_update(
                            index_elements=[ContactRecord.detsis_no, ContactRecord.position],
                            set_={name: part.excluded[name] for name in ("kind", "value", "label")},
                        )
                    )
        except DomainError as error:
            log.warning("contacts_not_kept", units=len(answers), reason=error.detail)


def _hopeless(failures: Sequence[DomainError]) -> bool:
    refused = sum(error.code is ErrorCode.DIRECTORY_REFUSED for error in failures)
    return refused >= _MOST_REFUSALS or refused < len(failures)
