"""Jobs in the service's own schema: enqueued in the caller's transaction, run beside the HTTP interface.

The queue itself is procrastinate. A job carries only identifiers: the row it names is the truth, the
job merely moves it (design decision 3), so every job may run twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import procrastinate
import psycopg
import structlog
from procrastinate import PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import Status
from procrastinate.manager import JobManager
from procrastinate.tasks import Task
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import ColumnElement, column, exists, literal_column, table

from shared.db.session import Database, UnitOfWork, may_be_dead
from shared.errors import DomainError, ErrorCode
from shared.telemetry.logging import correlated, correlation_id

log = structlog.get_logger(__name__)
_CORRELATION = "correlation_id"
_JOBS = table("procrastinate_jobs", column("status"), column("queueing_lock"))
_WORKER_LOST_SECONDS = 20.0  # four missed heartbeats
_PATIENCE_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Job:
    """A kind of work that can be enqueued; made by ``JobQueue.job``."""

    name: str
    task: Task[Any, Any, Any]


class JobQueue:
    """The jobs of one service."""

    def __init__(self, database: Database, *, concurrency: int = 8) -> None:
        self._database = database
        self._concurrency = concurrency
        self._working = False
        self._app = procrastinate.App(
            connector=PsycopgConnector(
                conninfo=database.conninfo,
                kwargs=database.connect_options,
                connection_class=_Connection,
                configure=_one_statement_one_transaction,
                pool_factory=_pool,
                min_size=1,
                max_size=4,
            )
        )
        self._app.job_manager = _JobRows(self._app.connector)

    def job(
        self,
        name: str,
        run: Callable[..., Awaitable[None]],
        *,
        attempts: int = 5,
        wait_seconds: int = 1,
        every: str | None = None,
        urgent: bool = False,
    ) -> Job:
        """Declare a job. ``run`` gets the keyword arguments it was enqueued with.

        It is tried ``attempts`` times with growing pauses when it raises; a job that gives up loses
        nothing, because the sweeper makes a new one from the row. ``every`` (cron, UTC, seconds
        allowed as a sixth field) makes it periodic: once per tick over all replicas. ``urgent`` jobs are
        taken before all others that are due.
        """

        async def correlated_run(**arguments: Any) -> None:
            arguments.pop("timestamp", None)
            with correlated(arguments.pop(_CORRELATION, None)):
                try:
                    await run(**arguments)
                except Exception:
                    log.exception("job_failed", job=name)
                    raise

        task: Task[Any, Any, Any] = self._app.task(
            name=name,
            priority=1 if urgent else 0,
            # procrastinate counts the tries after the first one, and takes 0 for "without end"
            retry=procrastinate.RetryStrategy(max_attempts=attempts - 1, exponential_wait=max(2, wait_seconds + 1))
            if attempts > 1
            else False,
        )(correlated_run)
        if every is not None:
            task = self._app.periodic(cron=every)(task)
        return Job(name, task)

    async def defer(
        self,
        work: UnitOfWork,
        job: Job,
        *,
        lock: str | None = None,
        once: str | None = None,
        first: bool = False,
        at: datetime | None = None,
        **arguments: Any,
    ) -> None:
        """Enqueue ``job`` in the transaction of ``work``.

        Jobs with the same ``lock`` run one after the other. With ``once``, nothing happens when a
        job with that name already waits; ``first`` says that none can, which saves finding out. ``at`` is the earliest moment it may start. Raises
        ``DomainError(DURABILITY_UNAVAILABLE)`` when the queue cannot be reached.
        """
        arguments.setdefault(_CORRELATION, correlation_id.get() or None)
        deferrer = job.task.configure(connection=await work.connection(), lock=lock, queueing_lock=once, schedule_at=at)
        with _queue_faults():
            if once is None or first:
                await deferrer.defer_async(**arguments)
                return
            # The unique violation would abort the caller's transaction, so it gets a savepoint of its own.
            with contextlib.suppress(AlreadyEnqueued):
                async with work.session.begin_nested():
                    await work.connection()  # the savepoint is set when the connection is asked for, not before
                    await deferrer.defer_async(**arguments)

    async def defer_new(self, work: UnitOfWork, job: Job, jobs: Mapping[str, Mapping[str, Any]]) -> None:
        """Enqueue ``job`` in one statement for each of ``jobs``: arguments by a ``once`` name under which none can wait yet.

        As soon as possible; otherwise as ``defer``.
        """
        connection, correlation = await work.connection(), {_CORRELATION: correlation_id.get() or None}
        new = [
            job.task.configure(queueing_lock=once).make_new_job(**correlation, **given) for once, given in jobs.items()
        ]
        with _queue_faults():
            await self._app.job_manager.batch_defer_jobs_async(new, connection)

    async def run_worker(self, stop: asyncio.Event) -> None:
        """Run jobs until ``stop`` is set, then finish those in hand.

        Cancelling it after that cuts them off; they are tried again, by whichever worker comes next.
        """
        async with self._app.open_async():
            worker = asyncio.create_task(
                self._app.run_worker_async(
                    concurrency=self._concurrency,
                    install_signal_handlers=False,
                    fetch_job_polling_interval=1.0,
                    update_heartbeat_interval=5.0,
                    stalled_worker_timeout=_WORKER_LOST_SECONDS,
                    shutdown_graceful_timeout=20.0,
                    delete_jobs="successful",
                ),
                name="worker",
            )
            stopped = asyncio.create_task(stop.wait())
            self._working = True
            try:
                await asyncio.wait({worker, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._working = False
                stopped.cancel()
                if not worker.done():
                    worker.cancel()  # procrastinate takes this as: stop, gracefully
                with contextlib.suppress(asyncio.CancelledError):
                    await worker

    async def retry_stalled(self, seconds: float = _WORKER_LOST_SECONDS) -> int:
        """Give jobs of dead workers back to the queue; returns how many.

        None as long as this process's own worker is not running, for it holds the connections. Raises
        ``DomainError(DURABILITY_UNAVAILABLE)`` when the queue cannot be reached.
        """
        if not self._working:
            return 0
        manager, freed = self._app.job_manager, 0
        with _queue_faults():
            stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=seconds))
        for item in stalled:
            with contextlib.suppress(ConnectorException):  # another replica freed it first
                await manager.retry_job(item)
                freed += 1
        return freed


def waits(once: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a job with that ``once`` name waits; a condition for rows of the schema that the jobs are in."""
    return exists().where(_JOBS.c.status == literal_column("'todo'"), _JOBS.c.queueing_lock == once)


