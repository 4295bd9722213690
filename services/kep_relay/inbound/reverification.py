"""Verifies a letter again because somebody asks for it: a key was added, an anchor, or a rule has changed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.kep_relay.inbound.jobs import InboundJobs
from services.kep_relay.inbound.queries import owned
from services.kep_relay.tables import InboundMessageRow
from shared.clock import Clock
from shared.db.session import Database
from shared.domain.message import InboundState
from shared.errors import DomainError, ErrorCode


class Reverification:
    """Makes letters due; the job does the rest."""

    def __init__(self, database: Database, jobs: InboundJobs, clock: Clock) -> None:
        self._database = database
        self._jobs = jobs
        self._clock = clock

    async def ask(self, message_id: UUID, institutions: Sequence[int]) -> InboundMessageRow:
        """The letter, due now. Raises NOT_FOUND; STATE_CONFLICT for a mail that only a person can make sense of."""
        async with self._database.unit_of_work() as work:
            row = await owned(work.session, message_id, institutions, lock=True)
            if row.raw_sha256 is None or row.state == InboundState.QUARANTINED:
                raise DomainError(ErrorCode.STATE_CONFLICT, "there is nothing to verify in this mail")
            row.verify_at = row.updated_at = self._clock.now()
            await self._jobs.defer_verify(work, message_id)
            return row
