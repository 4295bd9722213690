"""Contacts from the bulk lists: what a list says of a unit replaces what was known of it."""

from __future__ import annotations

from psycopg import sql

from services.detsis_sync.refresh.diff import Applying

COVERED_BY = {"contacts_own": "own", "contacts_main": "main_institutions"}
"""Units the account has seen in this list have no other contacts than those of the list of contacts."""


async def apply_contacts(
    applying: Applying, staged: str, *, institution_no: int, list_name: str, own: str | None
) -> dict[str, int]:
    """Publish one list of contacts. ``own`` is the staged list of the account's own units: of those it knows better."""
    names = {"staged": sql.Identifier(staged), "others": sql.SQL("true")}
    if own is not None:
        names["others"] = sql.SQL("NOT EXISTS (SELECT FROM {} o WHERE o.detsis_no = n.detsis_no)").format(
            sql.Identifier(own)
        )
    await applying.execute(
        "CREATE TEMPORARY TABLE heard_of ON COMMIT DROP AS SELECT n.detsis_no, bool_or(n.named) AS named FROM"
        " (SELECT detsis_no, true AS named FROM {staged} UNION ALL SELECT detsis_no, false FROM unit_sightings"
        " WHERE institution_no = %(institution)s AND list_name = %(list)s::text AND absent_since IS NULL) n"
        " WHERE {others} GROUP BY n.detsis_no",
        names,
        institution=institution_no,
        list=COVERED_BY[list_name],
    )
    await applying.execute(
        "CREATE TEMPORARY TABLE heard ON COMMIT DROP AS SELECT s.detsis_no, row_number() OVER"
        " (PARTITION BY s.detsis_no ORDER BY s.ctid) - 1 AS position, s.kind, s.value, s.label"
        " FROM {staged} s JOIN heard_of USING (detsis_no)",
        names,
    )
    await applying.execute(
        "CREATE TEMPORARY TABLE different ON COMMIT DROP AS"
        " SELECT DISTINCT detsis_no FROM ((SELECT c.* FROM contacts c JOIN heard_of USING (detsis_no)"
        " EXCEPT SELECT * FROM heard) UNION ALL (SELECT * FROM heard EXCEPT SELECT * FROM contacts)) d"
    )
    changed = int(await applying.value("SELECT count(*) FROM different"))
    await applying.execute("DELETE FROM contacts c USING different d WHERE d.detsis_no = c.detsis_no")
    await applying.execute(
        "INSERT INTO contacts (detsis_no, position, kind, value, label) SELECT h.* FROM heard h"
        " JOIN different USING (detsis_no)"
    )
    await applying.execute(
        "INSERT INTO contact_fetches (detsis_no, fetched_at) SELECT detsis_no, %(now)s FROM heard_of"
        " ON CONFLICT (detsis_no) DO UPDATE SET fetched_at = EXCLUDED.fetched_at"
    )
    units = int(await applying.value("SELECT count(*) FROM heard_of"))
    for table in ("heard_of", "heard", "different"):
        await applying.execute(f"DROP TABLE {table}")
    return {"new": 0, "changed": changed, "unchanged": units - changed}
