"""Reports of refreshes."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.tables import Run
from shared.contracts.directory import RefreshRun


async def last_runs(session: AsyncSession, limit: int = 10) -> list[RefreshRun]:
    """The newest refreshes, newest first."""
    return [run_report(row) for row in await session.scalars(select(Run).order_by(Run.run_id.desc()).limit(limit))]


def run_report(row: Run) -> RefreshRun:
    """One refresh as others see it."""
    return RefreshRun.model_validate({name: getattr(row, name) for name in RefreshRun.model_fields}, strict=False)
