"""How much the mirror holds."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.tables import CertificateRecord, KepAddressRecord, UnitRecord, UnitSighting
from shared.contracts.directory import DirectoryCount


async def counts(session: AsyncSession) -> list[DirectoryCount]:
    """How much the mirror holds; every table is read once."""
    everything, opened, sendable = (
        await session.execute(
            select(
                func.count(),
                func.count().filter(UnitRecord.active, UnitRecord.operating),
                # Ranked so by the same condition that an answer's ``sendable`` has.
                func.count().filter(UnitRecord.search_rank == 0),
            ).select_from(UnitRecord)
        )
    ).one()
    missed = (
        select(func.bool_and(UnitSighting.tombstoned_at.is_not(None)).label("buried"))
        .group_by(UnitSighting.detsis_no)
        .having(func.bool_and(UnitSighting.absent_since.is_not(None)))
        .subquery()
    )
    absent, tombstoned = (
        await session.execute(select(func.count(), func.count().filter(missed.c.buried)).select_from(missed))
    ).one()
    addresses = await session.scalar(
        select(func.count()).where(KepAddressRecord.active, KepAddressRecord.absent_since.is_(None))
    )
    certificates = await session.scalar(
        select(func.count()).where(
            CertificateRecord.active, CertificateRecord.absent_since.is_(None), CertificateRecord.unreadable.is_(None)
        )
    )
    found = {
        "all": everything, "open": opened, "sendable": sendable, "absent": absent, "tombstoned": tombstoned,
        "active_kep_addresses": addresses, "certificates": certificates,
    }  # fmt: skip
    return [DirectoryCount(kind=kind, count=count or 0) for kind, count in found.items()]
