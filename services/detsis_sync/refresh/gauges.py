"""Metrics that tell the state of the mirror: read from the database, never counted along."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from sqlalchemy import ScalarSelect, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.metrics import ENDS, LAST_ENDS, DirectoryMetrics
from services.detsis_sync.mirror.counts import counts as counts_held
from services.detsis_sync.tables import Account, Run, RunList, UnitRecord
from shared.clock import Clock
from shared.db.session import Database


class MirrorGauges:
    """Publishes age, size and how the last refreshes ended."""

    def __init__(self, database: Database, clock: Clock, metrics: DirectoryMetrics) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._counted_for: datetime | None = None
        self._unclear_held = 0

    async def publish(self) -> None:
        """Set every gauge to what is true now."""
        metrics = self._metrics
        async with self._database.reading() as session:
            ends = Counter(end or "none" for end in await session.scalars(select(_last_end()).select_from(Account)))
            ended = select(Run.state, func.max(Run.finished_at)).group_by(Run.state)
            newest = {state: moment for state, moment in await session.execute(ended)}  # noqa: C416 - rows with types
            unclear_listed = await _unclear_listed(session)
            finished = newest.get("accepted")
            published = await session.scalar(
                select(func.max(func.coalesce(Run.released_at, Run.finished_at))).where(Run.state == "accepted")
            )
            held: dict[str, int] = {}
            if published != self._counted_for:  # counting reads every row
                held = {item.kind: item.count for item in await counts_held(session)}
                unclear = select(func.count()).select_from(UnitRecord).where(UnitRecord.active_text.is_not(None))
                self._unclear_held = await session.scalar(unclear) or 0
        for end in LAST_ENDS:
            metrics.accounts.labels(end).set(ends[end])
        for end in ENDS:
            moment = newest.get(end)
            metrics.last_run.labels(end).set(moment.timestamp() if moment is not None else 0)
        metrics.unclear_flags.set(max(unclear_listed, self._unclear_held))
        if finished is None:
            return
        metrics.snapshot_age.set((self._clock.now() - finished).total_seconds())
        for kind in ("all", "sendable", "absent"):
            if kind in held:
                metrics.units.labels(kind).set(held[kind])
        self._counted_for = published


def _last_end() -> ScalarSelect[str]:
    """For each account: how the newest of its refreshes that are no longer under way has ended."""
    ended = select(Run.state).where(Run.institution_no == Account.institution_no, Run.state != "running")
    return ended.order_by(Run.run_id.desc()).limit(1).correlate(Account).scalar_subquery()


async def _unclear_listed(session: AsyncSession) -> int:
    """The most flags without meaning in a list of the newest refresh of any account, refused ones included."""
    newest = (
        select(func.max(Run.run_id))
        .join(RunList, RunList.run_id == Run.run_id)
        .where(Run.state.in_(ENDS))
        .group_by(Run.institution_no)
    )
    return await session.scalar(select(func.max(RunList.unclear_flags)).where(RunList.run_id.in_(newest))) or 0
