"""The jobs of the incoming side, and how they are enqueued."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.db.session import UnitOfWork
from shared.jobs import Job, JobQueue

INGEST = "kep_relay.ingest"
VERIFY = "kep_relay.verify"
ACKNOWLEDGE = "kep_relay.acknowledge"
SETTLE_EVIDENCE = "kep_relay.settle_evidence"


@dataclass(frozen=True)
class InboundJobs:
    """Enqueues the incoming side's jobs in the caller's transaction; ``once`` keeps one of each row waiting."""

    queue: JobQueue
    ingest: Job
    verify: Job
    acknowledge: Job
    settle: Job

    async def begin_ingest(self, work: UnitOfWork, raw_mail_ids: Iterable[UUID]) -> None:
        """Read raw mails that ``work`` has just added."""
        await self.queue.defer_new(
            work, self.ingest, {f"{INGEST}:{number}": {"raw_mail_id": str(number)} for number in raw_mail_ids}
        )

    async def defer_ingest(self, work: UnitOfWork, raw_mail_id: UUID, *, at: datetime | None = None) -> None:
        """Read this raw mail."""
        await self.queue.defer(work, self.ingest, at=at, once=f"{INGEST}:{raw_mail_id}", raw_mail_id=str(raw_mail_id))

    async def defer_verify(self, work: UnitOfWork, message_id: UUID) -> None:
        """Verify this letter."""
        await self.queue.defer(work, self.verify, once=f"{VERIFY}:{message_id}", message_id=str(message_id))

    async def defer_settle(self, work: UnitOfWork, evidence_id: UUID) -> None:
        """Verify this evidence and let it act on its letter."""
        await self.queue.defer(work, self.settle, once=f"{SETTLE_EVIDENCE}:{evidence_id}", evidence_id=str(evidence_id))

    async def defer_acknowledge(self, work: UnitOfWork, mailbox_id: str, message_id: UUID) -> None:
        """Tell the provider that this letter was taken. One waiting job does for a whole mailbox."""
        await self.queue.defer(work, self.acknowledge, once=f"{ACKNOWLEDGE}:{mailbox_id}", message_id=str(message_id))
