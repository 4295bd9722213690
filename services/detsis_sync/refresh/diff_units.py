"""Units: their content, and in which list of which account each was seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from psycopg import sql

from services.detsis_sync.refresh.diff import CHANGE, DIFFERENCE, Applying, as_json, replacing
from services.detsis_sync.refresh.lines import UNIT_COLUMNS, UNIT_CONTENT


async def written_meanwhile(applying: Applying, since: datetime) -> list[int]:
    """Other runs that were published after a list began to be read: what they wrote is newer than it."""
    cursor = await applying.execute(
        "SELECT run_id FROM runs WHERE state = 'accepted' AND run_id <> %(run)s"
        " AND coalesce(released_at, finished_at) > %(since)s",
        since=since,
    )
    return [int(number) for (number,) in await cursor.fetchall()]


async def apply_units(
    applying: Applying, staged: str, *, before: Sequence[str], first: bool, meanwhile: Sequence[int]
) -> dict[str, int]:
    """Publish the content of the units of one list.

    A row without content came the same as before. ``before`` are this run's lists that have been applied
    already: what they name counts. ``first``: nothing was in the mirror, so nothing has changed.
    ``meanwhile`` are runs whose rows are newer than this list.
    """
    names = _names(staged, before)
    overtaking = {"meanwhile": list(meanwhile)}
    overtaken = 0
    if meanwhile:
        overtaken = await applying.value(
            "SELECT count(*) FROM {staged} s JOIN units t USING (detsis_no) WHERE t.changed_run_id = ANY(%(meanwhile)s)"
            " AND s.content_hash IS DISTINCT FROM t.content_hash",
            names,
            **overtaking,
        )
    if not first:
        await applying.execute(
            CHANGE + " SELECT %(run)s, %(now)s, 'unit', s.detsis_no::text, s.detsis_no, 'created', NULL, {new}"
            " FROM {rows} s WHERE NOT EXISTS (SELECT FROM units t WHERE t.detsis_no = s.detsis_no)"
            " ORDER BY s.detsis_no",
            names,
        )
        await applying.execute(
            CHANGE + " SELECT %(run)s, %(now)s, 'unit', s.detsis_no::text, s.detsis_no,"
            " CASE WHEN t.active AND t.operating AND NOT (s.active AND s.operating) THEN 'closed'"
            " WHEN s.active AND s.operating AND NOT (t.active AND t.operating) THEN 'reopened' ELSE 'changed' END,"
            " d.old, d.new FROM {rows} s JOIN units t USING (detsis_no) " + DIFFERENCE
            + " WHERE t.content_hash <> s.content_hash AND NOT t.changed_run_id = ANY(%(meanwhile)s)"
            " AND d.new IS NOT NULL ORDER BY s.detsis_no",
            names,
            **overtaking,
        )  # fmt: skip
    row = await (
        await applying.execute(
            "WITH applied AS (INSERT INTO units AS t ({columns}, reachable, first_run_id, changed_run_id)"
            " SELECT {columns}, EXISTS (SELECT FROM kep_addresses k WHERE k.detsis_no = s.detsis_no AND k.active"
            " AND k.absent_since IS NULL), %(run)s, %(run)s FROM {rows} s"
            " ON CONFLICT (detsis_no) DO UPDATE SET {updates}, changed_run_id = EXCLUDED.changed_run_id"
            " WHERE t.content_hash <> EXCLUDED.content_hash AND NOT t.changed_run_id = ANY(%(meanwhile)s)"
            " RETURNING xmax = 0 AS is_new)"
            " SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM applied",
            names,
            **overtaking,
        )
    ).fetchone()
    assert row is not None
    new, changed = int(row[0]), int(row[1])
    # Read anew and found the same: other white space, or another version of the code that reads it.
    if not first:
        await applying.execute(
            "UPDATE units t SET wire_digest = s.wire_digest FROM {rows} s WHERE t.detsis_no = s.detsis_no"
            " AND t.content_hash = s.content_hash AND s.wire_digest IS NOT NULL"
            " AND t.wire_digest IS DISTINCT FROM s.wire_digest",
            names,
        )
    rows = await applying.value("SELECT count(*) FROM {staged}", names)
    return {"new": new, "changed": changed, "unchanged": rows - new - changed, "overtaken": overtaken}


async def apply_sightings(
    applying: Applying, staged: str, *, institution_no: int, list_name: str, delta: bool
) -> dict[str, int]:
    """Note which units this list named.

    A unit that a full list no longer names is marked absent for this list; only when a second full list does
    not name it either is it tombstoned (detsis.md 12). A delta says nothing about what it does not name.
    """
    names = {"staged": sql.Identifier(staged)}
    scope = {"institution": institution_no, "list": list_name}
    mine = "u.institution_no = %(institution)s AND u.list_name = %(list)s::text"
    gone = "NOT EXISTS (SELECT FROM {staged} s WHERE s.detsis_no = u.detsis_no)"
    tombstoned = absent = 0
    if not delta:
        tombstoned = await applying.count(
            "WITH buried AS (UPDATE unit_sightings u SET tombstoned_at = %(now)s WHERE " + mine
            + " AND absent_since IS NOT NULL AND tombstoned_at IS NULL AND " + gone
            + " RETURNING detsis_no, absent_since) " + CHANGE
            + " SELECT %(run)s, %(now)s, 'unit', detsis_no::text, detsis_no, 'tombstoned',"
            " jsonb_build_object('absent_since', absent_since, 'list', %(list)s::text),"
            " jsonb_build_object('absent_since', absent_since, 'tombstoned_at', %(now)s::timestamptz,"
            " 'list', %(list)s::text) FROM buried ORDER BY buried.detsis_no",
            names,
            **scope,
        )  # fmt: skip
        absent = await applying.count(
            "WITH missed AS (UPDATE unit_sightings u SET absent_since = %(now)s WHERE " + mine
            + " AND absent_since IS NULL AND " + gone + " RETURNING detsis_no, absent_since) " + CHANGE
            + " SELECT %(run)s, %(now)s, 'unit', detsis_no::text, detsis_no, 'absent',"
            " jsonb_build_object('absent_since', NULL, 'list', %(list)s::text),"
            " jsonb_build_object('absent_since', absent_since, 'list', %(list)s::text) FROM missed ORDER BY missed.detsis_no",
            names,
            **scope,
        )  # fmt: skip
    returned = await applying.count(
        "WITH back AS (UPDATE unit_sightings u SET absent_since = NULL, tombstoned_at = NULL"
        " FROM unit_sightings b, {staged} s WHERE " + mine + " AND b.institution_no = u.institution_no"
        " AND b.list_name = u.list_name AND b.detsis_no = u.detsis_no AND s.detsis_no = u.detsis_no"
        " AND b.absent_since IS NOT NULL RETURNING u.detsis_no, b.absent_since, b.tombstoned_at) " + CHANGE
        + " SELECT %(run)s, %(now)s, 'unit', detsis_no::text, detsis_no, 'returned',"
        " jsonb_build_object('absent_since', absent_since, 'tombstoned_at', tombstoned_at, 'list', %(list)s::text),"
        " jsonb_build_object('absent_since', NULL, 'tombstoned_at', NULL, 'list', %(list)s::text) FROM back ORDER BY back.detsis_no",
        names,
        **scope,
    )  # fmt: skip
    await applying.execute(
        "INSERT INTO unit_sightings (institution_no, list_name, detsis_no, first_run_id)"
        " SELECT %(institution)s, %(list)s::text, s.detsis_no, %(run)s FROM {staged} s WHERE NOT EXISTS (SELECT FROM unit_sightings u"
        " WHERE " + mine + " AND u.detsis_no = s.detsis_no)",
        names,
        **scope,
    )
    return {"absent": absent, "returned": returned, "tombstoned": tombstoned}


async def keep_reachable(applying: Applying) -> int:
    """Units whose addresses this run touched learn whether they have an active one."""
    return await applying.count(
        "UPDATE units u SET reachable = f.reachable FROM (SELECT k.detsis_no,"
        " bool_or(k.active AND k.absent_since IS NULL) AS reachable FROM kep_addresses k WHERE k.detsis_no IN"
        " (SELECT detsis_no FROM kep_addresses WHERE changed_run_id = %(run)s) GROUP BY k.detsis_no) f"
        " WHERE u.detsis_no = f.detsis_no AND u.reachable <> f.reachable"
    )


def _names(staged: str, before: Sequence[str]) -> dict[str, sql.Composable]:
    claimed = [
        sql.SQL("NOT EXISTS (SELECT FROM {} e WHERE e.detsis_no = r.detsis_no)").format(sql.Identifier(table))
        for table in before
    ]
    rows = sql.SQL("(SELECT r.* FROM {} r WHERE {})").format(
        sql.Identifier(staged), sql.SQL(" AND ").join([sql.SQL("r.content_hash IS NOT NULL"), *claimed])
    )
    shown = ("detsis_no", *UNIT_CONTENT)
    return {
        "staged": sql.Identifier(staged),
        "rows": rows,
        "columns": sql.SQL(", ").join(map(sql.Identifier, UNIT_COLUMNS)),
        "updates": replacing(UNIT_COLUMNS, ("detsis_no",)),
        "old": as_json("t", shown),
        "new": as_json("s", shown),
    }
