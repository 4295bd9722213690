"""How refreshes are made: what the settings say, and what follows for one run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.refresh.lists import Asking
from services.detsis_sync.tables import Run
from shared.contracts.directory.runs import RefreshMode

_OVERLAP = timedelta(days=1)
"""A delta asks this much further back than it needs to: the day DETSİS counts from is not documented."""


@dataclass(frozen=True)
class RefreshPolicy:
    """Settings of a refresh."""

    external_list_since: date
    shrink_limit: float
    retry_after: timedelta
    schedule_check_seconds: float
    mode: RefreshMode = "full"
    full_every: timedelta = timedelta(days=7)
    """With mode ``delta``: how old the last full refresh may be before a night is a full one."""
    staged_usable_for: timedelta = timedelta(hours=3)
    """How old a staged list may be to go on with after a crash."""
    eyp_checks: int = 100
    """Institutions asked for their EYP versions in one run."""


async def mode_of_next(
    session: AsyncSession, institution_no: int, wanted: RefreshMode | None, policy: RefreshPolicy, now: datetime
) -> RefreshMode:
    """Whether the next run of an account is full or a delta; without a full one before it there is no delta."""
    last_full = await session.scalar(
        select(Run.started_at)
        .where(Run.institution_no == institution_no, Run.state == "accepted", Run.mode == "full")
        .order_by(Run.run_id.desc())
        .limit(1)
    )
    if last_full is None:
        return "full"
    if wanted is not None:
        return wanted
    return "delta" if policy.mode == "delta" and now - last_full < policy.full_every else "full"


async def asking_of(session: AsyncSession, run: Run, policy: RefreshPolicy) -> Asking:
    """What ``run`` asks DETSİS for."""
    if run.mode == "delta":
        last = await session.scalar(
            select(Run.started_at)
            .where(Run.institution_no == run.institution_no, Run.state == "accepted")
            .order_by(Run.run_id.desc())
            .limit(1)
        )
        if last is not None:
            return Asking("delta", policy.external_list_since, last - _OVERLAP)
    return Asking("full", policy.external_list_since)
