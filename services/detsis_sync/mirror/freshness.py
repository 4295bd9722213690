"""How old the mirror is: stamped on every answer that comes from it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.tables import Run
from shared.clock import Clock
from shared.contracts.directory import Freshness

_NEWEST = (
    select(Run.run_id, Run.finished_at)
    .where(Run.state == "accepted")
    .order_by(Run.finished_at.desc(), Run.run_id.desc())
    .limit(1)
)


class MirrorAge:
    """Judges the age of the newest accepted refresh. ``stale_after``: from when on answers say so."""

    def __init__(self, clock: Clock, stale_after: timedelta) -> None:
        self._clock = clock
        self._stale_after = stale_after

    def now(self) -> datetime:
        """The moment against which answers are judged."""
        return self._clock.now()

    async def of(self, session: AsyncSession) -> Freshness:
        """When the newest accepted refresh finished, and whether that is too long ago."""
        return await self._judged(session, None)

    async def at(self, session: AsyncSession, moment: datetime) -> Freshness:
        """The same as somebody would have been told at that moment; of an earlier time without snapshot."""
        return await self._judged(session, moment)

    async def history_begins(self, session: AsyncSession) -> datetime | None:
        """When the first refresh was published whose changes are kept; None before it."""
        return await session.scalar(select(func.min(Run.published_at)).where(Run.state == "accepted"))

    async def _judged(self, session: AsyncSession, moment: datetime | None) -> Freshness:
        newest = _NEWEST if moment is None else _NEWEST.where(Run.published_at <= moment)
        row = (await session.execute(newest)).first()
        if row is None or row.finished_at is None:
            return Freshness(as_of=None, stale=True, snapshot_id=None)
        stale = (moment or self._clock.now()) - row.finished_at > self._stale_after
        return Freshness(as_of=row.finished_at, stale=stale, snapshot_id=row.run_id)
