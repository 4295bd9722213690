"""Finds outgoing letters whose next step nobody holds, and gives it back to the queue.

The rows alone are enough: with every job lost, one sweep makes all that are needed. Each change is
a transaction of its own and compare-and-set, so a sweep may stop anywhere and run twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, any_, delete, func, literal, not_, or_, select, update

from services.kep_relay.metrics import RelayMetrics
from services.kep_relay.outbound import moves
from services.kep_relay.outbound.history import EventKind, record
from services.kep_relay.outbound.jobs import OutboundJobs
from services.kep_relay.tables import InstanceRow, OutboundMessageRow, OutboundRecipientRow
from shared.clock import Clock
from shared.db.session import Database
from shared.domain.message import BEFORE_SUBMISSION, OutboundState
from shared.jobs import Job

log = structlog.get_logger(__name__)

BATCH = 500
OVERDUE = "evidence_overdue"
LONG_OVERDUE = "evidence_long_overdue"
"""Only ever beside ``OVERDUE``, whose index finds both."""
_Recipient = OutboundRecipientRow
_AWAITING = (OutboundState.SUBMITTED, OutboundState.ACCEPTED, OutboundState.RELAYED)
_FORGET_INSTANCES_AFTER = timedelta(hours=1)


class _Found(NamedTuple):
    recipient_id: UUID
    message_id: UUID
    state: OutboundState
    version: int
    correlation_id: str


class OutboundSweep:
    """One pass over everything that may be stuck. ``grace``: how long a due row is left to its own job."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        jobs: OutboundJobs,
        metrics: RelayMetrics,
        grace: timedelta,
        evidence_overdue_after: timedelta,
        evidence_long_overdue_after: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._jobs = jobs
        self._metrics = metrics
        self._grace = grace
        self._overdue_after = evidence_overdue_after
        self._long_overdue_after = evidence_long_overdue_after

    async def sweep(self) -> None:
        """Take every step once. Raises ``DomainError`` when the database is lost; the next sweep goes on."""
        steps: Sequence[Callable[[datetime], Awaitable[None]]] = (
            self._forget_instances,
            self._interrupted,
            self._abandoned,
            self._expired,
            self._unblock,
            self._due,
            self._unknown,
            self._overdue,
            self._long_overdue,
            self._overdue_no_more,
        )
        for step in steps:
            await step(self._clock.now())

    async def _forget_instances(self, now: datetime) -> None:
        async with self._database.autocommit() as session:
            gone = await session.execute(
                delete(InstanceRow)
                .where(InstanceRow.expires_at < now - _FORGET_INSTANCES_AFTER)
                .returning(InstanceRow.instance_id)
            )
            self._count("dead_instances", len(gone.all()))

    async def _interrupted(self, now: datetime) -> None:
        """The process died after the intent: whether the provider has the message is unknown."""
        found = await self._find(and_(_Recipient.state == OutboundState.SUBMITTING, _claim_dead(now)))
        for recipient_id, message_id, _state, version, correlation_id in found:
            async with self._database.unit_of_work() as work:
                kept = await moves.move(
                    work,
                    recipient_id=recipient_id,
                    message_id=message_id,
                    from_state=OutboundState.SUBMITTING,
                    to_state=OutboundState.OUTCOME_UNKNOWN,
                    kind=EventKind.INTERRUPTED,
                    detail="the process ended between the attempt and its outcome",
                    at=now,
                    version=version,
                    values={
                        **moves.RELEASED,
                        _Recipient.outcome_unknown_since: now,
                        _Recipient.next_attempt_at: now,
                        _Recipient.setbacks: 0,
                        _Recipient.reason_code: "provider-unavailable",
                        _Recipient.reason: "the answer to the submission got lost; the provider is asked",
                    },
                )
                if kept:
                    await self._jobs.recreate(work, self._jobs.reconcile, recipient_id, correlation_id=correlation_id)
                    self._metrics.outcome_unknown.inc()
                    self._count("interrupted")

    async def _abandoned(self, now: datetime) -> None:
        """The process died before the intent: nothing has happened yet, so the letter is simply free again."""
        states = (OutboundState.QUEUED, OutboundState.RETRY_WAIT)
        found = await self._find(
            and_(_Recipient.state.in_(states), _Recipient.claim_token.is_not(None), _claim_dead(now))
        )
        for recipient_id, _message_id, state, version, correlation_id in found:
            async with self._database.unit_of_work() as work:
                if await moves.touch(work, recipient_id, state, moves.RELEASED, version=version):
                    await self._jobs.recreate(work, self._jobs.submit, recipient_id, correlation_id=correlation_id)
                    self._count("abandoned")

    async def _expired(self, now: datetime) -> None:
        found = await self._find(
            and_(
                _Recipient.state.in_(tuple(BEFORE_SUBMISSION)),
                _Recipient.claim_token.is_(None),
                OutboundMessageRow.expires_at <= now,
            )
        )
        for recipient_id, message_id, state, _version, _correlation in found:
            async with self._database.unit_of_work() as work:
                if await moves.expire(work, recipient_id, message_id, state, now):
                    self._count("expired")

    async def _unblock(self, now: datetime) -> None:
        """Look again at what blocked a letter; it stays visible as blocked while that is being done."""
        found = await self._find(and_(_Recipient.state == OutboundState.BLOCKED, _Recipient.next_attempt_at <= now))
        for recipient_id, message_id, _state, version, correlation_id in found:
            async with self._database.unit_of_work() as work:
                kept = await moves.move(
                    work,
                    recipient_id=recipient_id,
                    message_id=message_id,
                    from_state=OutboundState.BLOCKED,
                    to_state=OutboundState.QUEUED,
                    kind=EventKind.UNBLOCKED,
                    detail="what blocked it is looked at again",
                    at=now,
                    version=version,
                    values={_Recipient.next_attempt_at: now},
                )
                if kept:
                    await self._jobs.recreate(work, self._jobs.submit, recipient_id, correlation_id=correlation_id)
                    self._count("unblocked")

    async def _due(self, now: datetime) -> None:
        """Queued or waiting letters whose job is lost, or comes later than the grace; one that waits its turn is enough."""
        late = now - self._grace
        for state, what in ((OutboundState.QUEUED, "queued"), (OutboundState.RETRY_WAIT, "retry_due")):
            due = func.coalesce(_Recipient.next_attempt_at, _Recipient.updated_at) <= late
            condition = and_(_Recipient.state == state, _Recipient.claim_token.is_(None), due)
            await self._recreate(condition, self._jobs.submit, what)

    async def _unknown(self, now: datetime) -> None:
        due = func.coalesce(_Recipient.next_attempt_at, _Recipient.updated_at) <= now - self._grace
        condition = and_(_Recipient.state == OutboundState.OUTCOME_UNKNOWN, due)
        await self._recreate(condition, self._jobs.reconcile, "reconcile_due")

    async def _recreate(self, condition: ColumnElement[bool], job: Job, what: str) -> None:
        found = await self._find(and_(condition, not_(self._jobs.at_hand(job, _Recipient.recipient_id))))
        if not found:
            return
        async with self._database.unit_of_work() as work:
            for recipient_id, _message_id, _state, _version, correlation_id in found:
                await self._jobs.recreate(work, job, recipient_id, correlation_id=correlation_id)
        self._count(what, len(found))

    async def _overdue(self, now: datetime) -> None:
        """Handed over long ago and still no proof of delivery: a person should look (kep.md 7.12)."""
        found = await self._find(
            and_(
                _Recipient.state.in_(_AWAITING),
                _Recipient.submitted_at <= now - self._overdue_after,
                not_(_flagged(OVERDUE)),
            )
        )
        for recipient_id, message_id, _state, _version, _correlation in found:
            await self._flag(recipient_id, message_id, now, OVERDUE, raised=True)

    async def _long_overdue(self, now: datetime) -> None:
        """Told once and still nothing."""
        found = await self._find(
            and_(
                _Recipient.state.in_(_AWAITING),
                _Recipient.submitted_at <= now - self._long_overdue_after,
                _flagged(OVERDUE),
                not_(_flagged(LONG_OVERDUE)),
            )
        )
        for recipient_id, message_id, _state, _version, _correlation in found:
            await self._flag(recipient_id, message_id, now, LONG_OVERDUE, raised=True)

    async def _overdue_no_more(self, now: datetime) -> None:
        found = await self._find(and_(_Recipient.state.not_in(_AWAITING), _flagged(OVERDUE)))
        for recipient_id, message_id, _state, _version, _correlation in found:
            for flag in (LONG_OVERDUE, OVERDUE):
                await self._flag(recipient_id, message_id, now, flag, raised=False)

    async def _flag(self, recipient_id: UUID, message_id: UUID, now: datetime, flag: str, *, raised: bool) -> None:
        change = func.array_append if raised else func.array_remove
        flagged = _flagged(flag)
        async with self._database.unit_of_work() as work:
            changed = await work.session.execute(
                update(_Recipient)
                .where(_Recipient.recipient_id == recipient_id, not_(flagged) if raised else flagged)
                .values(attention=change(_Recipient.attention, flag), updated_at=now, version=_Recipient.version + 1)
                .returning(_Recipient.recipient_id)
                .execution_options(synchronize_session=False)
            )
            if changed.scalar_one_or_none() is not None:
                await record(
                    work, message_id=message_id, recipient_id=recipient_id, kind=EventKind.ATTENTION, from_state=None,
                    to_state=None, detail=flag if raised else f"{flag} settled", evidence_id=None, at=now,
                )  # fmt: skip
                self._count(flag if raised else "evidence_arrived")

    async def _find(self, condition: ColumnElement[bool]) -> list[_Found]:
        async with self._database.autocommit() as session:
            found = await session.execute(
                select(
                    _Recipient.recipient_id,
                    _Recipient.message_id,
                    _Recipient.state,
                    _Recipient.version,
                    OutboundMessageRow.correlation_id,
                )
                .join(OutboundMessageRow, OutboundMessageRow.message_id == _Recipient.message_id)
                .where(condition)
                .order_by(_Recipient.next_attempt_at.asc().nulls_first(), _Recipient.recipient_id)
                .limit(BATCH)
            )
            return [_Found(row[0], row[1], OutboundState(row[2]), row[3], row[4]) for row in found]

    def _count(self, what: str, number: int = 1) -> None:
        if number:
            self._metrics.swept.labels(what).inc(number)
            log.info("swept", what=what, number=number)


def _flagged(flag: str) -> ColumnElement[bool]:
    return literal(flag) == any_(_Recipient.attention)


def _claim_dead(now: datetime) -> ColumnElement[bool]:
    holder_alive = (
        select(InstanceRow.instance_id)
        .where(InstanceRow.instance_id == _Recipient.claimed_by, InstanceRow.expires_at > now)
        .exists()
    )
    return or_(_Recipient.claim_token.is_(None), _Recipient.claim_expires_at <= now, ~holder_alive)
