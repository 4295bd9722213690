"""One process at a time sweeps and counts: the one that holds a PostgreSQL advisory lock."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg
import structlog

from shared.db.session import Database

log = structlog.get_logger(__name__)

_LOCK_CLASS, _LOCK_NUMBER = 0x4B45_5057, 1


class Leadership:
    """Held on a connection of its own, so PostgreSQL gives it free the moment the process is gone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def hold(self) -> bool:
        """Whether this process leads now; takes the lead if it is free. False when the database is away."""
        try:
            if self._connection is not None:
                await self._connection.execute("SELECT 1")
                return True
            connection = await psycopg.AsyncConnection.connect(
                self._database.conninfo, autocommit=True, **self._database.connect_options
            )
            cursor = await connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (_LOCK_CLASS, _LOCK_NUMBER))
            row = await cursor.fetchone()
            if row is None or not row[0]:
                await connection.close()
                return False
        except psycopg.Error as error:
            if self._connection is not None:
                log.warning("leadership_lost", reason=type(error).__name__)
            await self.release()
            return False
        self._connection = connection
        log.info("leadership_taken")
        return True

    async def release(self) -> None:
        """Let another process lead."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                await connection.close()
