"""The register asked live, for institutions without a copy."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.detsis_sync.live.register import LiveRegister
from services.detsis_sync.live.speaking import Speaking
from services.detsis_sync.routes.numbers import UnitNo
from shared.contracts.directory import UnitAnswer, UnitPage
from shared.contracts.directory.live import LiveChoice
from shared.domain.identifiers import DetsisNumber

_Institution = Annotated[int, Query(alias="institution_no", ge=10_000_000, le=99_999_999)]
_Cursor = Annotated[str | None, Query(max_length=500)]
_Limit = Annotated[int, Query(ge=1, le=200)]


def live_routes(register: LiveRegister, speaking: Speaking) -> APIRouter:
    """``/live/…``; ``institution_no`` says whose account asks."""
    routes = APIRouter(prefix="/live")

    @routes.get("/choice")
    async def choice(institutions: Annotated[list[int], Query(alias="institution", max_length=1000)]) -> LiveChoice:
        return await speaking.choose(institutions)

    @routes.get("/main-institutions")
    async def main_institutions(
        institution_no: _Institution,
        q: Annotated[str, Query(max_length=200)] = "",
        cursor: _Cursor = None,
        limit: _Limit = 50,
    ) -> UnitPage:
        return await register.main_institutions(await speaking.as_(institution_no), q, cursor=cursor, limit=limit)

    @routes.get("/units")
    async def search(
        institution_no: _Institution,
        q: Annotated[str, Query(max_length=200)],
        main_institution: Annotated[int | None, Query(ge=10_000_000, le=99_999_999)] = None,
        cursor: _Cursor = None,
        limit: _Limit = 20,
    ) -> UnitPage:
        below = None if main_institution is None else DetsisNumber(main_institution)
        account = await speaking.as_(institution_no)
        return await register.search(account, q, main_institution=below, cursor=cursor, limit=limit)

    @routes.get("/units/{detsis_no}")
    async def unit(detsis_no: UnitNo, institution_no: _Institution) -> UnitAnswer:
        return await register.unit(await speaking.as_(institution_no), DetsisNumber(detsis_no))

    @routes.get("/units/{detsis_no}/children")
    async def children(
        detsis_no: UnitNo,
        institution_no: _Institution,
        open_only: bool = False,
        cursor: _Cursor = None,
        limit: _Limit = 50,
    ) -> UnitPage:
        account = await speaking.as_(institution_no)
        return await register.children(
            account, DetsisNumber(detsis_no), open_only=open_only, cursor=cursor, limit=limit
        )

    @routes.get("/units/{detsis_no}/ancestors")
    async def ancestors(detsis_no: UnitNo, institution_no: _Institution) -> UnitPage:
        return await register.ancestors(await speaking.as_(institution_no), DetsisNumber(detsis_no))

    return routes
