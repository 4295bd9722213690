"""Finds letters that a provider is to be asked about, and what is due of them: one round of the leading process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert

from services.kep_relay.drivers.choice import Desks
from services.kep_relay.evidence.listed.metrics import ListedMetrics
from services.kep_relay.evidence.listed.schedule import Step, next_pause
from services.kep_relay.mailboxes import Mailboxes
from services.kep_relay.tables import (
    EvidencePollRow,
    ListedEvidenceRow,
    MailboxRow,
    OutboundMessageRow,
    OutboundRecipientRow,
)
from shared.clock import Clock
from shared.db.session import Database, UnitOfWork
from shared.domain.message import OutboundState
from shared.errors import DomainError

log = structlog.get_logger(__name__)

_AWAITING = (OutboundState.SUBMITTED, OutboundState.ACCEPTED, OutboundState.RELAYED)
_BATCH = 500

DeferAsking = Callable[[UnitOfWork, str], Awaitable[None]]
"""Enqueues the job for a mailbox, once."""


class ListedEvidenceSweep:
    """One pass; every step is idempotent."""

    def __init__(
        self,
        database: Database,
        mailboxes: Mailboxes,
        desks: Desks,
        clock: Clock,
        metrics: ListedMetrics,
        defer: DeferAsking,
        *,
        steps: list[Step],
    ) -> None:
        self._database = database
        self._mailboxes = mailboxes
        self._desks = desks
        self._clock = clock
        self._metrics = metrics
        self._defer = defer
        self._steps = steps

    async def sweep(self) -> None:
        """Raises ``DomainError`` when the database is away."""
        mailbox_ids = await self._with_a_box()
        if not mailbox_ids:
            return
        await self._enlist(mailbox_ids)
        await self._ask(mailbox_ids)

    async def _with_a_box(self) -> list[str]:
        async with self._database.reading() as session:
            rows = (
                await session.scalars(
                    select(MailboxRow).where(MailboxRow.active.is_(True), MailboxRow.stopped_at.is_(None))
                )
            ).all()
        return [row.mailbox_id for row in rows if self._has_a_box(row)]

    def _has_a_box(self, row: MailboxRow) -> bool:
        try:
            return self._desks.evidence_box(self._mailboxes.account(row)) is not None
        except DomainError as error:
            log.warning("mailbox_not_usable", mailbox=row.mailbox_id, reason=error.detail)
            return False

    async def _enlist(self, mailbox_ids: list[str]) -> None:
        """Letters handed over since: the first question comes after the first pause."""
        now = self._clock.now()
        first = next_pause(self._steps, 0)
        assert first is not None
        async with self._database.reading() as session:
            found = (
                await session.execute(
                    select(OutboundRecipientRow.recipient_id, OutboundMessageRow.mailbox_id)
                    .join(OutboundMessageRow, OutboundMessageRow.message_id == OutboundRecipientRow.message_id)
                    .outerjoin(EvidencePollRow, EvidencePollRow.recipient_id == OutboundRecipientRow.recipient_id)
                    .where(
                        OutboundRecipientRow.state.in_(_AWAITING),
                        OutboundMessageRow.mailbox_id.in_(mailbox_ids),
                        EvidencePollRow.recipient_id.is_(None),
                    )
                    .order_by(OutboundRecipientRow.submitted_at)
                    .limit(_BATCH)
                )
            ).all()
        if not found:
            return
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                insert(EvidencePollRow)
                .values(
                    [
                        {"recipient_id": recipient_id, "mailbox_id": mailbox_id, "next_at": now + first}
                        for recipient_id, mailbox_id in found
                    ]
                )
                .on_conflict_do_nothing(index_elements=["recipient_id"])
            )

    async def _ask(self, mailbox_ids: list[str]) -> None:
        now = self._clock.now()
        polls = select(EvidencePollRow.mailbox_id).where(
            EvidencePollRow.mailbox_id == MailboxRow.mailbox_id, EvidencePollRow.next_at <= now
        )
        fetches = select(ListedEvidenceRow.mailbox_id).where(
            ListedEvidenceRow.mailbox_id == MailboxRow.mailbox_id, ListedEvidenceRow.fetch_at <= now
        )
        async with self._database.reading() as session:
            due = (
                await session.scalars(
                    select(MailboxRow.mailbox_id).where(
                        MailboxRow.mailbox_id.in_(mailbox_ids), or_(polls.exists(), fetches.exists())
                    )
                )
            ).all()
        if not due:
            return
        async with self._database.unit_of_work() as work:
            for mailbox_id in due:
                await self._defer(work, mailbox_id)

    async def publish(self) -> None:
        """Set the gauges."""
        async with self._database.reading() as session:
            number, oldest = (
                await session.execute(
                    select(func.count(), func.min(ListedEvidenceRow.first_seen_at)).where(
                        ListedEvidenceRow.fetch_at.is_not(None)
                    )
                )
            ).one()
        self._metrics.waiting.set(number)
        age = 0.0 if oldest is None else (self._clock.now() - oldest).total_seconds()
        self._metrics.oldest_waiting.set(max(0.0, age))
