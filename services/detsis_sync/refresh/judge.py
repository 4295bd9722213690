"""Each staged list beside the last accepted one of its kind."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.refresh.guards import accept_list
from services.detsis_sync.refresh.lists import PLANS, ListPlan, Target
from services.detsis_sync.tables import Run, RunList
from shared.errors import DomainError


async def last_accepted(session: AsyncSession, institution_no: int) -> dict[str, RunList]:
    """What a new full list has to bear comparison with, by list.

    A list that is the state's marks rows absent for everybody: it is compared with the last accepted one
    of any account, also at the first refresh of a new one. A delta is no measure for anything.
    """
    found: dict[str, RunList] = {}
    for plan in PLANS:
        wanted = (
            select(RunList)
            .join(Run, Run.run_id == RunList.run_id)
            .where(RunList.list_name == plan.name, RunList.state == "applied", Run.state == "accepted")
            .order_by(RunList.run_id.desc())
            .limit(1)
        )
        if plan.may_be_delta:
            wanted = wanted.where(Run.mode == "full")
        if not plan.state_wide:
            wanted = wanted.where(Run.institution_no == institution_no)
        row = await session.scalar(wanted)
        if row is not None:
            found[plan.name] = row
    return found


def refusal(
    plan: ListPlan, staged: RunList, previous: Mapping[str, RunList], *, mode: str, shrink_limit: float
) -> str | None:
    """Why this list may not be published, or None if it may."""
    before = previous.get(plan.name)
    # Nothing that is not named goes missing by these: there is no size they should have.
    partial = plan.is_delta(mode) or plan.target is Target.EYP_VERSIONS
    try:
        accept_list(
            plan.name,
            rows=staged.rows,
            rejected=staged.rejected,
            previous_rows=None if partial or before is None else before.rows,
            shrink_limit=shrink_limit,
            rejected_limit=shrink_limit if plan.rejected_limit is None else plan.rejected_limit,
            unclear=staged.unclear_flags,
            previous_unclear=0 if partial or before is None else before.unclear_flags,
            may_be_empty=partial or not plan.required,
        )
    except DomainError as error:
        return error.detail
    return None
