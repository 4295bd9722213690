"""Search by name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.search import search
from shared.contracts.directory import UnitPage
from shared.db.session import Database


def search_routes(database: Database, age: MirrorAge) -> APIRouter:
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

    return routes
