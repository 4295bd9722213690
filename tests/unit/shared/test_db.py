"""One transaction is one change or none; a database that is not there is one error, everywhere."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
from sqlalchemy import Integer, insert, select, text
from sqlalchemy.exc import IntegrityError, InternalError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.db.migrate import migrate
from shared.db.session import Database, libpq_url, with_role
from shared.db.types import TYPES, UtcDateTime, service_metadata
from shared.errors import DomainError, ErrorCode
from tests.unit.shared.conftest import SCHEMA

ADD = text("INSERT INTO notes VALUES (:id)")


async def notes(database: Database) -> list[int]:
    async with database.reading() as session:
        return list(await session.scalars(text("SELECT id FROM notes ORDER BY id")))


async def test_a_block_that_ends_well_is_kept_and_one_that_raises_is_not(database: Database) -> None:
    async with database.unit_of_work() as work:
        await work.session.execute(ADD, {"id": 1})
    with pytest.raises(ZeroDivisionError):
        async with database.unit_of_work() as work:
            await work.session.execute(ADD, {"id": 2})
            raise ZeroDivisionError
    assert await notes(database) == [1]


async def test_session_and_raw_connection_are_one_transaction(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.unit_of_work() as work:
            await (await work.connection()).execute("INSERT INTO notes VALUES (1)")
            await work.session.execute(ADD, {"id": 2})
            raise ZeroDivisionError
    assert await notes(database) == []


async def test_a_cancelled_block_is_not_kept(database: Database) -> None:
    inside = asyncio.Event()

    async def block() -> None:
        async with database.unit_of_work() as work:
            await work.session.execute(ADD, {"id": 1})
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await notes(database) == []


async def test_a_broken_rule_keeps_its_own_error(database: Database) -> None:
    async with database.unit_of_work() as work:
        await work.session.execute(ADD, {"id": 1})
    with pytest.raises(IntegrityError):
        async with database.unit_of_work() as work:
            await work.session.execute(ADD, {"id": 1})


async def test_reading_cannot_write_and_does_not_spoil_the_connection(database: Database) -> None:
    for _ in range(5):  # so that every pooled connection has been used for reading
        with pytest.raises(InternalError):
            async with database.reading() as session:
                await session.execute(ADD, {"id": 1})
    async with database.unit_of_work() as work:
        await work.session.execute(ADD, {"id": 2})
    assert await notes(database) == [2]


async def test_reading_sees_one_moment(database: Database) -> None:
    async with database.reading() as session:
        before = (await session.scalars(text("SELECT count(*) FROM notes"))).one()
        async with database.unit_of_work() as work:
            await work.session.execute(ADD, {"id": 1})
        assert (await session.scalars(text("SELECT count(*) FROM notes"))).one() == before


async def test_nobody_listening() -> None:
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        database = Database(f"postgresql://nobody@127.0.0.1:{bound.getsockname()[1]}/x", schema=SCHEMA)
        for attempt in (database.ping(), notes(database)):
            with pytest.raises(DomainError) as caught:
                await attempt
            assert caught.value.code is ErrorCode.DURABILITY_UNAVAILABLE
            assert caught.value.retryable
        await database.aclose()


async def test_a_connection_lost_midway_loses_the_block_and_nothing_else(database: Database, database_url: str) -> None:
    with pytest.raises(DomainError) as caught:
        async with database.unit_of_work() as work:
            await work.session.execute(ADD, {"id": 1})
            backend = await work.session.scalar(text("SELECT pg_backend_pid()"))
            async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
                await other.execute("SELECT pg_terminate_backend(%s)", (backend,))
            await work.session.execute(ADD, {"id": 2})
    assert caught.value.code is ErrorCode.DURABILITY_UNAVAILABLE
    assert "AdminShutdown" in caught.value.detail
    assert await notes(database) == []


async def end_all_others(database_url: str) -> None:
    """What a restart of PostgreSQL does to the connections of everybody."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        while (
            await (
                await other.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            ).fetchone()
        ) != (0,):
            await asyncio.sleep(0.02)


async def fill_pool(database: Database, size: int) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(size):
            await (await stack.enter_async_context(database.unit_of_work())).session.execute(text("SELECT 1"))


@pytest.mark.parametrize("trusted_seconds", [0, 3600])
async def test_a_restarted_server_is_not_noticed(database: Database, database_url: str, trusted_seconds: float) -> None:
    """By the time since it was last seen, or by what the server said on the socket when it went."""
    used = Database(database_url, schema=SCHEMA, pool_size=4, trusted_seconds=trusted_seconds)
    await fill_pool(used, 4)
    await end_all_others(database_url)
    await fill_pool(used, 4)
    assert await notes(used) == []
    await used.aclose()


