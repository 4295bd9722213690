"""Starting refreshes: by a person, by the night, and again where a process died over one."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import timedelta
from typing import Literal

import structlog
from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError

from services.detsis_sync.mirror.runs import run_report
from services.detsis_sync.refresh.gauges import MirrorGauges
from services.detsis_sync.refresh.nightly import Refresher
from services.detsis_sync.refresh.policy import RefreshPolicy, mode_of_next
from services.detsis_sync.refresh.records import end_run, was_refreshed
from services.detsis_sync.refresh.schedule import next_night
from services.detsis_sync.refresh.under_way import held_runs
from services.detsis_sync.tables import Account, Run
from shared.clock import Clock
from shared.contracts.directory import RefreshRun
from shared.contracts.directory.runs import RefreshMode
from shared.db.session import Database, UnitOfWork
from shared.errors import DomainError, ErrorCode
from shared.jobs import Job, JobQueue

log = structlog.get_logger(__name__)

Trigger = Literal["nightly", "manual", "first-start"]
_LONGEST_RUN = timedelta(hours=3)


class RefreshSchedule:
    """Makes runs and the jobs that work on them, one at a time for each account."""

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        refresher: Refresher,
        gauges: MirrorGauges,
        clock: Clock,
        policy: RefreshPolicy,
    ) -> None:
        self._database = database
        self._queue = queue
        self._refresher = refresher
        self._gauges = gauges
        self._clock = clock
        self._policy = policy
        self._chance = random.Random()  # noqa: S311 - spreads load, protects nothing
        self._job: Job = queue.job("detsis_sync.refresh", refresher.refresh, attempts=3, wait_seconds=30)

    async def start(self, institution_no: int, trigger: Trigger, mode: RefreshMode | None = None) -> RefreshRun:
        """Record a run and enqueue it; STATE_CONFLICT if one is under way, NOT_FOUND without account."""
        now = self._clock.now()
        try:
            async with self._database.unit_of_work() as work:
                account = await work.session.get(Account, institution_no, with_for_update=True)
                if account is None:
                    raise DomainError(ErrorCode.NOT_FOUND, f"institution {institution_no} has no DETSİS account")
                if trigger != "manual" and account.next_run_at is not None and account.next_run_at > now:
                    raise DomainError(ErrorCode.STATE_CONFLICT, "another process has just started this refresh")
                account.next_run_at = next_night(now, self._chance)
                chosen = await mode_of_next(work.session, institution_no, mode, self._policy, now)
                run = Run(
                    institution_no=institution_no, trigger=trigger, mode=chosen, state="running", started_at=now,
                    counts={},
                )  # fmt: skip
                work.session.add(run)
                await work.session.flush()
                await self._enqueue(work, run.run_id)
        except IntegrityError as error:
            raise DomainError(ErrorCode.STATE_CONFLICT, "a refresh of this account is under way") from error
        return run_report(run)

    async def run(self, stop: asyncio.Event) -> None:
        """Start what is due, until ``stop`` is set. An account that was never refreshed is due at once."""
        while not stop.is_set():
            await self._abandon_lost_runs()
            await self._resume_orphans()
            for institution_no, first in await self._due():
                with suppress(DomainError):
                    run = await self.start(institution_no, "first-start" if first else "nightly")
                    log.info("refresh_started", institution_no=institution_no, run_id=run.run_id, trigger=run.trigger)
            await self._queue.retry_stalled()
            await self._refresher.sweep()
            await self._gauges.publish()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._policy.schedule_check_seconds)

    async def _enqueue(self, work: UnitOfWork, run_id: int) -> None:
        await self._queue.defer(work, self._job, once=f"refresh {run_id}", run_id=run_id)

    async def _abandon_lost_runs(self) -> None:
        """Close runs that no job brought to an end for hours, so that the next night is not blocked by them."""
        async with self._database.reading() as session:
            too_old = select(Run).where(Run.state == "running", Run.started_at < self._clock.now() - _LONGEST_RUN)
            lost = list(await session.scalars(too_old))
        for run in lost:
            log.error("refresh_lost", run_id=run.run_id, institution_no=run.institution_no)
            reason = "lost: no job works on it any more"
            await end_run(self._database, run, "failed", reason, self._clock.now(), self._policy)

    async def _resume_orphans(self) -> None:
        """Give runs whose process died to another job, without waiting until the queue misses it."""
        async with self._database.reading() as session:
            running = set(await session.scalars(select(Run.run_id).where(Run.state == "running")))
            orphans = sorted(running - await held_runs(session)) if running else []
        for run_id in orphans:
            async with self._database.unit_of_work() as work:
                await self._enqueue(work, run_id)

    async def _due(self) -> list[tuple[int, bool]]:
        """Accounts to refresh now, and whether that would be the first refresh that succeeds."""
        async with self._database.reading() as session:
            rows = await session.execute(
                select(Account.institution_no, ~was_refreshed(Account.institution_no)).where(
                    Account.keeps_copy,
                    or_(Account.next_run_at.is_(None), Account.next_run_at <= self._clock.now()),
                )
            )
            return [(number, first) for number, first in rows]
