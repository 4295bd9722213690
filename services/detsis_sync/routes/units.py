"""Search, and one unit."""

from __future__ import annotations

from fastapi import APIRouter

from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.units import units
from shared.contracts.directory import UnitAnswer
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode


def unit_routes(database: Database, age: MirrorAge) -> APIRouter:
    """``/units``."""
    routes = APIRouter()

    @routes.get("/units/{detsis_no}")
    async def one_unit(detsis_no: int) -> UnitAnswer:
        if not 0 < detsis_no < 100_000_000:
            raise DomainError(ErrorCode.NOT_FOUND, "a DETSİS number has eight digits")
        async with database.reading() as session:
            found = await units(session, [detsis_no])
            if detsis_no not in found:
                raise DomainError(ErrorCode.NOT_FOUND, f"the mirror knows no unit {detsis_no}")
            return UnitAnswer(unit=found[detsis_no], freshness=await age.of(session))

    return routes
