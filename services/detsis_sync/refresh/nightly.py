"""The nightly refresh: fetch every list, judge it, publish the difference in one transaction."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

import psycopg
import structlog
from sqlalchemy import Exists, ScalarSelect, exists, or_, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from services.detsis_sync.accounts import Accounts
from services.detsis_sync.clients import DetsisClients
from services.detsis_sync.metrics import CHANGES, LAST_ENDS, DirectoryMetrics
from services.detsis_sync.mirror.counts import counts as counts_held
from services.detsis_sync.mirror.runs import run_report
from services.detsis_sync.refresh.diff import Difference, apply_addresses, apply_units
from services.detsis_sync.refresh.guards import accept_list
from services.detsis_sync.refresh.schedule import next_night, retry_moment
from services.detsis_sync.refresh.stage import stage_addresses, stage_units
from services.detsis_sync.rows import BulkOutcome
from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.soap.client import UnitAnswer
from services.detsis_sync.tables import Account, Run
from shared.clock import Clock
from shared.contracts.directory import RefreshRun
from shared.db.session import Database, UnitOfWork
from shared.errors import DomainError, ErrorCode
from shared.jobs import Job, JobQueue

log = structlog.get_logger(__name__)

Trigger = Literal["nightly", "manual", "first-start"]
_LONGEST_RUN = timedelta(hours=3)


@dataclass(frozen=True)
class RefreshPolicy:
    """Settings of a refresh."""

    external_list_since: date
    shrink_limit: float
    retry_after: timedelta
    schedule_check_seconds: float


class Refresher:
    """Runs refreshes, one at a time for each account."""

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        accounts: Accounts,
        clients: DetsisClients,
        clock: Clock,
        metrics: DirectoryMetrics,
        policy: RefreshPolicy,
    ) -> None:
        self._database = database
        self._queue = queue
        self._accounts = accounts
        self._clients = clients
        self._clock = clock
        self._metrics = metrics
        self._policy = policy
        self._counted_for: datetime | None = None
        self._chance = random.Random()  # noqa: S311 - spreads load, protects nothing
        self._job: Job = queue.job("detsis_sync.refresh", self.refresh, attempts=3, wait_seconds=30)

    async def start(self, institution_no: int, trigger: Trigger) -> RefreshRun:
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
                run = Run(institution_no=institution_no, trigger=trigger, state="running", started_at=now, counts={})
                work.session.add(run)
                await work.session.flush()
                await self._queue.defer(work, self._job, run_id=run.run_id)
        except IntegrityError as error:
            raise DomainError(ErrorCode.STATE_CONFLICT, "a refresh of this account is under way") from error
        return run_report(run)

    async def run_schedule(self, stop: asyncio.Event) -> None:
        """Start what is due, until ``stop`` is set. An account that was never refreshed is due at once."""
        while not stop.is_set():
            for institution_no, first in await self._due():
                with suppress(DomainError):
                    run = await self.start(institution_no, "first-start" if first else "nightly")
                    log.info("refresh_started", institution_no=institution_no, run_id=run.run_id, trigger=run.trigger)
            await self._queue.retry_stalled()
            await self._abandon_lost_runs()
            await self._publish_age()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._policy.schedule_check_seconds)

    async def _abandon_lost_runs(self) -> None:
        """Close runs whose job is gone for good, so that the next night is not blocked by them."""
        async with self._database.reading() as session:
            too_old = select(Run).where(Run.state == "running", Run.started_at < self._clock.now() - _LONGEST_RUN)
            lost = list(await session.scalars(too_old))
        for run in lost:
            log.error("refresh_lost", run_id=run.run_id, institution_no=run.institution_no)
            await self._finish(run, "failed", "lost: no job works on it any more")

    async def _due(self) -> list[tuple[int, bool]]:
        """Accounts to refresh now, and whether that would be the first refresh that succeeds."""
        async with self._database.reading() as session:
            rows = await session.execute(
                select(Account.institution_no, ~_was_refreshed(Account.institution_no)).where(
                    or_(Account.next_run_at.is_(None), Account.next_run_at <= self._clock.now())
                )
            )
            return [(number, first) for number, first in rows]

    async def refresh(self, run_id: int) -> None:
        """The job: fetch, judge, publish. A crash leaves the mirror as it was and the run to be tried again."""
        async with self._database.reading() as session:
            run = await session.get(Run, run_id)
            row = await session.get(Account, run.institution_no) if run is not None else None
            if run is None or row is None or run.state != "running":
                return
            previous = await _last_accepted(session, run.institution_no)
        started = self._clock.now()
        try:
            counts = await self._publish(run, self._accounts.opened(row), previous)
        except DomainError as error:
            if error.code is ErrorCode.DURABILITY_UNAVAILABLE:
                raise
            state = "refused" if error.code is ErrorCode.DIRECTORY_REFUSED else "failed"
            await self._finish(run, state, error.detail)
            log.warning("refresh_ended", run_id=run_id, state=state, reason=error.detail)
        except (psycopg.Error, DBAPIError) as error:
            # Trying again brings the same rows; the run must not look as if it were still under way.
            state, kind = "failed", type(getattr(error, "orig", None) or error).__name__
            await self._finish(run, state, f"the database refused what was to be written ({kind})")
            log.exception("refresh_ended", run_id=run_id, state=state)
        else:
            state = "accepted"
            self._count_changes(counts)
            log.info("refresh_ended", run_id=run_id, state=state, **counts)
        self._metrics.duration.labels(state).observe((self._clock.now() - started).total_seconds())
        await self._publish_age()

    async def _publish(self, run: Run, account: DetsisAccount, previous: dict[str, int]) -> dict[str, int]:
        counts: dict[str, int] = {}
        client = self._clients.of(account)
        lists: dict[str, Callable[[], UnitAnswer]] = {
            "external": lambda: client.external_units(self._policy.external_list_since),
            "own": client.own_units,
        }
        # Staging tables live in the publishing transaction: a crash at any point leaves nothing behind.
        async with self._database.unit_of_work() as work:
            connection = await work.connection()
            for name, open_list in lists.items():
                async with open_list() as units:
                    doubles = await stage_units(connection, f"staged_{name}", units)
                self._judge(name, units.outcome, doubles, previous, counts)
            async with client.active_kep_addresses() as addresses:
                doubles = await stage_addresses(connection, "staged_addresses", addresses)
            # One malformed address must not keep the register out; its unit then has none to be written to.
            self._judge(
                "addresses", addresses.outcome, doubles, previous, counts, rejected_limit=self._policy.shrink_limit
            )
            await self._take_turn(work, run.run_id)
            await self._apply(connection, run, list(lists), counts)
            finished = self._clock.now()
            await work.session.execute(
                update(Run)
                .where(Run.run_id == run.run_id)
                .values(state="accepted", finished_at=finished, counts=counts, reason=None)
            )
        return counts

    @staticmethod
    async def _take_turn(work: UnitOfWork, run_id: int) -> None:
        """Publish alone, and only while the run is ours to publish.

        Two accounts would write the same units in different orders; a job thought dead may have
        been given to another worker, and the same list applied twice would look like two nights.
        """
        await work.session.execute(text("LOCK TABLE units, kep_addresses, unit_sightings IN SHARE ROW EXCLUSIVE MODE"))
        state = await work.session.scalar(select(Run.state).where(Run.run_id == run_id).with_for_update())
        if state != "running":
            raise DomainError(ErrorCode.STATE_CONFLICT, f"run {run_id} has ended elsewhere")

    def _judge(
        self,
        name: str,
        outcome: BulkOutcome,
        duplicates: int,
        previous: dict[str, int],
        counts: dict[str, int],
        *,
        rejected_limit: float = 0.0,
    ) -> None:
        # A list padded with doubles must not pass for a whole one.
        rows = outcome.rows - duplicates
        if outcome.unclear_flags:
            log.warning("detsis_flags_unclear", list=name, number=outcome.unclear_flags)
        accept_list(
            name,
            rows=rows,
            rejected=outcome.rejected_rows,
            previous_rows=previous.get(f"{name}.rows"),
            shrink_limit=self._policy.shrink_limit,
            rejected_limit=rejected_limit,
            unclear=outcome.unclear_flags,
            previous_unclear=previous.get(f"{name}.unclear_flags", 0),
        )
        counts[f"{name}.rows"] = rows
        counts[f"{name}.duplicates"] = duplicates
        counts[f"{name}.rejected"] = outcome.rejected_rows
        counts[f"{name}.unclear_flags"] = outcome.unclear_flags
        counts[f"{name}.unknown_elements"] = sum(outcome.unknown_elements.values())
        if outcome.row_faults:
            places = [f"row {fault.position}: {fault.field}: {fault.reason}" for fault in outcome.row_faults]
            log.warning("detsis_rows_unusable", list=name, number=outcome.rejected_rows, first=places)
        if outcome.unknown_elements:
            log.warning("detsis_unknown_elements", list=name, elements=dict(outcome.unknown_elements))

    async def _apply(
        self, connection: psycopg.AsyncConnection[Any], run: Run, lists: Sequence[str], counts: dict[str, int]
    ) -> None:
        now = self._clock.now()
        for name in lists:
            difference = await apply_units(
                connection,
                staged=f"staged_{name}",
                institution_no=run.institution_no,
                list_name=name,
                run_id=run.run_id,
                now=now,
            )
            _note(name, difference, counts)
        _note(
            "addresses",
            await apply_addresses(connection, staged="staged_addresses", run_id=run.run_id, now=now),
            counts,
        )

    def _count_changes(self, counts: dict[str, int]) -> None:
        """Add what has been published to the metrics."""
        for change in CHANGES:
            self._metrics.changes.labels("units", change).inc(counts[f"external.{change}"] + counts[f"own.{change}"])
            self._metrics.changes.labels("kep_addresses", change).inc(counts[f"addresses.{change}"])

    async def _finish(self, run: Run, state: str, reason: str) -> None:
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            account = await work.session.get(Account, run.institution_no, with_for_update=True)
            ended = await work.session.execute(
                update(Run)
                .where(Run.run_id == run.run_id, Run.state == "running")
                .values(state=state, finished_at=now, reason=reason[:2000])
                .returning(Run.run_id)
            )
            if ended.first() is None or state != "failed" or account is None:
                return
            empty = not await work.session.scalar(select(_was_refreshed(run.institution_no)))
            again = retry_moment(now, self._policy.retry_after, mirror_empty=empty)
            if again is not None and (empty or run.trigger == "nightly"):
                account.next_run_at = again

    async def _publish_age(self) -> None:
        async with self._database.reading() as session:
            ends = Counter(end or "none" for end in await session.scalars(select(_last_end()).select_from(Account)))
            for end in LAST_ENDS:
                self._metrics.accounts.labels(end).set(ends[end])
            finished = await session.scalar(
                select(Run.finished_at).where(Run.state == "accepted").order_by(Run.finished_at.desc()).limit(1)
            )
            if finished is None:
                return
            self._metrics.snapshot_age.set((self._clock.now() - finished).total_seconds())
            if finished == self._counted_for:  # nothing has changed, and counting reads every row
                return
            held = {item.kind: item.count for item in await counts_held(session)}
        self._counted_for = finished
        for kind in ("all", "sendable", "absent"):
            self._metrics.units.labels(kind).set(held[kind])


def _was_refreshed(institution_no: int | InstrumentedAttribute[int]) -> Exists:
    """Whether a refresh of this account was ever accepted."""
    return exists().where(Run.institution_no == institution_no, Run.state == "accepted")


def _last_end() -> ScalarSelect[str]:
    """For each account: how the newest of its refreshes that are no longer under way has ended."""
    ended = select(Run.state).where(Run.institution_no == Account.institution_no, Run.state != "running")
    return ended.order_by(Run.run_id.desc()).limit(1).correlate(Account).scalar_subquery()


async def _last_accepted(session: AsyncSession, institution_no: int) -> dict[str, int]:
    """The counts that a new refresh of this account has to bear comparison with.

    The list of KEP addresses is that of the whole state and marks addresses absent for everybody: it is
    compared with the last one of any account, also at the first refresh of a new one.
    """
    accepted = select(Run.counts).where(Run.state == "accepted").order_by(Run.run_id.desc()).limit(1)
    own = await session.scalar(accepted.where(Run.institution_no == institution_no)) or {}
    newest = await session.scalar(accepted) or {}
    shared = {key: value for key, value in newest.items() if key.startswith("addresses.")}
    return {**own, **shared}


def _note(name: str, difference: Difference, counts: dict[str, int]) -> None:
    counts.update({f"{name}.{change}": number for change, number in asdict(difference).items()})
