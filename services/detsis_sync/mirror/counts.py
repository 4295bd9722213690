"""How much the mirror holds."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.mirror.conditions import ABSENT, SENDABLE
from services.detsis_sync.tables import KepAddressRecord, UnitRecord
from shared.contracts.directory import DirectoryCount


async def counts(session: AsyncSession) -> list[DirectoryCount]:
    """How much the mirror holds."""
    everything = await session.scalar(select(func.count()).select_from(UnitRecord))
    sendable = await session.scalar(select(func.count()).select_from(UnitRecord).where(SENDABLE))
    addresses = await session.scalar(
        select(func.count())
        .select_from(KepAddressRecord)
        .where(KepAddressRecord.active, KepAddressRecord.absent_since.is_(None))
    )
    absent = await session.scalar(select(func.count()).select_from(ABSENT.subquery()))
    found = {"all": everything, "sendable": sendable, "active_kep_addresses": addresses, "absent": absent}
    return [DirectoryCount(kind=kind, count=count or 0) for kind, count in found.items()]
