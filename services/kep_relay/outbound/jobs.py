"""The jobs of the outgoing side, and how they are enqueued."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, literal
from sqlalchemy.orm import InstrumentedAttribute

from services.kep_relay.outbound.outcome import Decision
from shared.db.session import UnitOfWork
from shared.domain.message import OutboundState
from shared.jobs import Job, JobQueue, waits

SUBMIT = "kep_relay.submit"
RECONCILE = "kep_relay.reconcile"


@dataclass(frozen=True)
class OutboundJobs:
    """Enqueues the outgoing side's jobs in the caller's transaction."""

    queue: JobQueue
    submit: Job
    reconcile: Job

    async def begin(self, work: UnitOfWork, recipient_id: UUID, *, correlation_id: str) -> None:
        """Attempt a recipient that ``work`` has just made, as soon as possible."""
        await self.queue.defer(
            work,
            self.submit,
            once=f"{self.submit.name}:{recipient_id}",
            first=True,
            recipient_id=str(recipient_id),
            correlation_id=correlation_id,
        )

    async def defer_submit(
        self, work: UnitOfWork, recipient_id: UUID, *, correlation_id: str, at: datetime | None = None
    ) -> None:
        """Attempt this recipient, at ``at`` or as soon as possible."""
        await self.queue.defer(work, self.submit, at=at, recipient_id=str(recipient_id), correlation_id=correlation_id)

    async def requeue(
        self, work: UnitOfWork, recipient_id: UUID, *, correlation_id: str, at: datetime | None = None
    ) -> None:
        """Attempt this recipient later, unchanged. One such job at a time: else each sweep would add another for ever."""
        await self.queue.defer(
            work,
            self.submit,
            at=at,
            once=f"{self.submit.name}:{recipient_id}",
            recipient_id=str(recipient_id),
            correlation_id=correlation_id,
        )

    async def defer_reconcile(
        self, work: UnitOfWork, recipient_id: UUID, *, correlation_id: str, at: datetime | None = None
    ) -> None:
        """Ask the provider about this recipient's message, at ``at`` or as soon as possible."""
        await self.queue.defer(
            work, self.reconcile, at=at, recipient_id=str(recipient_id), correlation_id=correlation_id
        )

    async def follow(self, work: UnitOfWork, recipient_id: UUID, decision: Decision, *, correlation_id: str) -> None:
        """Enqueue the step a decision asks for. What is blocked is left to the sweeper."""
        if decision.state in (OutboundState.RETRY_WAIT, OutboundState.QUEUED):
            await self.defer_submit(work, recipient_id, correlation_id=correlation_id, at=decision.next_attempt_at)
        elif decision.state == OutboundState.OUTCOME_UNKNOWN:
            await self.defer_reconcile(work, recipient_id, correlation_id=correlation_id, at=decision.next_attempt_at)

    def at_hand(self, job: Job, recipient_id: InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
        """Whether the recipient's first job waits, or one that was made anew."""
        return waits(literal(f"{job.name}:").concat(cast(recipient_id, Text)))

    async def recreate(self, work: UnitOfWork, job: Job, recipient_id: UUID, *, correlation_id: str) -> None:
        """Make a job for a row that has waited too long; harmless if the first one is still there."""
        await self.queue.defer(
            work,
            job,
            once=f"{job.name}:{recipient_id}",
            recipient_id=str(recipient_id),
            correlation_id=correlation_id,
        )
