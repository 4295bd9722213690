"""What makes a unit one that can be written to, as SQL."""

from __future__ import annotations

from sqlalchemy import and_, exists, func, select

from services.detsis_sync.tables import KepAddressRecord, UnitRecord, UnitSighting

HAS_ADDRESS = exists().where(
    KepAddressRecord.detsis_no == UnitRecord.detsis_no,
    KepAddressRecord.active,
    KepAddressRecord.absent_since.is_(None),
)
SENDABLE = and_(UnitRecord.active, UnitRecord.operating, UnitRecord.external_addressee, HAS_ADDRESS)
ABSENT = (
    select(UnitSighting.detsis_no, func.max(UnitSighting.absent_since))
    .group_by(UnitSighting.detsis_no)
    .having(func.bool_and(UnitSighting.absent_since.is_not(None)))
)
"""Units absent from every list that ever named them, and since when."""
