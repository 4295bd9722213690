"""Search by name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.search import Narrowing, search
from services.detsis_sync.mirror.vocabulary import VocabularyKeeper
from shared.contracts.directory import UnitPage
from shared.db.session import Database

_Number = Annotated[int | None, Query(ge=0, le=99_999_999)]
_Code = Annotated[int | None, Query(ge=-(2**31), le=2**31 - 1)]


def search_routes(database: Database, age: MirrorAge, vocabulary: VocabularyKeeper) -> APIRouter:
    """``/units``."""
    routes = APIRouter()

    @routes.get("/units")
    async def search_units(
        q: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 20,
        cursor: Annotated[str | None, Query(max_length=64)] = None,
        sendable_only: bool = False,
        main_institution: _Number = None,
        category_id: _Code = None,
        status_id: _Code = None,
        place_id: _Code = None,
        province_code: _Code = None,
        active: bool | None = None,
        external_addressee: bool | None = None,
    ) -> UnitPage:
        narrowing = Narrowing(
            sendable_only=sendable_only,
            main_institution=main_institution,
            category_id=category_id,
            status_id=status_id,
            place_id=place_id,
            province_code=province_code,
            active=active,
            external_addressee=external_addressee,
        )
        async with database.reading() as session:
            page = await search(session, vocabulary.words, q, limit=limit, cursor=cursor, narrowing=narrowing)
            return UnitPage(
                units=page.units,
                next_cursor=page.next_cursor,
                corrections=page.corrections,
                freshness=await age.of(session),
            )

    return routes
