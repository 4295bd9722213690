"""Reports of refreshes, and how each account's stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.mirror import cursors
from services.detsis_sync.tables import Account, Run, RunList
from shared.contracts.directory import Freshness, RefreshRun
from shared.contracts.directory.runs import AccountState, RefreshList, RefreshRuns
from shared.errors import DomainError, ErrorCode

Institutions = Sequence[int] | None
"""Whose refreshes somebody may see; None: everybody's."""
_SHOWN_ALONE = frozenset({"lists", "list_states"})


async def last_runs(
    session: AsyncSession, limit: int = 10, *, institutions: Institutions = None, before: int | None = None
) -> list[RefreshRun]:
    """The newest refreshes, newest first, with the state of their lists; older than ``before``, if that is given."""
    wanted = select(Run).order_by(Run.run_id.desc()).limit(limit)
    if institutions is not None:
        wanted = wanted.where(Run.institution_no.in_(institutions))
    if before is not None:
        wanted = wanted.where(Run.run_id < before)
    rows = list(await session.scalars(wanted))
    states: dict[int, dict[str, str]] = {}
    for run_id, name, state in await session.execute(
        select(RunList.run_id, RunList.list_name, RunList.state)
        .where(RunList.run_id.in_([row.run_id for row in rows]))
        .order_by(RunList.started_at, RunList.list_name)
    ):
        states.setdefault(run_id, {})[name] = state
    return [run_report(row, states=states.get(row.run_id, {})) for row in rows]


async def page_of_runs(
    session: AsyncSession, freshness: Freshness, *, institutions: Institutions, cursor: str | None, limit: int
) -> RefreshRuns:
    """One page of refreshes, newest first."""
    before = None if cursor is None else int(cursors.place(cursor, "runs", int)[0])
    found = await last_runs(session, limit + 1, institutions=institutions, before=before)
    following = cursors.written("runs", found[limit - 1].run_id) if len(found) > limit else None
    return RefreshRuns(runs=found[:limit], next_cursor=following, freshness=freshness)


async def one_run(session: AsyncSession, run_id: int, institutions: Institutions = None) -> RefreshRun:
    """One refresh with its lists. Raises ``DomainError`` (not-found), also for what is not to be seen."""
    row = await session.get(Run, run_id)
    if row is None or (institutions is not None and row.institution_no not in institutions):
        raise DomainError(ErrorCode.NOT_FOUND, f"there is no refresh {run_id}")
    lists = list(
        await session.scalars(
            select(RunList).where(RunList.run_id == run_id).order_by(RunList.started_at, RunList.list_name)
        )
    )
    return run_report(row, lists, states={item.list_name: item.state for item in lists})


async def account_states(session: AsyncSession, institutions: Institutions = None) -> list[AccountState]:
    """How each account's last refresh ended, by institution."""
    wanted = select(Account).order_by(Account.institution_no)
    if institutions is not None:
        wanted = wanted.where(Account.institution_no.in_(institutions))
    newest = select(func.max(Run.run_id)).where(Run.state != "running").group_by(Run.institution_no)
    ended = {run.institution_no: run for run in await session.scalars(select(Run).where(Run.run_id.in_(newest)))}
    accepted = select(Run.institution_no, func.max(Run.finished_at)).where(Run.state == "accepted")
    accepted_at = {number: at for number, at in await session.execute(accepted.group_by(Run.institution_no))}  # noqa: C416 - rows with types
    found = []
    for account in await session.scalars(wanted):
        run = ended.get(account.institution_no)
        found.append(
            AccountState.model_validate(
                {
                    "institution_no": account.institution_no,
                    "keeps_copy": account.keeps_copy,
                    "next_run_at": account.next_run_at,
                    "last_run_id": run.run_id if run else None,
                    "last_state": run.state if run else None,
                    "last_finished_at": run.finished_at if run else None,
                    "last_reason": run.reason if run else None,
                    "last_accepted_at": accepted_at.get(account.institution_no),
                }
            )
        )
    return found


def run_report(row: Run, lists: Sequence[RunList] = (), *, states: Mapping[str, str] | None = None) -> RefreshRun:
    """One refresh as others see it."""
    values = {name: getattr(row, name) for name in RefreshRun.model_fields if name not in _SHOWN_ALONE}
    shown = {"lists": [_list_report(item) for item in lists], "list_states": dict(states or {})}
    return RefreshRun.model_validate(values | shown, strict=False)


def _list_report(row: RunList) -> RefreshList:
    return RefreshList.model_validate({name: getattr(row, name) for name in RefreshList.model_fields}, strict=False)
