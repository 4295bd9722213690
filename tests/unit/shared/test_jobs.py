"""Jobs on a real PostgreSQL: enqueued with the state they follow from, tried again, never lost with a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from procrastinate.schema import SchemaManager
from sqlalchemy import text

from shared.db.session import Database
from shared.errors import DomainError, ErrorCode
from shared.jobs import JobQueue
from shared.telemetry.logging import correlated, correlation_id

ADD = text("INSERT INTO notes VALUES (:id)")


@pytest.fixture
async def with_jobs(database: Database) -> Database:
    async with await psycopg.AsyncConnection.connect(
        database.conninfo, **database.connect_options, autocommit=True
    ) as connection:
        await connection.execute(SchemaManager.get_schema().encode())
    return database


@asynccontextmanager
async def working(queue: JobQueue) -> AsyncIterator[asyncio.Task[None]]:
    """A worker that is stopped, and must then end by itself, when the block ends."""
    stop = asyncio.Event()
    task = asyncio.create_task(queue.run_worker(stop))
    try:
        yield task
    finally:
        stop.set()
        async with asyncio.timeout(60):
            await task


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while True:
            found = condition()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.02)


async def jobs(database: Database) -> list[tuple[str, str, int]]:
    async with database.reading() as session:
        rows = await session.execute(text("SELECT task_name, status, attempts FROM procrastinate_jobs ORDER BY id"))
        return [tuple(row) for row in rows]


class Recorder:
    """A job that notes what it was called with, after ``failures`` failed tries."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.calls: list[dict[str, Any]] = []
        self.correlations: list[str] = []

    async def run(self, **arguments: Any) -> None:
        self.calls.append(arguments)
        self.correlations.append(correlation_id.get())
        if len(self.calls) <= self.failures:
            raise RuntimeError("not yet")


async def test_a_job_belongs_to_the_transaction_that_enqueues_it(with_jobs: Database) -> None:
    recorder, queue = Recorder(), JobQueue(with_jobs)
    job = queue.job("test.note", recorder.run)
    with pytest.raises(ZeroDivisionError):
        async with with_jobs.unit_of_work() as work:
            await queue.defer(work, job, number=1)
            raise ZeroDivisionError
    assert await jobs(with_jobs) == []
    async with with_jobs.unit_of_work() as work:
        await work.session.execute(ADD, {"id": 2})
        await queue.defer(work, job, number=2)
        assert await jobs(with_jobs) == []  # seen from outside
    async with working(queue):
        await until(lambda: recorder.calls)
    assert recorder.calls == [{"number": 2}]
    assert await jobs(with_jobs) == []


async def test_an_idle_worker_wakes_up_for_a_job(with_jobs: Database) -> None:
    recorder, queue = Recorder(), JobQueue(with_jobs)
    job = queue.job("test.note", recorder.run)
    async with working(queue):
        for number in (1, 2):
            async with with_jobs.unit_of_work() as work:
                await queue.defer(work, job, number=number)
            await until(lambda number=number: len(recorder.calls) == number)


async def test_once_enqueues_nothing_while_such_a_job_waits_and_spares_the_transaction(with_jobs: Database) -> None:
    queue = JobQueue(with_jobs)
    job = queue.job("test.note", Recorder().run)
    for number in (1, 2):
        async with with_jobs.unit_of_work() as work:
            await work.session.execute(ADD, {"id": number})
            await queue.defer(work, job, once="the-same", number=number)
            await queue.defer(work, job, once=f"another-{number}", number=number)
    assert len(await jobs(with_jobs)) == 3
    async with with_jobs.reading() as session:
        assert list(await session.scalars(text("SELECT id FROM notes ORDER BY id"))) == [1, 2]


async def test_a_job_may_have_to_wait(with_jobs: Database) -> None:
    recorder, queue = Recorder(), JobQueue(with_jobs)
    job = queue.job("test.note", recorder.run)
    async with with_jobs.unit_of_work() as work:
        await queue.defer(work, job, at=datetime.now(UTC) + timedelta(hours=1), number=1)  # noqa: TID251
        await queue.defer(work, job, number=2)
    async with working(queue):
        await until(lambda: recorder.calls)
    assert recorder.calls == [{"number": 2}]
    assert await jobs(with_jobs) == [("test.note", "todo", 0)]


