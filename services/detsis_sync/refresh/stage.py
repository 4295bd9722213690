"""Staging: each list, as it streams in, into a table of its own that outlives the process until the run is over.

The table, its rows and the row of ``run_lists`` that says it is complete are one transaction. The tables are
UNLOGGED: after a crash of PostgreSQL they are empty, which their count gives away.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from services.detsis_sync.refresh.eyp import EypVersions
from services.detsis_sync.refresh.lines import DELIMITER, NULL, LinePacker
from services.detsis_sync.refresh.lists import BY_NAME, Asking, ListPlan, Target
from services.detsis_sync.rows import BulkOutcome
from services.detsis_sync.soap.client import DetsisClient
from services.detsis_sync.soap.same import KnownRows
from services.detsis_sync.tables import RunList
from shared.clock import Clock
from shared.db.session import Database

_STAGED = re.compile(r"staged_(\d+)_([a-z_]+)")
_MOST_TEXTS = 20


def staged_table(run_id: int, list_name: str) -> str:
    """Where one list of one run waits to be published."""
    return f"staged_{run_id}_{list_name}"


@dataclass(frozen=True)
class Seen:
    """What is noted of a list besides its rows."""

    started_at: datetime
    finished_at: datetime
    rejected: int = 0
    nil_items: int = 0
    unclear_flags: int = 0
    repaired_characters: int = 0
    bytes_read: int = 0
    unknown_elements: dict[str, int] | None = None
    row_faults: list[dict[str, Any]] | None = None

    @classmethod
    def of(cls, outcome: BulkOutcome) -> Seen:
        """What the bulk reader saw."""
        faults = [
            {"position": fault.position, "field": fault.field, "reason": fault.reason} for fault in outcome.row_faults
        ]
        return cls(
            outcome.started_at, outcome.finished_at, outcome.rejected_rows, outcome.nil_items, outcome.unclear_flags,
            outcome.repaired_characters, outcome.bytes_read, dict(outcome.unknown_elements), faults,
        )  # fmt: skip


class Staging:
    """Fills, checks and drops the staging tables."""

    def __init__(self, database: Database, clock: Clock, *, usable_for: timedelta, eyp_checks: int) -> None:
        self._database = database
        self._clock = clock
        self._usable_for = usable_for
        self._eyp_checks = eyp_checks

    async def fill(self, run_id: int, plan: ListPlan, client: DetsisClient, asking: Asking, known: KnownRows) -> None:
        """Fetch one list and keep it. Raises ``DirectoryCallError`` when it did not come whole; nothing is kept then."""
        table = staged_table(run_id, plan.name)
        async with self._database.unit_of_work() as work:
            connection = await work.connection()
            await _create(connection, table, plan)
            if plan.open is None:
                versions = EypVersions(self._database, client, self._eyp_checks)
                started_at = self._clock.now()
                await _copy(connection, table, plan.columns, versions.blocks())
                seen = Seen(started_at, self._clock.now())
            else:
                packer = LinePacker(plan.line, len(plan.columns))
                stream = plan.open(client, asking).packed(packer, known if plan.target is Target.UNITS else None)
                async with stream:
                    await _copy(connection, table, plan.columns, stream)
                seen = Seen.of(stream.outcome)
            doubles = await _deduplicate(connection, table, plan.keys)
            await connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))
            values = {
                "state": "staged", "started_at": seen.started_at, "finished_at": seen.finished_at,
                "rows": await _count(connection, table), "duplicates": doubles, "rejected": seen.rejected,
                "nil_items": seen.nil_items, "unclear_flags": seen.unclear_flags,
                "repaired_characters": seen.repaired_characters, "bytes_read": seen.bytes_read,
                "unknown_elements": seen.unknown_elements or {}, "row_faults": seen.row_faults or [],
                "unknown_texts": await _unknown_texts(connection, table, plan), "changes": {}, "reason": None,
            }  # fmt: skip
            statement = insert(RunList).values(run_id=run_id, list_name=plan.name, **values)
            await work.session.execute(
                statement.on_conflict_do_update(index_elements=["run_id", "list_name"], set_=values)
            )

    async def is_there(self, row: RunList, *, fresh: bool = True) -> bool:
        """Whether a list noted as staged is still there as it was, and with ``fresh`` recent enough to go on with."""
        age = self._clock.now() - (row.finished_at or row.started_at)
        if fresh and age > self._usable_for:
            return False
        table = staged_table(row.run_id, row.list_name)
        async with self._database.reading() as session:
            if await session.scalar(text("SELECT to_regclass(:table)"), {"table": table}) is None:
                return False
            counted = await session.scalar(text(f'SELECT count(*) FROM "{table}"'))
        return bool(counted == row.rows)

    async def lists_of(self, run_id: int) -> dict[str, RunList]:
        """What has been noted of the lists of a run, by name."""
        async with self._database.reading() as session:
            found = await session.scalars(select(RunList).where(RunList.run_id == run_id))
            return {row.list_name: row for row in found}

    async def sweep(self, keep: Iterable[int]) -> int:
        """Drop the staging tables of all runs but ``keep``; returns how many."""
        wanted = set(keep)
        async with self._database.unit_of_work() as work:
            connection = await work.connection()
            dropped = 0
            for table in await staged_tables(connection):
                found = _STAGED.fullmatch(table)
                if found is None or found[2] not in BY_NAME or int(found[1]) in wanted:
                    continue
                await connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(table)))
                dropped += 1
        return dropped


async def staged_tables(connection: psycopg.AsyncConnection[Any]) -> list[str]:
    """Every staging table of this schema."""
    cursor = connection.cursor(row_factory=scalar_row)
    await cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
        " AND relname LIKE 'staged\\_%'"
    )
    return await cursor.fetchall()


async def _create(connection: psycopg.AsyncConnection[Any], table: str, plan: ListPlan) -> None:
    name = sql.Identifier(table)
    await connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
    if plan.target is Target.EYP_VERSIONS:
        shape: sql.Composable = sql.SQL("(detsis_no bigint, version text, checked boolean)")
    else:
        columns = sql.SQL(", ").join(map(sql.Identifier, plan.columns))
        shape = sql.SQL("AS SELECT {} FROM {} WITH NO DATA").format(columns, sql.Identifier(plan.like))
    await connection.execute(sql.SQL("CREATE UNLOGGED TABLE {} {}").format(name, shape))


async def _copy(
    connection: psycopg.AsyncConnection[Any], table: str, columns: tuple[str, ...], blocks: AsyncIterator[bytes]
) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN (DELIMITER {}, NULL {})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Literal(DELIMITER.decode()),
        sql.Literal(NULL.decode()),
    )
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        async for block in blocks:
            await copy.write(block)


async def _deduplicate(connection: psycopg.AsyncConnection[Any], table: str, keys: tuple[str, ...]) -> int:
    """Keep one row for each key, the last one sent; returns how many were dropped. Makes the key's index."""
    if not keys:
        return 0
    names = sql.SQL(", ").join(map(sql.Identifier, keys))
    index = sql.SQL("CREATE UNIQUE INDEX ON {} ({})").format(sql.Identifier(table), names)
    try:
        async with connection.transaction():
            await connection.execute(index)
    except psycopg.errors.UniqueViolation:
        cursor = await connection.execute(
            sql.SQL(
                "DELETE FROM {table} WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number()"
                " OVER (PARTITION BY {names} ORDER BY ctid DESC) AS place FROM {table}) ranked WHERE place > 1)"
            ).format(table=sql.Identifier(table), names=names)
        )
        await connection.execute(index)
        return cursor.rowcount
    return 0


async def _count(connection: psycopg.AsyncConnection[Any], table: str) -> int:
    cursor = await connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def _unknown_texts(connection: psycopg.AsyncConnection[Any], table: str, plan: ListPlan) -> dict[str, int]:
    """Texts of active flags nobody understands, and of address states never met before, with how often."""
    if plan.target is Target.UNITS:
        statement = sql.SQL(
            "SELECT active_text, count(*) FROM {} WHERE active_text IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {}"
        )
    elif plan.name == "addresses":
        statement = sql.SQL(
            "SELECT status_text, count(*) FROM {} s WHERE status_text IS NOT NULL"
            " AND EXISTS (SELECT FROM kep_addresses)"
            " AND NOT EXISTS (SELECT FROM kep_addresses k WHERE k.status_text = s.status_text)"
            " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {}"
        )
    else:
        return {}
    cursor = await connection.execute(statement.format(sql.Identifier(table), sql.Literal(_MOST_TEXTS)))
    return {str(found)[:80]: int(number) for found, number in await cursor.fetchall()}
