"""The feed of changes, and the history of one unit."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.mirror import cursors
from services.detsis_sync.mirror.tree import known
from services.detsis_sync.tables import Change, Run
from shared.contracts.directory import Freshness
from shared.contracts.directory.history import (
    ChangeFeed,
    ChangeKind,
    ChangeSubject,
    DirectoryChange,
    SnapshotRef,
    UnitHistory,
)
from shared.errors import DomainError, ErrorCode, Fault


async def newest_cursor(session: AsyncSession) -> str:
    """The end of the feed, as this session sees it."""
    return cursors.written("feed", await _newest(session))


async def feed(
    session: AsyncSession, freshness: Freshness, *, after: str | None, subjects: Collection[ChangeSubject], limit: int
) -> ChangeFeed:
    """Changes that come after ``after`` (None: from the beginning of history), oldest first.

    Raises ``DomainError`` (validation-failed) for a cursor that is not ours, or that is ahead of the feed.
    """
    start = 0 if after is None else int(cursors.place(after, "feed", int, pointer="/query/after")[0])
    newest = await _newest(session)
    if start > newest:
        detail = "the cursor is ahead of the feed: the mirror was set back; begin again with an export"
        raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault("/query/after", detail)])
    wanted = select(Change).where(Change.change_id > start).order_by(Change.change_id).limit(limit + 1)
    if subjects:
        wanted = wanted.where(Change.subject.in_(subjects))
    rows = (await session.scalars(wanted)).all()
    more = len(rows) > limit
    # Without more, what was left out by ``subjects`` need not be looked through again.
    reached = rows[limit - 1].change_id if more else newest
    return ChangeFeed(
        changes=[_change(row) for row in rows[:limit]],
        next_cursor=cursors.written("feed", reached),
        more=more,
        freshness=freshness,
    )


async def unit_history(
    session: AsyncSession, freshness: Freshness, detsis_no: int, *, cursor: str | None, limit: int
) -> UnitHistory:
    """Changes of one unit and what belongs to it, newest first. Raises ``DomainError`` (not-found)."""
    record = await known(session, detsis_no)
    wanted = select(Change).where(Change.detsis_no == detsis_no).order_by(Change.change_id.desc()).limit(limit + 1)
    if cursor is not None:
        wanted = wanted.where(Change.change_id < int(cursors.place(cursor, "history", int)[0]))
    rows = (await session.scalars(wanted)).all()
    shown = rows[:limit]
    runs = await session.execute(
        select(Run.run_id, Run.finished_at, Run.published_at)
        .where(Run.run_id.in_({row.run_id for row in shown}))
        .order_by(Run.run_id.desc())
    )
    return UnitHistory(
        detsis_no=detsis_no,
        changes=[_change(row) for row in shown],
        snapshots=[
            SnapshotRef(snapshot_id=run_id, as_of=finished_at, published_at=published_at)
            for run_id, finished_at, published_at in runs
        ],
        first_snapshot_id=record.first_run_id,
        next_cursor=cursors.written("history", shown[-1].change_id) if len(rows) > limit else None,
        freshness=freshness,
    )


async def _newest(session: AsyncSession) -> int:
    return await session.scalar(select(func.max(Change.change_id))) or 0


def _change(row: Change) -> DirectoryChange:
    return DirectoryChange(
        change_id=row.change_id,
        snapshot_id=row.run_id,
        changed_at=row.changed_at,
        subject=ChangeSubject(row.subject),
        subject_key=row.subject_key,
        detsis_no=row.detsis_no,
        kind=ChangeKind(row.kind),
        old=row.old,
        new=row.new,
    )
