"""Copies one list, as it streams in, into a table that lives only for this refresh."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterable, Sequence
from typing import Any

import psycopg
from psycopg import sql

from services.detsis_sync.mirror.folding import fold
from services.detsis_sync.rows import KepAddressRow, UnitRow

UNIT_COLUMNS = (
    "detsis_no", "name", "folded_name", "parent_no", "second_parent_no", "main_institution_no", "category_id",
    "status_id", "kinds", "place_id", "place_name", "postal_address", "path_text", "level", "active", "active_text",
    "operating", "external_addressee", "content_hash",
)  # fmt: skip
ADDRESS_COLUMNS = ("detsis_no", "address", "active", "status_text", "content_hash")


async def stage_units(
    connection: psycopg.AsyncConnection[Any], table: str, batches: AsyncIterable[Sequence[UnitRow]]
) -> int:
    """Fill a new temporary ``table`` with units; returns how many rows were dropped because another has their number."""
    await _create(connection, table, "units", UNIT_COLUMNS)
    await _copy(connection, table, UNIT_COLUMNS, batches, _unit_values)
    return await _deduplicate(connection, table, ("detsis_no",))


async def stage_addresses(
    connection: psycopg.AsyncConnection[Any], table: str, batches: AsyncIterable[Sequence[KepAddressRow]]
) -> int:
    """Fill a new temporary ``table`` with KEP addresses; returns how many rows were dropped as doubles."""
    await _create(connection, table, "kep_addresses", ADDRESS_COLUMNS)
    await _copy(connection, table, ADDRESS_COLUMNS, batches, _address_values)
    return await _deduplicate(connection, table, ("detsis_no", "address"))


async def _create(connection: psycopg.AsyncConnection[Any], table: str, like: str, columns: tuple[str, ...]) -> None:
    await connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(like)
        )
    )


async def _copy(
    connection: psycopg.AsyncConnection[Any],
    table: str,
    columns: tuple[str, ...],
    batches: AsyncIterable[Sequence[Any]],
    values: Any,
) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        async for batch in batches:
            for row in batch:
                await copy.write_row(values(row))


async def _deduplicate(connection: psycopg.AsyncConnection[Any], staged: str, keys: tuple[str, ...]) -> int:
    """Keep one row for each key (the last one sent) and index the rest of the work."""
    same = sql.SQL(" AND ").join(sql.SQL("d.{0} = s.{0}").format(sql.Identifier(key)) for key in keys)
    names = sql.SQL(", ").join(map(sql.Identifier, keys))
    await connection.execute(sql.SQL("CREATE INDEX ON {} ({})").format(sql.Identifier(staged), names))
    await connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(staged)))
    cursor = await connection.execute(
        sql.SQL("DELETE FROM {0} s USING {0} d WHERE {1} AND s.ctid < d.ctid").format(sql.Identifier(staged), same)
    )
    return cursor.rowcount


def _unit_values(row: UnitRow) -> tuple[Any, ...]:
    kinds = json.dumps([{"id": kind.kind_id, "label": kind.label} for kind in row.kinds], ensure_ascii=False)
    content = (
        row.name, row.parent_no, row.second_parent_no, row.main_institution_no, row.category_id, row.status_id, kinds,
        row.place_id, row.place_name, row.postal_address, row.path_text, row.level, row.active, row.active_text,
        row.operating, row.external_addressee,
    )  # fmt: skip
    return (row.detsis_no, content[0], fold(row.name), *content[1:], _content_hash(content))


def _address_values(row: KepAddressRow) -> tuple[Any, ...]:
    content = (row.active, row.status_text)
    return (row.detsis_no, row.address, *content, _content_hash(content))


def _content_hash(content: tuple[Any, ...]) -> bytes:
    """Sixteen bytes that change exactly when a stored field changes: the unchanged 99 % are not written."""
    return hashlib.blake2b(json.dumps(content, ensure_ascii=False).encode(), digest_size=16).digest()
