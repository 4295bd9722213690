"""Code lists, places, main institutions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.detsis_sync.mirror import codes
from services.detsis_sync.mirror.freshness import MirrorAge
from shared.contracts.directory.codes import CodeKind, CodePage, MainInstitutionPage, PlacePage
from shared.db.session import Database

_Cursor = Annotated[str | None, Query(max_length=500)]
_Limit = Annotated[int, Query(ge=1, le=1000)]
_Code = Annotated[int | None, Query(ge=0, le=2**31 - 1)]


def code_routes(database: Database, age: MirrorAge) -> APIRouter:
    """``/codes/{kind}``, ``/places`` and ``/main-institutions``."""
    routes = APIRouter()

    @routes.get("/codes/{kind}")
    async def of_kind(kind: CodeKind, cursor: _Cursor = None, limit: _Limit = 500) -> CodePage:
        async with database.reading() as session:
            return await codes.codes(session, await age.of(session), kind, cursor=cursor, limit=limit)

    @routes.get("/places")
    async def places(province: _Code = None, cursor: _Cursor = None, limit: _Limit = 500) -> PlacePage:
        async with database.reading() as session:
            return await codes.places(
                session, await age.of(session), province_code=province, cursor=cursor, limit=limit
            )

    @routes.get("/main-institutions")
    async def main_institutions(
        q: Annotated[str, Query(max_length=200)] = "",
        budget_type: _Code = None,
        legal_person: _Code = None,
        cursor: _Cursor = None,
        limit: _Limit = 100,
    ) -> MainInstitutionPage:
        async with database.reading() as session:
            return await codes.main_institutions(
                session, await age.of(session), query=q, budget_type=budget_type, legal_person=legal_person,
                cursor=cursor, limit=limit,
            )  # fmt: skip

    return routes
