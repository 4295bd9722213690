"""Database access of one service: its role, its schema, and the only place that commits."""

from __future__ import annotations

import select
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from shared.errors import DomainError, ErrorCode

TRUSTED_SECONDS = 1.0
"""A connection used so recently is not asked whether it is alive: that costs as much as a query."""

_SERVER_NOTICES = (
    "-c tcp_keepalives_idle=20 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3 -c tcp_user_timeout=45000"
)


@dataclass(frozen=True)
class UnitOfWork:
    """One transaction. Everything done through ``session`` and ``connection()`` is one change or none."""

    session: AsyncSession

    async def connection(self) -> psycopg.AsyncConnection[Any]:
        """The transaction's own psycopg connection, to enqueue a job in the same transaction."""
        sqlalchemy_connection = await self.session.connection()
        raw = await sqlalchemy_connection.get_raw_connection()
        connection = raw.driver_connection
        assert isinstance(connection, psycopg.AsyncConnection)
        return connection


class Database:
    """Connections of one process to its schema.

    Every failure to reach PostgreSQL, in ``unit_of_work`` as in ``reading``, is raised as
    ``DomainError(DURABILITY_UNAVAILABLE)``; constraint violations keep SQLAlchemy's type.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str,
        pool_size: int = 10,
        pool_wait_seconds: float = 10,
        trusted_seconds: float = TRUSTED_SECONDS,
    ) -> None:
        self.conninfo = libpq_url(url)
        self.schema = schema
        self._trusted_seconds = trusted_seconds
        self._engine = create_async_engine(
            "postgresql+psycopg://",
            async_creator=self._connect,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=pool_wait_seconds,
        )
        event.listen(self._engine.sync_engine, "checkout", self._ensure_alive)

    @property
    def connect_options(self) -> dict[str, Any]:
        """Keyword arguments for psycopg: the schema comes first, and either end notices within a minute that the other died.

        A host that is gone says no goodbye; by the system's own times its locks would be held for hours.
        """
        return {
            "options": f"-c search_path={self.schema} -c timezone=UTC {_SERVER_NOTICES}",
            "connect_timeout": 5,
            "keepalives_idle": 20,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 45_000,
            "application_name": f"kepgw-{self.schema}",
        }

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(self.conninfo, **self.connect_options)

    def _ensure_alive(self, connection: Any, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        """Ping a pooled connection that may be dead; if it is, it is replaced, with all of its age."""
        seen_alive_at = entry.info.get("seen_alive_at", float("-inf"))
        if may_be_dead(entry.driver_connection, seen_alive_at, trusted_seconds=self._trusted_seconds):
            try:
                self._engine.dialect.do_ping(connection)
            except psycopg.Error as error:
                raise InvalidatePoolError from error
        entry.info["seen_alive_at"] = time.monotonic()

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[UnitOfWork]:
        """One transaction: committed when the block ends well, rolled back when it raises."""
        with _unavailable():
            async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
                yield UnitOfWork(session)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A read-only, repeatable view; nothing done in it is kept."""
        with _unavailable():
            async with AsyncSession(self._engine, expire_on_commit=False) as session:
                await session.connection(
                    execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
                )
                yield session

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncSession]:
        """Each statement is a transaction of its own, kept before its answer comes: one round trip instead of three.

        For a block with a single statement, which is one change or one view anyway.
        """
        with _unavailable():
            async with AsyncSession(self._engine, expire_on_commit=False) as session:
                await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
                yield session

    async def ping(self) -> None:
        """Raise ``DomainError`` unless the database answers and the schema has been migrated."""
        async with self.autocommit() as session:
            found = await session.scalar(
                text("SELECT to_regclass(:table)"), {"table": f"{self.schema}.alembic_version"}
            )
        if not found:
            raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, f"schema {self.schema} is empty: run --migrate")

    async def aclose(self) -> None:
        """Give all connections back."""
        await self._engine.dispose()


class _unavailable:  # noqa: N801 - reads as a word in ``with``
    """Turns "PostgreSQL cannot be reached" into our error; lets everything else pass."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(getattr(error, "orig", error), psycopg.errors.ProgramLimitExceeded):
            return  # psycopg files it with the server's troubles, but it is the value that is too large
        if isinstance(error, (OperationalError, InterfaceError, PoolTimeoutError, psycopg.OperationalError)) or (
            isinstance(error, DBAPIError) and error.connection_invalidated
        ):
            reason = type(getattr(error, "orig", None) or error).__name__  # never the text: it may quote values
            raise DomainError(
                ErrorCode.DURABILITY_UNAVAILABLE, f"the database cannot do its work ({reason})", retry_after_seconds=5
            ) from error


def may_be_dead(connection: Any, seen_alive_at: float, *, trusted_seconds: float = TRUSTED_SECONDS) -> bool:
    """Whether an idle psycopg connection, last seen alive at that moment of the monotonic clock, must be asked.

    A server that ends a session, or its kernel, says so on the socket: there is something to read where
    nothing should be. Only a peer that fell silent does not show, hence the time.
    """
    if connection.closed or time.monotonic() - seen_alive_at >= trusted_seconds:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def libpq_url(url: str) -> str:
    """``url`` as libpq understands it: SQLAlchemy's ``+driver`` is taken out; the rest is untouched."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}{separator}{rest}"


def with_role(url: str, *, user: str, password: str) -> str:
    """``url`` with another user; used to give each service its own role."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(user)}:{quote(password, safe='')}@{host}").geturl()
