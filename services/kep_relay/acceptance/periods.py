"""Starts a letter's period, ends it, and reminds of it: each step in one transaction with the event that tells it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from services.kep_relay.acceptance.rules import deadline, rule_of
from services.kep_relay.events import AcceptanceNews, tell
from services.kep_relay.tables import AcceptanceRow
from shared.clock import ISTANBUL, Clock
from shared.contracts.acceptance import AcceptanceState
from shared.contracts.events import EventType
from shared.db.session import Database, UnitOfWork
from shared.domain.working_days import WorkingDays

log = structlog.get_logger(__name__)

_BATCH = 200
_S = AcceptanceState


class Periods:
    """The periods of incoming letters."""

    def __init__(self, database: Database, clock: Clock, calendar: WorkingDays) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar

    async def start(self, work: UnitOfWork, message_id: UUID, institution_no: int, delivered_at: datetime) -> None:
        """The period of a letter that has just been taken in; once."""
        found = deadline(delivered_at, self._calendar)
        await work.session.execute(
            insert(AcceptanceRow)
            .values(
                message_id=message_id, institution_no=institution_no, state=_S.PENDING.value, rule=found.rule.rule,
                rules_of=found.rule.in_force_since, started_at=delivered_at, due_at=found.due_at,
                last_day=found.last_day, estimated=found.estimated, next_at=found.next_after(delivered_at), reasons=[],
            )
            .on_conflict_do_nothing(index_elements=["message_id"])
        )  # fmt: skip

    async def not_for(self, work: UnitOfWork, message_id: UUID) -> None:
        """The letter turned out to be a person's or a company's: nobody may refuse it, so nothing runs out (L.11)."""
        gone = await work.session.scalar(
            delete(AcceptanceRow)
            .where(AcceptanceRow.message_id == message_id, AcceptanceRow.state == _S.PENDING)
            .returning(AcceptanceRow.message_id)
        )
        if gone is not None:
            log.info("acceptance_period_does_not_apply", message_id=str(message_id))

    async def registered(self, work: UnitOfWork, message_id: UUID, registered_by: str) -> None:
        """The document system has registered the letter, and so accepted it; after the period silence had done so."""
        row = await work.session.get(AcceptanceRow, message_id, with_for_update=True)
        if row is None or row.state != _S.PENDING:
            return
        if row.due_at <= self._clock.now():
            await self._by_silence(work, row)
        else:
            await self.end(work, row, _S.ACCEPTED, decided_by=registered_by)

    async def sweep(self) -> None:
        """Remind of periods, and end those that ran out. Raises ``DomainError`` when the database is away."""
        now = self._clock.now()
        async with self._database.reading() as session:
            due = select(AcceptanceRow.message_id).where(AcceptanceRow.next_at <= now).order_by(AcceptanceRow.next_at)
            found = (await session.scalars(due.limit(_BATCH))).all()
        for message_id in found:
            async with self._database.unit_of_work() as work:
                row = await work.session.get(AcceptanceRow, message_id, with_for_update=True)
                if row is not None and row.next_at is not None and row.next_at <= now:
                    await self._step(work, row, now)

    async def _step(self, work: UnitOfWork, row: AcceptanceRow, now: datetime) -> None:
        if row.due_at <= now and row.state == _S.REFUSED:
            log.warning("refusal_not_told", message_id=str(row.message_id))
            row.next_at = None
            return
        if row.due_at <= now:
            await self._by_silence(work, row)
            return
        row.next_at = self._next(row, now)
        await self._tell(work, row, EventType.ACCEPTANCE_DUE, now)

    def _next(self, row: AcceptanceRow, now: datetime) -> datetime:
        """The end stays as it was told; only what is still to come of the reminders is worked out anew."""
        found = min(deadline(row.started_at, self._calendar).next_after(now), row.due_at)
        return found if found > now else row.due_at

    async def _by_silence(self, work: UnitOfWork, row: AcceptanceRow) -> None:
        rule = rule_of(row.started_at.astimezone(ISTANBUL).date())
        await self.end(work, row, _S.DEEMED_ACCEPTED, decided_rule=rule.silence_rule)

    async def end(
        self,
        work: UnitOfWork,
        row: AcceptanceRow,
        state: AcceptanceState,
        *,
        decided_by: str | None = None,
        decided_rule: str | None = None,
    ) -> None:
        """A pending period ends in ``state``; by somebody, or by a rule.

        Of a refusal it is still reminded: it counts only if the sender is told of it in time.
        """
        now = self._clock.now()
        row.state, row.next_at = state.value, self._next(row, now) if state is _S.REFUSED else None
        row.decided_at, row.decided_by, row.decided_rule = now, decided_by, decided_rule
        log.info("acceptance_period_ended", message_id=str(row.message_id), state=state.value, rule=decided_rule)
        await self._tell(work, row, EventType.ACCEPTANCE_DECIDED, now)

    async def _tell(self, work: UnitOfWork, row: AcceptanceRow, event_type: EventType, now: datetime) -> None:
        news = AcceptanceNews(AcceptanceState(row.state), row.due_at, row.decided_rule or row.rule)
        await tell(work, event_type, news, institution_no=row.institution_no, message_id=row.message_id, at=now)