async def test_urgent_jobs_are_taken_first(with_jobs: Database) -> None:
    recorder, queue = Recorder(), JobQueue(with_jobs, concurrency=1)
    usual, urgent = queue.job("test.usual", recorder.run), queue.job("test.urgent", recorder.run, urgent=True)
    async with with_jobs.unit_of_work() as work:
        await queue.defer_new(work, usual, {f"usual-{number}": {"number": number} for number in (1, 2, 3)})
        await queue.defer(work, usual, once="usual-3", number=5)
        await queue.defer(work, urgent, number=4)
    async with working(queue):
        await until(lambda: len(recorder.calls) == 4)
    assert [call["number"] for call in recorder.calls] == [4, 1, 2, 3]


async def test_a_failing_job_is_tried_again(with_jobs: Database) -> None:
    recorder, queue = Recorder(failures=1), JobQueue(with_jobs)
    job = queue.job("test.note", recorder.run, attempts=2)
    async with with_jobs.unit_of_work() as work:
        await queue.defer(work, job, number=1)
    async with working(queue):
        await until(lambda: len(recorder.calls) == 2)
    assert recorder.calls == [{"number": 1}] * 2
    assert await jobs(with_jobs) == []


@pytest.mark.parametrize("attempts", [1, 2])
async def test_a_job_is_tried_as_often_as_said(with_jobs: Database, attempts: int) -> None:
    recorder, queue = Recorder(failures=99), JobQueue(with_jobs)
    job = queue.job("test.note", recorder.run, attempts=attempts)
    async with with_jobs.unit_of_work() as work:
        await queue.defer(work, job, number=1)

    async def given_up() -> bool:
        return [status for _name, status, _attempts in await jobs(with_jobs)] == ["failed"]

    async with working(queue):
        await until(given_up)
    assert len(recorder.calls) == attempts


async def test_correlation_id_travels_with_the_job(with_jobs: Database) -> None:
    recorder, queue = Recorder(), JobQueue(with_jobs)
    job = queue.job("test.note", recorder.run)
    with correlated("from-the-caller-1"):
        async with with_jobs.unit_of_work() as work:
            await queue.defer(work, job)
    async with with_jobs.unit_of_work() as work:
        await queue.defer(work, job)
    async with working(queue):
        await until(lambda: len(recorder.calls) == 2)
    assert recorder.calls == [{}, {}]
    assert "from-the-caller-1" in recorder.correlations
    assert sorted(map(len, recorder.correlations)) == [17, 32]


async def test_a_worker_that_is_stopped_finishes_the_job_in_hand(with_jobs: Database) -> None:
    begun, release, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def held() -> None:
        begun.set()
        await release.wait()
        ended.set()

    recorder, queue = Recorder(), JobQueue(with_jobs, concurrency=1)  # a question for a second job may be under way
    job, other = queue.job("test.held", held), queue.job("test.note", recorder.run)
    async with with_jobs.unit_of_work() as work:
        await queue.defer(work, job)
    stop = asyncio.Event()
    worker = asyncio.create_task(queue.run_worker(stop))
    await asyncio.wait_for(begun.wait(), 60)
    stop.set()
    async with with_jobs.unit_of_work() as work:
        await queue.defer(work, other)
    release.set()
    await asyncio.wait_for(worker, 60)
    assert ended.is_set()
    assert recorder.calls == []
    assert await jobs(with_jobs) == [("test.note", "todo", 0)]


async def test_jobs_of_a_dead_worker_are_given_back(with_jobs: Database) -> None:
    """The dead worker is a row as a killed process leaves it: a job in hand and an old sign of life."""
    recorder, queue = Recorder(), JobQueue(with_jobs)
    job = queue.job("test.note", recorder.run)
    assert await queue.retry_stalled() == 0  # no worker of its own yet, and no error either
    async with with_jobs.unit_of_work() as work:
        await queue.defer(work, job, number=1)
        await work.session.execute(text("INSERT INTO procrastinate_workers DEFAULT VALUES"))
        await work.session.execute(
            text("UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM procrastinate_workers)")
        )
    async with working(queue):
        await until(lambda: _worker_count(with_jobs, 2))
        assert await queue.retry_stalled(seconds=3600) == 0
        async with with_jobs.unit_of_work() as work:
            await work.session.execute(
                text(
                    "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'"
                    " WHERE id = (SELECT min(id) FROM procrastinate_workers)"
                )
            )
        assert await queue.retry_stalled() == 1
        assert await queue.retry_stalled() == 0
        await until(lambda: recorder.calls)
    assert recorder.calls == [{"number": 1}]


