"""What is noted of runs and their lists while they are under way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Exists, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from services.detsis_sync.refresh.policy import RefreshPolicy
from services.detsis_sync.refresh.schedule import retry_moment
from services.detsis_sync.tables import Account, Run, RunList
from shared.db.session import Database

_LONGEST_REASON = 2000


async def list_failed(
    database: Database, run_id: int, name: str, started_at: datetime, ended_at: datetime, reason: str
) -> None:
    """One list did not come whole."""
    await _note(
        database, run_id, name, state="failed", started_at=started_at, finished_at=ended_at,
        reason=reason[:_LONGEST_REASON],
    )  # fmt: skip


async def list_skipped(database: Database, run_id: int, name: str, now: datetime) -> None:
    """One list is not offered to this account."""
    await _note(
        database, run_id, name, state="skipped", started_at=now, finished_at=now,
        reason="the account has no tree of its own at this endpoint",
    )  # fmt: skip


async def list_refused(database: Database, run_id: int, name: str, reason: str) -> None:
    """One list came whole and may not be published."""
    async with database.unit_of_work() as work:
        await work.session.execute(
            update(RunList)
            .where(RunList.run_id == run_id, RunList.list_name == name)
            .values(state="refused", reason=reason[:_LONGEST_REASON])
        )


async def _note(database: Database, run_id: int, name: str, **values: Any) -> None:
    async with database.unit_of_work() as work:
        await work.session.execute(
            insert(RunList)
            .values(run_id=run_id, list_name=name, **values)
            .on_conflict_do_update(index_elements=["run_id", "list_name"], set_=values)
        )


async def end_run(database: Database, run: Run, state: str, reason: str, now: datetime, policy: RefreshPolicy) -> None:
    """A run ends without being accepted; DETSİS that could not be reached is tried again inside the window."""
    async with database.unit_of_work() as work:
        account = await work.session.get(Account, run.institution_no, with_for_update=True)
        ended = await work.session.execute(
            update(Run)
            .where(Run.run_id == run.run_id, Run.state == "running")
            .values(state=state, finished_at=now, reason=reason[:_LONGEST_REASON])
            .returning(Run.run_id)
        )
        if ended.first() is None or state != "failed" or account is None:
            return
        empty = not await work.session.scalar(select(was_refreshed(run.institution_no)))
        again = retry_moment(now, policy.retry_after, mirror_empty=empty)
        if again is not None and (empty or run.trigger == "nightly"):
            account.next_run_at = again


async def wanted_tables(session: AsyncSession) -> set[int]:
    """Runs whose staging tables are still needed: those under way, and what a person may still release.

    That is, of each account, the newest run with a refused list, while nothing was accepted after it.
    """
    newer = aliased(Run)
    has_refused = exists().where(RunList.run_id == Run.run_id, RunList.state == "refused")
    superseded = exists().where(
        newer.institution_no == Run.institution_no,
        newer.run_id > Run.run_id,
        (newer.state == "accepted")
        | ((newer.state == "refused") & exists().where(RunList.run_id == newer.run_id, RunList.state == "refused")),
    )
    waiting = sa.and_(Run.state.in_(("refused", "accepted")), has_refused, ~superseded)
    return set(await session.scalars(select(Run.run_id).where((Run.state == "running") | waiting)))


def was_refreshed(institution_no: int | InstrumentedAttribute[int]) -> Exists:
    """Whether a refresh of this account was ever accepted."""
    return exists().where(Run.institution_no == institution_no, Run.state == "accepted")
