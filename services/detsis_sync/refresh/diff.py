"""Compares staged lists with the mirror and applies the difference. Nothing is ever deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from services.detsis_sync.refresh.stage import ADDRESS_COLUMNS, UNIT_COLUMNS


@dataclass(frozen=True)
class Difference:
    """How many rows of one list were what."""

    new: int
    changed: int
    unchanged: int
    absent: int
    returned: int
    tombstoned: int


async def apply_units(
    connection: psycopg.AsyncConnection[Any],
    *,
    staged: str,
    institution_no: int,
    list_name: str,
    run_id: int,
    now: datetime,
) -> Difference:
    """Publish a full list of units.

    A unit that the list no longer names is marked absent for this list; only when a second full
    list does not name it either is it tombstoned (detsis.md 12).
    """
    parameters = {"run": run_id, "institution": institution_no, "list": list_name, "now": now}
    new, changed, unchanged = await _upsert(connection, "units", staged, UNIT_COLUMNS, ("detsis_no",), run_id)
    scope: LiteralString = "institution_no = %(institution)s AND list_name = %(list)s"
    tombstoned = await _count(
        connection,
        "UPDATE unit_sightings SET tombstoned_at = %(now)s WHERE " + scope + " AND absent_since IS NOT NULL AND"
        " tombstoned_at IS NULL AND NOT EXISTS (SELECT FROM {staged} s WHERE s.detsis_no = unit_sightings.detsis_no)",
        staged,
        parameters,
    )
    absent = await _count(
        connection,
        "UPDATE unit_sightings SET absent_since = %(now)s WHERE " + scope + " AND absent_since IS NULL AND"
        " NOT EXISTS (SELECT FROM {staged} s WHERE s.detsis_no = unit_sightings.detsis_no)",
        staged,
        parameters,
    )
    returned = await _count(
        connection,
        "UPDATE unit_sightings SET absent_since = NULL, tombstoned_at = NULL FROM {staged} s WHERE " + scope
        + " AND s.detsis_no = unit_sightings.detsis_no AND absent_since IS NOT NULL",
        staged,
        parameters,
    )  # fmt: skip
    await _count(
        connection,
        "INSERT INTO unit_sightings (institution_no, list_name, detsis_no)"
        " SELECT %(institution)s, %(list)s, s.detsis_no FROM {staged} s ON CONFLICT DO NOTHING",
        staged,
        parameters,
    )
    return Difference(new, changed, unchanged, absent, returned, tombstoned)


async def apply_addresses(
    connection: psycopg.AsyncConnection[Any], *, staged: str, run_id: int, now: datetime
) -> Difference:
    """Publish the full list of active KEP addresses; one that is gone is marked absent at once and no longer used."""
    new, changed, unchanged = await _upsert(
        connection, "kep_addresses", staged, ADDRESS_COLUMNS, ("detsis_no", "address"), run_id
    )
    match: LiteralString = "s.detsis_no = kep_addresses.detsis_no AND s.address = kep_addresses.address"
    absent = await _count(
        connection,
        "UPDATE kep_addresses SET absent_since = %(now)s, changed_run_id = %(run)s WHERE absent_since IS NULL AND"
        " NOT EXISTS (SELECT FROM {staged} s WHERE " + match + ")",
        staged,
        {"now": now, "run": run_id},
    )
    returned = await _count(
        connection,
        "UPDATE kep_addresses SET absent_since = NULL, changed_run_id = %(run)s FROM {staged} s WHERE " + match
        + " AND absent_since IS NOT NULL",
        staged,
        {"run": run_id},
    )  # fmt: skip
    return Difference(new, changed, unchanged, absent, returned, 0)


async def _upsert(
    connection: psycopg.AsyncConnection[Any],
    table: str,
    staged: str,
    columns: tuple[str, ...],
    keys: tuple[str, ...],
    run_id: int,
) -> tuple[int, int, int]:
    names = [sql.Identifier(column) for column in columns]
    runs = ["first_run_id", "changed_run_id"] if table == "units" else ["changed_run_id"]
    statement = sql.SQL(
        "WITH applied AS (INSERT INTO {table} ({columns}, {runs}) SELECT {columns}, {run_values} FROM {staged}"
        " ON CONFLICT ({keys}) DO UPDATE SET {updates}, changed_run_id = EXCLUDED.changed_run_id"
        " WHERE {table}.content_hash <> EXCLUDED.content_hash RETURNING xmax = 0 AS is_new)"
        " SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new),"
        " (SELECT count(*) FROM {staged}) - count(*) FROM applied"
    ).format(
        table=sql.Identifier(table),
        staged=sql.Identifier(staged),
        columns=sql.SQL(", ").join(names),
        runs=sql.SQL(", ").join(map(sql.Identifier, runs)),
        run_values=sql.SQL(", ").join(sql.Literal(run_id) for _ in runs),
        keys=sql.SQL(", ").join(map(sql.Identifier, keys)),
        updates=sql.SQL(", ").join(
            sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(column)) for column in columns if column not in keys
        ),
    )
    row = await (await connection.execute(statement)).fetchone()
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2])


async def _count(
    connection: psycopg.AsyncConnection[Any], statement: LiteralString, staged: str, parameters: dict[str, Any]
) -> int:
    cursor = await connection.execute(sql.SQL(statement).format(staged=sql.Identifier(staged)), parameters)
    return cursor.rowcount