async def test_single_statements_are_kept_by_themselves_and_leave_the_connection_as_it_was(database: Database) -> None:
    for number in range(5):  # so that every pooled connection has been used for it
        async with database.autocommit() as session:
            await session.execute(ADD, {"id": number})
            assert len(await notes(database)) == number + 1  # seen from outside
    with pytest.raises(ZeroDivisionError):
        async with database.unit_of_work() as work:
            await work.session.execute(ADD, {"id": 9})
            raise ZeroDivisionError
    assert await notes(database) == [0, 1, 2, 3, 4]


async def test_the_error_names_the_kind_of_failure_and_no_value(database: Database) -> None:
    with pytest.raises(DomainError) as caught:
        async with database.unit_of_work() as work:
            await work.session.execute(text("SET LOCAL statement_timeout = 50"))
            await work.session.execute(text("SELECT pg_sleep(60), :secret"), {"secret": "12345678901"})
    assert caught.value.detail == "the database cannot do its work (QueryCanceled)"


async def test_a_full_pool_is_a_database_that_is_not_there(database_url: str, database: Database) -> None:
    tight = Database(database_url, schema=SCHEMA, pool_size=1, pool_wait_seconds=0.1)
    async with tight.unit_of_work() as work:
        await work.connection()
        with pytest.raises(DomainError) as caught:
            async with tight.unit_of_work() as second:
                await second.connection()
    assert caught.value.code is ErrorCode.DURABILITY_UNAVAILABLE
    await tight.aclose()


async def test_ping_wants_a_migrated_schema(database: Database, database_url: str) -> None:
    with pytest.raises(DomainError, match="--migrate"):
        await database.ping()
    migrate(Database(database_url, schema="gateway"), package="gateway", with_jobs=False)
    other = Database(database_url, schema="gateway")
    await other.ping()
    await other.aclose()


def test_migrating_twice_and_from_many_places_at_once(database_url: str) -> None:
    def once(_attempt: int) -> None:
        migrate(Database(database_url, schema=SCHEMA), package="detsis_sync", with_jobs=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(once, range(4)))
    once(5)
    with psycopg.connect(database_url) as connection:
        assert connection.execute(f"SELECT to_regclass('{SCHEMA}.procrastinate_jobs')").fetchone() != (None,)
        assert connection.execute(f"SELECT count(*) FROM {SCHEMA}.alembic_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)


class Base(DeclarativeBase):
    metadata = service_metadata(SCHEMA)
    type_annotation_map = TYPES


class Moment(Base):
    __tablename__ = "moments"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime]


async def test_moments_are_utc_both_ways(database: Database) -> None:
    istanbul = timezone(timedelta(hours=3))
    async with database.unit_of_work() as work:
        await work.session.run_sync(lambda session: Base.metadata.create_all(session.connection()))
        await work.session.execute(insert(Moment).values(id=1, at=datetime(2026, 3, 2, 1, 30, tzinfo=istanbul)))
    async with database.reading() as session:
        (found,) = await session.scalars(select(Moment.at))
    assert found == datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
    assert found.tzinfo is UTC
    with pytest.raises(StatementError, match="without zone"):
        async with database.unit_of_work() as work:
            await work.session.execute(insert(Moment).values(id=2, at=datetime(2026, 3, 2)))  # noqa: DTZ001
    assert isinstance(Moment.__table__.c.at.type, UtcDateTime)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql+psycopg://a:b@h/d?sslmode=require", "postgresql://a:b@h/d?sslmode=require"),
        ("postgresql://a:p%2Bq@h/d", "postgresql://a:p%2Bq@h/d"),
        ("postgresql:///d?host=/tmp/x+y", "postgresql:///d?host=/tmp/x+y"),
    ],
)
def test_urls_for_libpq(url: str, expected: str) -> None:
    assert libpq_url(url) == expected


def test_url_with_another_role() -> None:
    assert (
        with_role("postgresql://su:x@h:1/d?a=b", user="r", password="p@/ç") == "postgresql://r:p%40%2F%C3%A7@h:1/d?a=b"
    )
    assert with_role("postgresql://postgres:@/d?host=/tmp/x", user="r", password="p") == (
        "postgresql://r:p@/d?host=/tmp/x"
    )


async def test_the_server_is_told_to_notice_a_client_that_died(database: Database) -> None:
    """Over a Unix socket the values have no effect, so only who set them shows."""
    async with database.reading() as session:
        told = await session.scalars(text("SELECT name FROM pg_settings WHERE name LIKE 'tcp%' AND source = 'client'"))
        assert set(told) == {
            "tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout",
        }  # fmt: skip
