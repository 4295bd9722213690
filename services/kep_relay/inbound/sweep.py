"""Finds incoming rows whose next step nobody holds, and sets the gauges: one round of the leading process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Text, cast, func, literal, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from services.kep_relay.inbound.consumers import offered
from services.kep_relay.inbound.jobs import INGEST, SETTLE_EVIDENCE, VERIFY, InboundJobs
from services.kep_relay.inbound.leases import Leases
from services.kep_relay.inbound.metrics import OFFERED, RECOGNISED_BY, InboundMetrics
from services.kep_relay.inbound.rawmail import RawState
from services.kep_relay.tables import (
    AcceptanceRow,
    ClassifiedIncidentRow,
    EvidenceRow,
    InboundMessageRow,
    IncidentClosingRow,
    MailboxRow,
    RawMailRow,
    VerificationMailRow,
)
from shared.clock import Clock
from shared.contracts.acceptance import AcceptanceState
from shared.contracts.envelopes import PackageOpening
from shared.db.session import Database, UnitOfWork
from shared.domain.message import INBOUND_UNREGISTERED, InboundState
from shared.jobs import waits

log = structlog.get_logger(__name__)

BATCH = 500
_SOON = timedelta(hours=4)
_GRACE = timedelta(seconds=5)
"""How long a row is left to the job it was given."""


class InboundSweep:
    """One pass; every step is idempotent."""

    def __init__(
        self, database: Database, jobs: InboundJobs, leases: Leases, clock: Clock, metrics: InboundMetrics
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._leases = leases
        self._clock = clock
        self._metrics = metrics

    async def sweep(self) -> None:
        """Re-create what is missing. Raises ``DomainError`` when the database is away."""
        late = self._clock.now() - _GRACE
        await self._leases.sweep()
        await self._defer(
            RawMailRow.raw_mail_id,
            (RawMailRow.state == RawState.STORED) & (RawMailRow.next_attempt_at <= late),
            RawMailRow.next_attempt_at,
            INGEST,
            self._jobs.defer_ingest,
        )
        letter_due = InboundMessageRow.verify_at
        await self._defer(InboundMessageRow.message_id, letter_due <= late, letter_due, VERIFY, self._jobs.defer_verify)
        due = or_(EvidenceRow.verify_at <= late, EvidenceRow.correlate_at <= late)
        earliest = func.least(EvidenceRow.verify_at, EvidenceRow.correlate_at)
        await self._defer(EvidenceRow.evidence_id, due, earliest, SETTLE_EVIDENCE, self._jobs.defer_settle)
        await self._acknowledge()

    async def _defer(
        self,
        key: InstrumentedAttribute[UUID],
        condition: ColumnElement[bool],
        due: ColumnElement[Any] | InstrumentedAttribute[Any],
        job: str,
        defer: Callable[[UnitOfWork, UUID], Awaitable[None]],
    ) -> None:
        # One that waits its turn is enough: with many of them each round would try to add all of them again.
        lost = condition & ~waits(literal(f"{job}:").concat(cast(key, Text)))
        async with self._database.reading() as session:
            # Longest due first: rows that come up again and again must not keep the others from their turn.
            found = (await session.scalars(select(key).where(lost).order_by(due, key).limit(BATCH))).all()
        if not found:
            return
        async with self._database.unit_of_work() as work:
            for identifier in found:
                await defer(work, identifier)
        log.info("swept", what=key.key, number=len(found))

    async def _acknowledge(self) -> None:
        """One letter of each mailbox: its job does all of them."""
        now = self._clock.now()
        async with self._database.reading() as session:
            found = (
                await session.execute(
                    select(InboundMessageRow.mailbox_id, func.min(InboundMessageRow.received_at))
                    .join(MailboxRow, MailboxRow.mailbox_id == InboundMessageRow.mailbox_id)
                    .where(InboundMessageRow.acknowledge_at <= now, MailboxRow.stopped_at.is_(None))
                    .group_by(InboundMessageRow.mailbox_id)
                )
            ).all()
            letters = [
                (
                    mailbox_id,
                    await session.scalar(
                        select(InboundMessageRow.message_id)
                        .where(InboundMessageRow.mailbox_id == mailbox_id, InboundMessageRow.acknowledge_at <= now)
                        .limit(1)
                    ),
                )
                for mailbox_id, _oldest in found
            ]
        async with self._database.unit_of_work() as work:
            for mailbox_id, message_id in letters:
                if message_id is not None:
                    await self._jobs.defer_acknowledge(work, mailbox_id, message_id)

    async def publish(self) -> None:
        """Set the gauges that are computed from the database."""
        now = self._clock.now()
        state = InboundMessageRow.state
        async with self._database.reading() as session:
            quarantined, dead, leased = (
                await session.execute(
                    select(
                        func.count().filter(state == InboundState.QUARANTINED),
                        func.count().filter(state == InboundState.DEAD_LETTERED),
                        func.count().filter(
                            (state == InboundState.LEASED) & (InboundMessageRow.lease_expires_at > now)
                        ),
                    ).select_from(InboundMessageRow)
                )
            ).one()
            uncorrelated = await _count(
                session, EvidenceRow, EvidenceRow.recipient_id.is_(None) & EvidenceRow.inbound_message_id.is_(None)
            )
            waiting = (
                await session.execute(
                    select(VerificationMailRow.recognised_by, func.count())
                    .where(VerificationMailRow.settled_at.is_(None))
                    .group_by(VerificationMailRow.recognised_by)
                )
            ).all()
            unopened = (
                await session.execute(
                    select(InboundMessageRow.opening, func.count())
                    .where(InboundMessageRow.opening != PackageOpening.OPENED, state.in_(tuple(INBOUND_UNREGISTERED)))
                    .group_by(InboundMessageRow.opening)
                )
            ).all()
            incidents = await _count(
                session,
                ClassifiedIncidentRow,
                ClassifiedIncidentRow.incident_id.not_in(select(IncidentClosingRow.incident_id)),
            )
            pending, soon = (
                await session.execute(
                    select(func.count(), func.count().filter(AcceptanceRow.due_at <= now + _SOON)).where(
                        AcceptanceRow.next_at.is_not(None), AcceptanceRow.state == AcceptanceState.PENDING
                    )
                )
            ).one()
            consumers = await offered(session)
            polls = list(
                await session.scalars(select(MailboxRow.last_successful_poll_at).where(MailboxRow.active.is_(True)))
            )
        numbers = {row[0]: row[1] for row in waiting}
        for recognised_by in RECOGNISED_BY:
            self._metrics.verification_waiting.labels(recognised_by).set(numbers.get(recognised_by, 0))
        closed = {row[0]: row[1] for row in unopened}
        for outcome in set(PackageOpening) - {PackageOpening.OPENED}:
            self._metrics.unopened.labels(outcome.value).set(closed.get(outcome.value, 0))
        self._metrics.acceptance_pending.labels("within-4-hours").set(soon)
        self._metrics.acceptance_pending.labels("later").set(pending - soon)
        self._metrics.incidents_open.set(incidents)
        self._metrics.quarantined.set(quarantined)
        self._metrics.dead_letters.set(dead)
        self._metrics.leases.set(leased)
        for kind_and_state in OFFERED:
            self._metrics.offered.labels(*kind_and_state).set(consumers.get(kind_and_state, 0))
        self._metrics.uncorrelated.set(uncorrelated)
        self._metrics.last_poll.set(min((poll.timestamp() if poll else 0.0 for poll in polls), default=0.0))


async def _count(session: Any, table: type[Any], condition: ColumnElement[bool]) -> int:
    return int(await session.scalar(select(func.count()).select_from(table).where(condition)) or 0)
