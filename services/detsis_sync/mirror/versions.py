"""Which e-Yazışma package versions an institution takes, as it last answered."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.tables import EypVersionCheck, EypVersionRecord, UnitRecord
from shared.contracts.directory import AnswerSource, Freshness
from shared.contracts.directory.certificates import EypVersion, UnitEypVersions

_VERSION = re.compile(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?")


def ordered(version: str) -> tuple[int, int, int] | None:
    """A version in comparable form: 2 is 2.0; None for a text that is no version."""
    match = _VERSION.fullmatch(version.strip())
    if match is None:
        return None
    major, minor, patch = (int(part or 0) for part in match.groups())
    return major, minor, patch


async def versions_of(session: AsyncSession, numbers: Collection[int]) -> dict[int, list[str]]:
    """Versions each unit takes: its own, else its main institution's; units nothing is known of are left out."""
    mains = {
        row.detsis_no: row.main_institution_no
        for row in await session.execute(
            select(UnitRecord.detsis_no, UnitRecord.main_institution_no).where(UnitRecord.detsis_no.in_(numbers))
        )
    }
    found: defaultdict[int, list[str]] = defaultdict(list)
    wanted = {*numbers, *(main for main in mains.values() if main is not None)}
    for row in await session.scalars(
        select(EypVersionRecord)
        .where(EypVersionRecord.detsis_no.in_(wanted), EypVersionRecord.absent_since.is_(None))
        .order_by(EypVersionRecord.version)
    ):
        found[row.detsis_no].append(row.version)
    known = {number: found.get(number) or found.get(mains.get(number) or 0) for number in numbers}
    return {number: versions for number, versions in known.items() if versions}


async def of_unit(session: AsyncSession, number: int, main_no: int | None, freshness: Freshness) -> UnitEypVersions:
    """The unit's own versions, else those of its main institution ``main_no``."""
    holders = [holder for holder in dict.fromkeys((number, main_no)) if holder is not None]
    records = defaultdict(list)
    for row in await session.scalars(
        select(EypVersionRecord).where(EypVersionRecord.detsis_no.in_(holders)).order_by(EypVersionRecord.version)
    ):
        records[row.detsis_no].append(EypVersion(version=row.version, absent_since=row.absent_since))
    checks = {
        row.detsis_no: row
        for row in await session.scalars(select(EypVersionCheck).where(EypVersionCheck.detsis_no.in_(holders)))
    }
    holder = next((item for item in holders if item in records), None)
    check = checks.get(holder if holder is not None else number)
    return UnitEypVersions(
        detsis_no=number,
        answered_for=holder,
        versions=records[holder] if holder is not None else [],
        checked_at=check.checked_at if check is not None else None,
        wanted=check is not None and check.wanted_at is not None,
        source=AnswerSource.STORED,
        freshness=freshness,
    )
