"""Reports of refreshes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.tables import Run, RunList
from shared.contracts.directory import RefreshRun
from shared.contracts.directory.runs import RefreshList
from shared.errors import DomainError, ErrorCode


async def last_runs(
    session: AsyncSession, limit: int = 10, *, institution_no: int | None = None, before: int | None = None
) -> list[RefreshRun]:
    """The newest refreshes, newest first, without their lists; of one account, or of all, or older than one."""
    wanted = select(Run).order_by(Run.run_id.desc()).limit(limit)
    if institution_no is not None:
        wanted = wanted.where(Run.institution_no == institution_no)
    if before is not None:
        wanted = wanted.where(Run.run_id < before)
    return [run_report(row) for row in await session.scalars(wanted)]


async def one_run(session: AsyncSession, run_id: int) -> RefreshRun:
    """One refresh with its lists. Raises ``DomainError`` (not-found)."""
    row = await session.get(Run, run_id)
    if row is None:
        raise DomainError(ErrorCode.NOT_FOUND, f"there is no refresh {run_id}")
    lists = await session.scalars(
        select(RunList).where(RunList.run_id == run_id).order_by(RunList.started_at, RunList.list_name)
    )
    return run_report(row, list(lists))


def run_report(row: Run, lists: Sequence[RunList] = ()) -> RefreshRun:
    """One refresh as others see it."""
    values = {name: getattr(row, name) for name in RefreshRun.model_fields if name != "lists"}
    return RefreshRun.model_validate(values | {"lists": [_list_report(item) for item in lists]}, strict=False)


def _list_report(row: RunList) -> RefreshList:
    return RefreshList.model_validate({name: getattr(row, name) for name in RefreshList.model_fields}, strict=False)