@pytest.mark.parametrize("died", [False, True])
async def test_a_job_that_another_of_its_name_waits_for_holds_nothing_up(with_jobs: Database, died: bool) -> None:
    """What fails, or was in a dead process's hands, while its successor waits for its lock makes room for it."""
    begun, release, calls = asyncio.Event(), asyncio.Event(), list[int]()

    async def run(number: int) -> None:
        calls.append(number)
        if number == 1:
            begun.set()
            await release.wait()
            raise RuntimeError("not yet")

    queue = JobQueue(with_jobs)
    job = queue.job("test.held", run)

    async def defer(number: int) -> None:
        async with with_jobs.unit_of_work() as work:
            await queue.defer(work, job, once="the-same", lock="one-by-one", number=number)

    await defer(1)
    if died:
        async with with_jobs.unit_of_work() as work:
            await work.session.execute(text("UPDATE procrastinate_jobs SET status = 'doing'"))
        await defer(2)
    async with working(queue):
        if died:
            await until(lambda: _worker_count(with_jobs, 1))
            assert await queue.retry_stalled() == 1
        else:
            await until(begun.is_set)
            await defer(2)
            release.set()
        await until(lambda: 2 in calls)
        assert calls == ([2] if died else [1, 2])
    assert await jobs(with_jobs) == []


async def test_a_job_whose_end_was_cut_off_holds_nothing_up(with_jobs: Database, database_url: str) -> None:
    """The connection breaks while the end is written, and the worker, whose other connections hold, lives on."""
    begun, release, calls = asyncio.Event(), asyncio.Event(), list[int]()

    async def run(number: int) -> None:
        calls.append(number)
        begun.set()
        await release.wait()

    queue = JobQueue(with_jobs)
    job = queue.job("test.held", run)
    async with with_jobs.unit_of_work() as work:
        for number in (1, 2):
            await queue.defer(work, job, lock="one-by-one", number=number)
    async with (
        working(queue),
        await psycopg.AsyncConnection.connect(database_url) as holder,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as operator,
    ):
        await until(begun.is_set)
        await holder.execute(f"SELECT FROM {with_jobs.schema}.procrastinate_jobs FOR UPDATE")
        release.set()

        async def cut_off() -> bool:
            ended = await operator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            return ended.rowcount == 1

        await until(cut_off)
        await holder.rollback()
        await until(lambda: calls == [1, 2])
    assert await jobs(with_jobs) == []


async def _worker_count(database: Database, number: int) -> bool:
    async with database.reading() as session:
        return await session.scalar(text("SELECT count(*) FROM procrastinate_workers")) == number


async def test_a_periodic_job_runs_by_itself(with_jobs: Database) -> None:
    recorder, queue = Recorder(), JobQueue(with_jobs)
    queue.job("test.tick", recorder.run, every="* * * * * *")
    async with working(queue):
        await until(lambda: recorder.calls)
    assert recorder.calls[0] == {}


async def test_a_worker_can_be_started_again(with_jobs: Database) -> None:
    recorder, queue = Recorder(), JobQueue(with_jobs)
    job = queue.job("test.note", recorder.run)
    for number in (1, 2):
        async with with_jobs.unit_of_work() as work:
            await queue.defer(work, job, number=number)
        async with working(queue):
            await until(lambda number=number: len(recorder.calls) == number)


async def test_a_worker_survives_the_loss_of_its_connections(with_jobs: Database) -> None:
    """Either it goes on, or it ends with an error so that it is started again; it never just sits there."""
    recorder, queue = Recorder(), JobQueue(with_jobs)
    job = queue.job("test.note", recorder.run)
    stop = asyncio.Event()

    async def kept_running() -> None:
        while not stop.is_set():
            try:
                await queue.run_worker(stop)
            except Exception:  # noqa: BLE001 - what shared.service does with a failed part
                await asyncio.sleep(0.05)

    task = asyncio.create_task(kept_running())
    await until(lambda: _worker_count(with_jobs, 1))
    async with with_jobs.unit_of_work() as work:
        await work.session.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                 " AND datname = current_database()")
        )  # fmt: skip
    async with with_jobs.unit_of_work() as work:
        await queue.defer(work, job, number=1)
    await until(lambda: recorder.calls)
    stop.set()
    await asyncio.wait_for(task, 60)


async def test_enqueueing_without_job_tables_or_database_is_not_durable(database: Database) -> None:
    queue = JobQueue(database)
    job = queue.job("test.note", Recorder().run)
    for options in ({}, {"once": "x"}):
        with pytest.raises(DomainError) as caught:
            async with database.unit_of_work() as work:
                await queue.defer(work, job, **options)
        assert caught.value.code is ErrorCode.DURABILITY_UNAVAILABLE
