"""Details of units, asked of DETSİS."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from services.detsis_sync.live.details import LiveDetails
from services.detsis_sync.live.speaking import Speaking
from services.detsis_sync.routes.numbers import UnitNo
from shared.contracts.directory.certificates import UnitEypVersions
from shared.contracts.directory.live import (
    DetsisOfficers,
    FilePlanPage,
    FormerNumbers,
    UnitContacts,
    UnitManagers,
    UnitUetsNumbers,
)
from shared.domain.identifiers import DetsisNumber

_Institution = Annotated[int, Query(alias="institution_no", ge=10_000_000, le=99_999_999)]
_Former = Annotated[str, Query(min_length=1, max_length=100)]


def detail_routes(details: LiveDetails, speaking: Speaking) -> APIRouter:
    """``/details/…``; ``institution_no`` says whose account asks."""
    routes = APIRouter(prefix="/details")

    @routes.get("/units/{detsis_no}/contacts")
    async def contacts(detsis_no: UnitNo, institution_no: _Institution) -> UnitContacts:
        return await details.contacts(DetsisNumber(detsis_no), await speaking.perhaps_as(institution_no))

    @routes.get("/units/{detsis_no}/uets-numbers")
    async def uets_numbers(detsis_no: UnitNo, institution_no: _Institution) -> UnitUetsNumbers:
        return await details.uets_numbers(DetsisNumber(detsis_no), await speaking.as_(institution_no))

    @routes.get("/units/{detsis_no}/managers")
    async def managers(detsis_no: UnitNo, institution_no: _Institution, on: date | None = None) -> UnitManagers:
        return await details.managers(DetsisNumber(detsis_no), on, await speaking.as_(institution_no))

    @routes.get("/units/{detsis_no}/eyp-versions")
    async def eyp_versions(detsis_no: UnitNo, institution_no: _Institution) -> UnitEypVersions:
        return await details.eyp_versions(DetsisNumber(detsis_no), await speaking.as_(institution_no))

    @routes.get("/officers")
    async def officers(institution_no: _Institution) -> DetsisOfficers:
        return await details.officers(await speaking.as_(institution_no))

    @routes.get("/main-institutions/{detsis_no}/file-plan")
    async def file_plan(
        detsis_no: UnitNo,
        institution_no: _Institution,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> FilePlanPage:
        account = await speaking.as_(institution_no)
        return await details.file_plan(DetsisNumber(detsis_no), account, cursor=cursor, limit=limit)

    @routes.get("/former-numbers")
    async def former_numbers(
        numbers: Annotated[list[_Former], Query(alias="number", min_length=1, max_length=100)],
        institution_no: _Institution,
    ) -> FormerNumbers:
        return await details.former_numbers(numbers, await speaking.as_(institution_no))

    return routes
