"""The nightly refresh: fetch every list, judge it, publish the difference in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal

import psycopg
import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from services.detsis_sync.accounts import Accounts
from services.detsis_sync.clients import DetsisClients
from services.detsis_sync.metrics import DirectoryMetrics
from services.detsis_sync.refresh.gauges import MirrorGauges
from services.detsis_sync.refresh.judge import last_accepted, refusal
from services.detsis_sync.refresh.known import known_units
from services.detsis_sync.refresh.lists import BY_NAME, PLANS, ListPlan
from services.detsis_sync.refresh.policy import RefreshPolicy, asking_of
from services.detsis_sync.refresh.publish import publish
from services.detsis_sync.refresh.records import end_run, list_failed, list_refused, list_skipped, wanted_tables
from services.detsis_sync.refresh.stage import Staging
from services.detsis_sync.refresh.under_way import working_on
from services.detsis_sync.soap.failures import DirectoryCallError
from services.detsis_sync.tables import Account, Run, RunList
from shared.clock import Clock
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)
End = Literal["accepted", "refused", "failed"]
_UNTIL_PUT_AWAY = (0.1, 0.2, 0.4, 0.8, 1.5)
"""Seconds between tries: who refused a run a moment ago still holds it."""


class Refresher:
    """Brings one run to its end. May be called twice for the same run, also by two processes: one of them works."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        clients: DetsisClients,
        clock: Clock,
        metrics: DirectoryMetrics,
        gauges: MirrorGauges,
        policy: RefreshPolicy,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._clients = clients
        self._clock = clock
        self._metrics = metrics
        self._gauges = gauges
        self._policy = policy
        self._staging = Staging(database, clock, usable_for=policy.staged_usable_for, eyp_checks=policy.eyp_checks)

    async def refresh(self, run_id: int) -> None:
        """The job: fetch, judge, publish. A crash leaves the mirror as it was and the run to be gone on with."""
        async with working_on(self._database, run_id) as ours:
            if ours:
                await self._refresh(run_id)

    async def sweep(self) -> None:
        """Drop the staging tables of runs that are over, but for what a person may still release."""
        async with self._database.reading() as session:
            wanted = await wanted_tables(session)
        if dropped := await self._staging.sweep(wanted):
            log.info("staged_lists_dropped", number=dropped)

    async def _refresh(self, run_id: int) -> None:
        async with self._database.reading() as session:
            run = await session.get(Run, run_id)
            account = await session.get(Account, run.institution_no) if run is not None else None
        if run is None or account is None or run.state != "running":
            return
        started = self._clock.now()
        try:
            end, reason = await self._fetch_and_publish(run, account)
        except DomainError as error:
            if error.code is ErrorCode.DURABILITY_UNAVAILABLE:
                raise
            end, reason = ("refused" if error.code is ErrorCode.DIRECTORY_REFUSED else "failed"), error.detail
        except (psycopg.Error, DBAPIError) as error:
            # Trying again brings the same rows; the run must not look as if it were still under way.
            kind = type(getattr(error, "orig", None) or error).__name__
            end, reason = "failed", f"the database refused what was to be written ({kind})"
            log.exception("refresh_failed", run_id=run_id)
        if end != "accepted":
            await end_run(self._database, run, end, reason or "", self._clock.now(), self._policy)
        tell = log.info if end == "accepted" else log.warning
        tell("refresh_ended", run_id=run_id, state=end, reason=reason)
        self._metrics.duration.labels(end).observe((self._clock.now() - started).total_seconds())
        self._metrics.runs.labels(end).inc()
        await self.sweep()
        await self._gauges.publish()

    async def _fetch_and_publish(self, run: Run, account: Account) -> tuple[End, str | None]:
        await self._fetch(run, account)
        lists = await self._staging.lists_of(run.run_id)
        refused = await self._judge(run, lists)
        if reasons := [reason for name, reason in refused.items() if BY_NAME[name].required]:
            return "refused", "; ".join(reasons)
        async with self._database.unit_of_work() as work:
            staged = {name: row for name, row in lists.items() if row.state == "staged" and name not in refused}
            counts = await publish(work, run, staged, self._clock)
        self.count_changes(counts)
        return "accepted", None

    async def _fetch(self, run: Run, account: Account) -> None:
        """Stage every list that is not staged yet. Raises ``DirectoryCallError`` if one that must not fail does."""
        noted = await self._staging.lists_of(run.run_id)
        async with self._database.reading() as session:
            asking = await asking_of(session, run, self._policy)
        # Loads certificates and the contract: too long for the event loop.
        client = await asyncio.to_thread(self._clients.of, self._accounts.opened(account))
        known = await known_units(self._database)
        for plan in PLANS:
            row = noted.get(plan.name)
            if row is not None and await self._needs_no_fetching(row):
                continue
            if plan.of_own_tree and not account.has_own_tree:
                await list_skipped(self._database, run.run_id, plan.name, self._clock.now())
                continue
            started_at = self._clock.now()
            try:
                await self._staging.fill(run.run_id, plan, client, asking, known)
            except DirectoryCallError as error:
                await list_failed(self._database, run.run_id, plan.name, started_at, self._clock.now(), error.detail)
                log.warning("refresh_list_failed", run_id=run.run_id, list=plan.name, reason=error.detail)
                if plan.required:
                    raise
            else:
                await self._report(run.run_id, plan)

    async def _needs_no_fetching(self, row: RunList) -> bool:
        """Of a list noted before this process took the run up; one that failed is asked for again."""
        if row.state == "staged":
            return await self._staging.is_there(row)
        return row.state != "failed"

    async def _judge(self, run: Run, lists: Mapping[str, RunList]) -> dict[str, str]:
        """Why lists may not be published, by list."""
        async with self._database.reading() as session:
            previous = await last_accepted(session, run.institution_no)
        refused = {}
        for plan in PLANS:
            row = lists.get(plan.name)
            if row is not None and row.state == "refused":
                # By a process that died before it could end the run.
                refused[plan.name] = row.reason or f"list {plan.name} was refused"
            if row is None or row.state != "staged":
                continue
            reason = refusal(plan, row, previous, mode=run.mode, shrink_limit=self._policy.shrink_limit)
            if reason is not None:
                refused[plan.name] = reason
                await list_refused(self._database, run.run_id, plan.name, reason)
                log.warning("refresh_list_refused", run_id=run.run_id, list=plan.name, reason=reason)
        return refused

    async def _report(self, run_id: int, plan: ListPlan) -> None:
        async with self._database.reading() as session:
            row = await session.scalar(select(RunList).where(RunList.run_id == run_id, RunList.list_name == plan.name))
        if row is None:
            return
        if row.unclear_flags:
            log.warning("detsis_flags_unclear", list=plan.name, number=row.unclear_flags, texts=row.unknown_texts)
        if row.row_faults:
            places = [f"row {fault['position']}: {fault['field']}: {fault['reason']}" for fault in row.row_faults]
            log.warning("detsis_rows_unusable", list=plan.name, number=row.rejected, first=places)
        if row.unknown_elements:
            log.warning("detsis_unknown_elements", list=plan.name, elements=row.unknown_elements)

    async def release(self, run_id: int, released_by: str, note: str) -> None:
        """Publish exactly what a refused run staged, because a person has seen its report and says so.

        Raises ``DomainError``: NOT_FOUND; STATE_CONFLICT when the run is not a refused one, when a newer one of
        the account was accepted, or when what it had staged is not there any more.
        """
        counts, lists = await self._published(run_id, released_by, note)
        log.warning("refresh_released", run_id=run_id, released_by=released_by, lists=lists)
        self.count_changes(counts)
        self._metrics.runs.labels("released").inc()
        await self.sweep()
        await self._gauges.publish()

    async def _published(self, run_id: int, released_by: str, note: str) -> tuple[dict[str, int], list[str]]:
        for pause in _UNTIL_PUT_AWAY:
            async with working_on(self._database, run_id) as ours:
                if ours:
                    run, lists = await self._releasable(run_id)
                    async with self._database.unit_of_work() as work:
                        counts = await publish(work, run, lists, self._clock, from_state=run.state)
                        await work.session.execute(
                            update(Run)
                            .where(Run.run_id == run_id)
                            .values(released_by=released_by, released_at=self._clock.now(), release_note=note)
                        )
                    return counts, sorted(lists)
            await asyncio.sleep(pause)
        raise DomainError(ErrorCode.STATE_CONFLICT, f"run {run_id} is being worked on")

    async def _releasable(self, run_id: int) -> tuple[Run, dict[str, RunList]]:
        async with self._database.reading() as session:
            run = await session.get(Run, run_id)
            if run is None:
                raise DomainError(ErrorCode.NOT_FOUND, f"there is no run {run_id}")
            newer = await session.scalar(
                select(Run.run_id)
                .where(Run.institution_no == run.institution_no, Run.run_id > run_id, Run.state == "accepted")
                .limit(1)
            )
        lists = await self._staging.lists_of(run_id)
        waiting = {name: row for name, row in lists.items() if row.state in {"staged", "refused"}}
        if run.state not in {"refused", "accepted"} or not any(row.state == "refused" for row in waiting.values()):
            raise DomainError(ErrorCode.STATE_CONFLICT, f"no list of run {run_id} was refused by a guard")
        if newer is not None:
            raise DomainError(ErrorCode.STATE_CONFLICT, f"run {newer} of the same account was accepted since")
        if run.state == "refused" and (missing := [p.name for p in PLANS if p.required and p.name not in lists]):
            raise DomainError(ErrorCode.STATE_CONFLICT, f"run {run_id} never fetched {', '.join(missing)}")
        for name, row in waiting.items():
            if not await self._staging.is_there(row, fresh=False):
                raise DomainError(
                    ErrorCode.STATE_CONFLICT, f"what run {run_id} fetched of {name} is not there any more"
                )
        return run, waiting

    def count_changes(self, counts: Mapping[str, int]) -> None:
        """Add what has been published to the metrics."""
        for table, change, number in change_counts(counts):
            self._metrics.changes.labels(table, change).inc(number)


def change_counts(counts: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """The counts of a report by mirror table and what became of the rows."""
    found = []
    for key, number in counts.items():
        name, _, change = key.partition(".")
        plan = BY_NAME.get(name)
        if plan is not None and change in _COUNTED and number:
            found.append((plan.like, change, number))
    return found


_COUNTED = frozenset({"new", "changed", "unchanged", "absent", "returned", "tombstoned", "overtaken"})
