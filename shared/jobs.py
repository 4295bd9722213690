"""Jobs in the service's own schema: enqueued in the caller's transaction, run beside the HTTP interface.

The queue itself is procrastinate. A job carries only identifiers: the row it names is the truth, the
job merely moves it (design decision 3), so every job may run twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import procrastinate
import structlog
from procrastinate import PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.tasks import Task

from shared.db.session import Database, UnitOfWork
from shared.telemetry.logging import correlated, correlation_id

log = structlog.get_logger(__name__)
_CORRELATION = "correlation_id"


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
        self._app = procrastinate.App(
            connector=PsycopgConnector(
                conninfo=database.conninfo, kwargs=database.connect_options, min_size=1, max_size=4
            )
        )

    def job(
        self,
        name: str,
        run: Callable[..., Awaitable[None]],
        *,
        attempts: int = 5,
        wait_seconds: int = 1,
        every: str | None = None,
    ) -> Job:
        """Declare a job. ``run`` gets the keyword arguments it was enqueued with.

        It is tried ``attempts`` times with growing pauses when it raises; a job that gives up loses
        nothing, because the sweeper makes a new one from the row. ``every`` (cron, UTC, seconds
        allowed as a sixth field) makes it periodic: once per tick over all replicas.
        """

        async def correlated_run(**arguments: Any) -> None:
            arguments.pop("timestamp", None)
            with correlated(arguments.pop(_CORRELATION, None)):
                await run(**arguments)

        task: Task[Any, Any, Any] = self._app.task(
            name=name,
            retry=procrastinate.RetryStrategy(max_attempts=attempts, exponential_wait=max(2, wait_seconds + 1)),
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
        at: datetime | None = None,
        **arguments: Any,
    ) -> None:
        """Enqueue ``job`` in the transaction of ``work``.

        Jobs with the same ``lock`` run one after the other. With ``once``, nothing happens when a
        job with that name already waits. ``at`` is the earliest moment it may start.
        """
        arguments.setdefault(_CORRELATION, correlation_id.get() or None)
        deferrer = job.task.configure(connection=await work.connection(), lock=lock, queueing_lock=once, schedule_at=at)
        if once is None:
            await deferrer.defer_async(**arguments)
            return
        # The unique violation would abort the caller's transaction, so it gets a savepoint of its own.
        with contextlib.suppress(AlreadyEnqueued):
            async with work.session.begin_nested():
                await deferrer.defer_async(**arguments)

    async def run_worker(self, stop: asyncio.Event) -> None:
        """Run jobs until ``stop`` is set, then finish those in hand."""
        async with self._app.open_async():
            worker = asyncio.create_task(
                self._app.run_worker_async(
                    concurrency=self._concurrency,
                    install_signal_handlers=False,
                    fetch_job_polling_interval=1.0,
                    update_heartbeat_interval=5.0,
                    stalled_worker_timeout=20.0,
                    shutdown_graceful_timeout=20.0,
                    delete_jobs="successful",
                )
            )
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({worker, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not worker.done():
                worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await worker

    async def retry_stalled(self, seconds: float = 20) -> int:
        """Give jobs of dead workers back to the queue; returns how many."""
        manager = self._app.job_manager
        stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=seconds))
        for item in stalled:
            await manager.retry_job(item)
        return len(stalled)

    @property
    def names(self) -> Sequence[str]:
        """Names of all declared jobs."""
        return sorted(name for name in self._app.tasks if not name.startswith("builtin:"))
