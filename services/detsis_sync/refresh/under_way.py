"""Which runs somebody is working on. A lock of the database says so: it goes with the process that held it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.session import Database

_REFRESHES = 0x4B45_5044
"""Where in the database's space of advisory locks ours lie."""


@asynccontextmanager
async def working_on(database: Database, run_id: int) -> AsyncIterator[bool]:
    """Hold the run for as long as the block lasts; False when somebody else does."""
    values = {"space": _REFRESHES, "run": run_id}
    async with database.autocommit() as session:
        held = bool(await session.scalar(text("SELECT pg_try_advisory_lock(:space, :run)"), values))
        try:
            yield held
        finally:
            if held:
                await session.scalar(text("SELECT pg_advisory_unlock(:space, :run)"), values)


async def held_runs(session: AsyncSession) -> set[int]:
    """The runs that some process is working on."""
    rows = await session.scalars(
        text(
            "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid = :space AND objsubid = 2"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND granted"
        ),
        {"space": _REFRESHES},
    )
    return set(rows)
