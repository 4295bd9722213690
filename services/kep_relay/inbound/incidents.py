"""Incidents with classified letters: listed, read and closed by whoever the institution trusts with them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.inbound.jobs import InboundJobs
from services.kep_relay.inbound.queries import position
from services.kep_relay.tables import (
    ClassifiedIncidentRow,
    InboundMessageRow,
    IncidentClosingRow,
    MailboxRow,
)
from shared.clock import Clock
from shared.contracts.classified import (
    ClassifiedIncident,
    ClassifiedIncidents,
    FoundIn,
    IncidentClosing,
    IncidentDecision,
)
from shared.contracts.mailboxes import ReadPolicy
from shared.db.session import Database, UnitOfWork
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_Row, _Closing = ClassifiedIncidentRow, IncidentClosingRow


async def page(
    session: AsyncSession, institutions: Sequence[int], *, closed: bool | None, cursor: str | None, limit: int
) -> ClassifiedIncidents:
    """Incidents in the order they came; ``closed`` confines them to those that somebody has closed, or not."""
    query = select(_Row, _Closing).outerjoin(_Closing, _Closing.incident_id == _Row.incident_id)
    query = query.where(_Row.institution_no.in_(institutions))
    if closed is not None:
        query = query.where(_Closing.incident_id.is_not(None) if closed else _Closing.incident_id.is_(None))
    if cursor is not None:
        query = query.where(_Row.incident_id > position(cursor))
    rows = (await session.execute(query.order_by(_Row.incident_id).limit(limit + 1))).all()
    shown = rows[:limit]
    return ClassifiedIncidents(
        incidents=[_describe(row, closing) for row, closing in shown],
        next_cursor=str(shown[-1][0].incident_id) if len(rows) > limit else None,
    )


async def one(session: AsyncSession, incident_id: UUID, institutions: Sequence[int]) -> ClassifiedIncident:
    """One incident; NOT_FOUND if it is none of ``institutions``'."""
    row = await session.get(_Row, incident_id)
    if row is None or row.institution_no not in institutions:
        raise DomainError(ErrorCode.NOT_FOUND, "no such incident")
    return _describe(row, await session.get(_Closing, incident_id))


class Incidents:
    """Closes incidents."""

    def __init__(self, database: Database, jobs: InboundJobs, clock: Clock) -> None:
        self._database = database
        self._jobs = jobs
        self._clock = clock

    async def close(self, incident_id: UUID, institutions: Sequence[int], body: IncidentDecision) -> ClassifiedIncident:
        """Write the decision down, once; the same again is the same answer. The letter stays sealed.

        Raises NOT_FOUND; STATE_CONFLICT when another decision stands there.
        """
        async with self._database.unit_of_work() as work:
            incident = await one(work.session, incident_id, institutions)
            closed = await work.session.scalar(
                insert(_Closing)
                .values(
                    incident_id=incident_id, decision=body.decision, decided_by=body.decided_by,
                    closed_at=self._clock.now(),
                )
                .on_conflict_do_nothing(index_elements=["incident_id"])
                .returning(_Closing.incident_id)
            )  # fmt: skip
            if closed is not None:
                await self._tell_provider(work, incident.message_id)
            found = await one(work.session, incident_id, institutions)
        assert found.closing is not None
        if (found.closing.decision, found.closing.decided_by) != (body.decision, body.decided_by):
            raise DomainError(ErrorCode.STATE_CONFLICT, "the incident is closed with another decision")
        log.info("incident_closed", incident_id=str(incident_id), message_id=str(found.message_id))
        return found

    async def _tell_provider(self, work: UnitOfWork, message_id: UUID) -> None:
        """Under ``on_ack`` somebody has to have taken note of a mail before it is marked: now somebody has."""
        row = await work.session.get_one(InboundMessageRow, message_id, with_for_update=True)
        mailbox = await work.session.get_one(MailboxRow, row.mailbox_id)
        if row.provider_acknowledged_at is None and mailbox.read_policy == ReadPolicy.ON_ACK:
            row.acknowledge_at = row.acknowledge_at or self._clock.now()
            await self._jobs.defer_acknowledge(work, row.mailbox_id, message_id)


def _describe(row: ClassifiedIncidentRow, closing: IncidentClosingRow | None) -> ClassifiedIncident:
    return ClassifiedIncident(
        incident_id=row.incident_id,
        message_id=row.message_id,
        institution_no=row.institution_no,
        mailbox_address=row.mailbox_address,
        sender_address=row.sender_address,
        degree=row.degree,
        found_in=FoundIn(row.found_in),
        raw_sha256=row.raw_sha256,
        raw_size=row.raw_size,
        package_sha256=row.package_sha256,
        state_before=row.state_before,
        rule=row.rule,
        rules_of=row.rules_of.isoformat(),
        measure=row.measure,
        received_at=row.received_at,
        detected_at=row.detected_at,
        closing=None
        if closing is None
        else IncidentClosing(decision=closing.decision, decided_by=closing.decided_by, closed_at=closing.closed_at),
    )
