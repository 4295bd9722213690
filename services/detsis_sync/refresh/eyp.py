"""EYP versions: who changed theirs in one call, then a bounded number of institutions asked one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from psycopg import sql
from sqlalchemy import func, select

from services.detsis_sync.refresh.diff import CHANGE, Applying
from services.detsis_sync.refresh.lines import plain_line
from services.detsis_sync.soap.client import DetsisClient
from services.detsis_sync.tables import EypVersionCheck
from shared.db.session import Database
from shared.domain.identifiers import DetsisNumber

_LONGEST_VERSION = 40


class EypVersions:
    """The list as lines of number, version and whether the institution was asked.

    DETSİS does not say since when "changed" counts, so the list may name the same institutions for ever:
    those never asked come first, then those asked longest ago.
    """

    def __init__(self, database: Database, client: DetsisClient, most: int) -> None:
        self._database = database
        self._client = client
        self._most = most

    async def blocks(self) -> AsyncIterator[bytes]:
        """One block for each institution. Raises ``DirectoryCallError``."""
        named = await self._client.eyp_version_changes()
        asked = await self._turns(named)
        for number in asked:
            versions = await self._client.eyp_versions(number)
            known = dict.fromkeys(version for version in versions if len(version) <= _LONGEST_VERSION)
            yield b"".join(plain_line((number, version, True)) for version in known or [None])
        waiting = set(named) - set(asked)
        if waiting:
            yield b"".join(plain_line((number, None, False)) for number in sorted(waiting))

    async def _turns(self, named: list[DetsisNumber]) -> list[DetsisNumber]:
        async with self._database.reading() as session:
            rows = await session.execute(
                select(EypVersionCheck.detsis_no, EypVersionCheck.checked_at).where(
                    EypVersionCheck.wanted_at.is_not(None) | (EypVersionCheck.detsis_no == func.any(named))
                )
            )
            checked: dict[int, datetime | None] = {number: moment for number, moment in rows}  # noqa: C416 - unpacks the rows' types
        wanted = dict.fromkeys([*named, *map(DetsisNumber, checked)])
        never = [number for number in wanted if checked.get(number) is None]
        before = sorted((moment, number) for number in wanted if (moment := checked.get(number)) is not None)
        return [*never, *(number for _moment, number in before)][: self._most]


async def apply_eyp_versions(applying: Applying, staged: str) -> dict[str, int]:
    """Publish what was asked: an institution's answer replaces what was known of it, and of nobody else."""
    names = {"staged": sql.Identifier(staged)}
    # What an institution answers when it is asked for the first time is no change.
    await applying.execute(
        CHANGE + " SELECT %(run)s, %(now)s, 'eyp_version', s.detsis_no || ' ' || s.version, s.detsis_no,"
        " CASE WHEN e.version IS NULL THEN 'created' ELSE 'returned' END,"
        " CASE WHEN e.version IS NOT NULL THEN jsonb_build_object('absent_since', e.absent_since,"
        " 'list', 'eyp_versions') END,"
        " CASE WHEN e.version IS NULL THEN jsonb_build_object('detsis_no', s.detsis_no, 'version', s.version)"
        " ELSE jsonb_build_object('absent_since', NULL, 'list', 'eyp_versions') END"
        " FROM {staged} s JOIN eyp_version_checks c ON c.detsis_no = s.detsis_no AND c.checked_at IS NOT NULL"
        " LEFT JOIN eyp_versions e ON e.detsis_no = s.detsis_no AND e.version = s.version"
        " WHERE s.version IS NOT NULL AND (e.version IS NULL OR e.absent_since IS NOT NULL)"
        " ORDER BY s.detsis_no, s.version",
        names,
    )
    returned = await applying.count(
        "UPDATE eyp_versions e SET absent_since = NULL, changed_run_id = %(run)s FROM {staged} s"
        " WHERE e.detsis_no = s.detsis_no AND e.version = s.version AND e.absent_since IS NOT NULL",
        names,
    )
    new = await applying.count(
        "INSERT INTO eyp_versions (detsis_no, version, changed_run_id)"
        " SELECT DISTINCT s.detsis_no, s.version, %(run)s FROM {staged} s WHERE s.version IS NOT NULL"
        " ON CONFLICT DO NOTHING",
        names,
    )
    absent = await applying.count(
        "WITH gone AS (UPDATE eyp_versions e SET absent_since = %(now)s, changed_run_id = %(run)s"
        " WHERE e.absent_since IS NULL AND EXISTS (SELECT FROM {staged} s WHERE s.detsis_no = e.detsis_no"
        " AND s.checked) AND NOT EXISTS (SELECT FROM {staged} s WHERE s.detsis_no = e.detsis_no"
        " AND s.version = e.version) RETURNING e.detsis_no, e.version) "
        + CHANGE
        + " SELECT %(run)s, %(now)s, 'eyp_version', detsis_no || ' ' || version, detsis_no, 'absent',"
        " jsonb_build_object('absent_since', NULL, 'list', 'eyp_versions'),"
        " jsonb_build_object('absent_since', %(now)s::timestamptz, 'list', 'eyp_versions') FROM gone"
        " ORDER BY gone.detsis_no, version",
        names,
    )
    await applying.execute(
        "INSERT INTO eyp_version_checks AS c (detsis_no, wanted_at, checked_at)"
        " SELECT s.detsis_no, CASE WHEN bool_or(s.checked) THEN NULL ELSE %(now)s::timestamptz END,"
        " CASE WHEN bool_or(s.checked) THEN %(now)s::timestamptz END FROM {staged} s GROUP BY s.detsis_no"
        " ON CONFLICT (detsis_no) DO UPDATE SET checked_at = coalesce(EXCLUDED.checked_at, c.checked_at),"
        " wanted_at = CASE WHEN EXCLUDED.checked_at IS NULL THEN coalesce(c.wanted_at, EXCLUDED.wanted_at) END",
        names,
    )
    return {"new": new, "changed": 0, "absent": absent, "returned": returned}
