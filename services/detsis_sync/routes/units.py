"""Search, and one unit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.search import search
from services.detsis_sync.mirror.units import units
from shared.contracts.directory import UnitAnswer, UnitPage
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode


def unit_routes(database: Database, age: MirrorAge) -> APIRouter:
    """``/units``."""
    routes = APIRouter()

    @routes.get("/units")
    async def search_units(
        q: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 20,
        cursor: Annotated[str | None, Query(max_length=64)] = None,
        sendable_only: bool = False,
        main_institution: Annotated[int | None, Query(ge=0, le=99_999_999)] = None,
    ) -> UnitPage:
        async with database.reading() as session:
            page = await search(
                session, q, limit=limit, cursor=cursor, sendable_only=sendable_only, main_institution=main_institution
            )
            return UnitPage(units=page.units, next_cursor=page.next_cursor, freshness=await age.of(session))

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
