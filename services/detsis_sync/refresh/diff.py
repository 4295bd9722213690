"""Compares a staged list with the mirror and applies the difference, each change kept. Nothing is ever deleted.

Everything here is a few statements over sets: no row comes into this process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from services.detsis_sync.refresh.lists import Mirrored


@dataclass(frozen=True)
class Applying:
    """The transaction in which one run is published."""

    connection: psycopg.AsyncConnection[Any]
    run_id: int
    now: datetime

    async def execute(
        self, statement: str, names: Mapping[str, sql.Composable] | None = None, **values: object
    ) -> psycopg.AsyncCursor[Any]:
        """Run one statement; ``{name}`` becomes an identifier or fragment, ``%(name)s`` a value."""
        composed = sql.SQL(statement).format(**(names or {}))
        return await self.connection.execute(composed, {"run": self.run_id, "now": self.now, **values})

    async def count(self, statement: str, names: Mapping[str, sql.Composable] | None = None, **values: object) -> int:
        """Run one statement; returns how many rows it touched."""
        return (await self.execute(statement, names, **values)).rowcount

    async def value(self, statement: str, names: Mapping[str, sql.Composable] | None = None, **values: object) -> Any:
        """The one value a query gives."""
        row = await (await self.execute(statement, names, **values)).fetchone()
        return None if row is None else row[0]


CHANGE = "INSERT INTO changes (run_id, changed_at, subject, subject_key, detsis_no, kind, old, new)"
DIFFERENCE = (
    "CROSS JOIN LATERAL (SELECT jsonb_object_agg(key, o.value) AS old, jsonb_object_agg(key, n.value) AS new"
    " FROM jsonb_each({old}) o JOIN jsonb_each({new}) n USING (key) WHERE o.value <> n.value) d"
)
"""The fields of two rows that differ, as they were and as they are."""


async def apply_keyed(
    applying: Applying, mirrored: Mirrored, staged: str, list_name: str, scope: tuple[str, str] | None
) -> dict[str, int]:
    """Publish a full list; a row it no longer names is marked absent at once."""
    names = _names(mirrored, staged, scope)
    shown = {"subject": mirrored.subject, "list": list_name}
    first = await applying.value("SELECT NOT EXISTS (SELECT FROM {table} t WHERE {scope})", names)
    if not first:
        await applying.execute(
            CHANGE + " SELECT %(run)s, %(now)s, %(subject)s, {key}, {unit}, 'created', NULL, {new} FROM {staged} s"
            " WHERE NOT EXISTS (SELECT FROM {table} t WHERE {same}) ORDER BY {keys}",
            names,
            **shown,
        )
        await applying.execute(
            CHANGE + " SELECT %(run)s, %(now)s, %(subject)s, {key}, {unit}, 'changed', d.old, d.new"
            " FROM {staged} s JOIN {table} t ON {same} " + DIFFERENCE
            + " WHERE t.content_hash <> s.content_hash AND d.new IS NOT NULL ORDER BY {keys}",
            names,
            **shown,
        )  # fmt: skip
    new, changed = await upsert(applying, names)
    absent = await applying.count(
        "WITH gone AS (UPDATE {table} s SET absent_since = %(now)s, changed_run_id = %(run)s WHERE absent_since IS NULL"
        " AND {own_scope} AND NOT EXISTS (SELECT FROM {staged} t WHERE {same}) RETURNING s.*) "
        + CHANGE
        + " SELECT %(run)s, %(now)s, %(subject)s, {key}, {unit}, 'absent',"
        " jsonb_build_object('absent_since', NULL, 'list', %(list)s::text),"
        " jsonb_build_object('absent_since', s.absent_since, 'list', %(list)s::text) FROM gone s ORDER BY {keys}",
        names,
        **shown,
    )
    returned = await applying.count(
        "WITH back AS (UPDATE {table} u SET absent_since = NULL, changed_run_id = %(run)s FROM {table} t, {staged} s"
        " WHERE {same} AND {itself} AND t.absent_since IS NOT NULL RETURNING t.*) "
        + CHANGE
        + " SELECT %(run)s, %(now)s, %(subject)s, {key}, {unit}, 'returned',"
        " jsonb_build_object('absent_since', s.absent_since, 'list', %(list)s::text),"
        " jsonb_build_object('absent_since', NULL, 'list', %(list)s::text) FROM back s ORDER BY {keys}",
        names,
        **shown,
    )
    rows = await applying.value("SELECT count(*) FROM {staged}", names)
    return {
        "new": new, "changed": changed, "unchanged": rows - new - changed, "absent": absent, "returned": returned
    }  # fmt: skip


async def upsert(applying: Applying, names: Mapping[str, sql.Composable]) -> tuple[int, int]:
    """Insert what is new and replace what differs; returns how many of each."""
    row = await (
        await applying.execute(
            "WITH applied AS (INSERT INTO {table} AS t ({columns}, changed_run_id)"
            " SELECT {columns}, %(run)s FROM {staged} s"
            # Rows that are the same are not even touched: a conflict would lock each of them.
            " WHERE NOT EXISTS (SELECT FROM {table} o WHERE {unchanged})"
            " ON CONFLICT ({plain_keys}) DO UPDATE SET {updates}, changed_run_id = EXCLUDED.changed_run_id"
            " WHERE t.content_hash <> EXCLUDED.content_hash RETURNING xmax = 0 AS is_new)"
            " SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM applied",
            names,
        )
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _names(mirrored: Mirrored, staged: str, scope: tuple[str, str] | None) -> dict[str, sql.Composable]:
    columns = (*mirrored.keys, *mirrored.content, "content_hash", *mirrored.binary)
    key_texts = [sql.SQL("s.{}::text").format(sql.Identifier(key)) for key in mirrored.keys]
    in_scope: sql.Composable = sql.SQL("true")
    own_scope: sql.Composable = sql.SQL("true")
    if scope is not None:
        in_scope = sql.SQL("t.{} = {}").format(sql.Identifier(scope[0]), sql.Literal(scope[1]))
        own_scope = sql.SQL("s.{} = {}").format(sql.Identifier(scope[0]), sql.Literal(scope[1]))
    return {
        "table": sql.Identifier(mirrored.table),
        "staged": sql.Identifier(staged),
        "scope": in_scope,
        "own_scope": own_scope,
        "same": _pairs(mirrored.keys, "s", "t"),
        "unchanged": _pairs((*mirrored.keys, "content_hash"), "s", "o"),
        "itself": _pairs(mirrored.keys, "u", "t"),
        "keys": sql.SQL(", ").join(sql.Identifier("s", key) for key in mirrored.keys),
        "plain_keys": sql.SQL(", ").join(map(sql.Identifier, mirrored.keys)),
        "key": sql.SQL(" || ' ' || ").join(key_texts),
        "unit": sql.Identifier("s", mirrored.unit) if mirrored.unit is not None else sql.SQL("NULL::bigint"),
        "old": as_json("t", (*mirrored.keys, *mirrored.content)),
        "new": as_json("s", (*mirrored.keys, *mirrored.content)),
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
        "updates": replacing(columns, mirrored.keys),
    }


def replacing(columns: Sequence[str], keys: Sequence[str]) -> sql.Composable:
    """The assignments of an upsert."""
    return sql.SQL(", ").join(
        sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(column)) for column in columns if column not in keys
    )


def as_json(alias: str, columns: Sequence[str]) -> sql.Composable:
    """These columns of one row as a JSON object."""
    return sql.SQL("jsonb_build_object({})").format(
        sql.SQL(", ").join(part for column in columns for part in (sql.Literal(column), sql.Identifier(alias, column)))
    )


def _pairs(keys: Sequence[str], left: str, right: str) -> sql.Composable:
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(left, key), sql.Identifier(right, key)) for key in keys
    )