class _JobRows(JobManager):
    """Writes down that jobs ended, and puts back those that were in hand.

    A job left in hand by a worker that lives would be so for good, and with a ``lock`` it would hold up
    all that come after it. So a moment without the database is waited for.
    """

    async def finish_job(self, *args: Any, **options: Any) -> None:
        """Write it down, as soon as the database is there again."""
        finish = super().finish_job
        await _patiently(lambda: finish(*args, **options))

    async def retry_job(self, job: procrastinate.jobs.Job, *args: Any, **options: Any) -> None:
        """Put the job back, unless one with its ``once`` name waits already: that one does its work."""
        retry = super().retry_job
        try:
            await _patiently(lambda: retry(job, *args, **options))
        except UniqueViolation:
            await self.finish_job(job, status=Status.FAILED, delete_job=True)


async def _patiently(write: Callable[[], Awaitable[None]]) -> None:
    """Beyond these pauses the worker itself has given up, and its jobs are freed as those of a dead one."""
    for pause in _PATIENCE_SECONDS:
        try:
            await write()
        except ConnectorException as error:
            if not isinstance(error.__cause__, psycopg.OperationalError):
                raise  # the database is there and says no: another one has it, or a rule forbids it
            log.warning("job_end_not_written_yet", reason=type(error.__cause__).__name__)
        else:
            return
        await asyncio.sleep(pause)
    await write()


class _Connection(psycopg.AsyncConnection[Any]):
    seen_alive_at = float("-inf")


async def _one_statement_one_transaction(connection: psycopg.AsyncConnection[Any]) -> None:
    """The queue's every step is one call of a function, so BEGIN and COMMIT around it would be two idle trips."""
    await connection.set_autocommit(True)


def _pool(**arguments: Any) -> AsyncConnectionPool[Any]:
    """The pool, less the question before every use whether the connection is alive."""
    return AsyncConnectionPool(**(arguments | {"check": _ensure_alive}))


async def _ensure_alive(connection: _Connection) -> None:
    if may_be_dead(connection, connection.seen_alive_at):
        await AsyncConnectionPool.check_connection(connection)
    connection.seen_alive_at = time.monotonic()


@contextlib.contextmanager
def _queue_faults() -> Iterator[None]:
    """Turns "the job tables cannot be reached" into our error."""
    try:
        yield
    except ConnectorException as error:
        raise DomainError(
            ErrorCode.DURABILITY_UNAVAILABLE, "the job queue cannot be reached", retry_after_seconds=5
        ) from error
