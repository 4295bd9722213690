"""How old the mirror is: stamped on every answer that comes from it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.tables import Run
from shared.clock import Clock
from shared.contracts.directory import Freshness


class MirrorAge:
    """Judges the age of the newest accepted refresh. ``stale_after``: from when on answers say so."""

    def __init__(self, clock: Clock, stale_after: timedelta) -> None:
        self._clock = clock
        self._stale_after = stale_after

    async def of(self, session: AsyncSession) -> Freshness:
        """When the newest accepted refresh finished, and whether that is too long ago."""
        row = (
            await session.execute(
                select(Run.run_id, Run.finished_at)
                .where(Run.state == "accepted")
                .order_by(Run.finished_at.desc())
                .limit(1)
            )
        ).first()
        if row is None or row.finished_at is None:
            return Freshness(as_of=None, stale=True, snapshot_id=None)
        stale = self._clock.now() - row.finished_at > self._stale_after
        return Freshness(as_of=row.finished_at, stale=stale, snapshot_id=row.run_id)
