"""Details of units and institutions that DETSİS itself is asked for."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.gateway import detail_examples as examples
from services.gateway.callers import Scope
from services.gateway.conditional import json_answer
from services.gateway.deps import GatewayParts
from services.gateway.operations import operation
from services.gateway.routes.directory.caching import CACHED, HEADERS, UNCHANGED
from services.gateway.routes.directory.live import LIVE_PROBLEMS, AskingInstitution
from services.gateway.schemas.text import Cursor, DetsisNo, Line
from shared.contracts.directory.live import (
    DetsisOfficers,
    FilePlanPage,
    FormerNumbers,
    UnitContacts,
    UnitManagers,
    UnitUetsNumbers,
)
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1/directory", tags=["Directory"])

_PROBLEMS = (*LIVE_PROBLEMS, ErrorCode.VALIDATION_FAILED, ErrorCode.DIRECTORY_UNAVAILABLE)


@router.get(
    "/units/by-former-number",
    response_model=FormerNumbers,
    operation_id="listUnitsByFormerNumber",
    summary="Find units by numbers of the older register",
    **operation(
        Scope.DIRECTORY_READ, answer=examples.FORMER_NUMBERS, headers=HEADERS, others=UNCHANGED, problems=_PROBLEMS
    ),
)
async def by_former_number(
    request: Request,
    gateway: GatewayParts,
    institution: AskingInstitution,
    numbers: Annotated[
        list[Annotated[Line, Query(min_length=1, max_length=100)]],
        Query(min_length=1, max_length=100, description="Numbers of the register before DETSİS (kütük numarası)."),
    ],
) -> Response:
    """Which units have these numbers now; a number DETSİS names no unit for comes back with `detsis_no` null."""
    found = await gateway.live.former_numbers(institution, numbers)
    return json_answer(request, found, cache_control=CACHED)


@router.get(
    "/units/{detsis_no}/contacts",
    response_model=UnitContacts,
    operation_id="listUnitContacts",
    summary="Read how a unit is reached besides KEP",
    **operation(Scope.DIRECTORY_READ, answer=examples.CONTACTS, headers=HEADERS, others=UNCHANGED, problems=_PROBLEMS),
)
async def get_contacts(
    request: Request,
    detsis_no: DetsisNo,
    gateway: GatewayParts,
    institution: AskingInstitution,
) -> Response:
    """Telephones, fax numbers, e-mail and web addresses, several of a kind included.

    They are asked for when the stored ones are older than `KEPGW_DETSIS_SYNC_CONTACT_MAX_AGE_HOURS`; while DETSİS does
    not answer, older ones come with `stale` true. `freshness.source` is `live` or `stored`.
    """
    found = await gateway.live.contacts(institution, detsis_no)
    return json_answer(request, found, cache_control=CACHED)


@router.get(
    "/units/{detsis_no}/uets-numbers",
    response_model=UnitUetsNumbers,
    operation_id="listUnitUetsNumbers",
    summary="Read a unit's UETS numbers",
    **operation(
        Scope.DIRECTORY_READ, answer=examples.UETS_NUMBERS, headers=HEADERS, others=UNCHANGED, problems=_PROBLEMS
    ),
)
async def get_uets_numbers(
    request: Request,
    detsis_no: DetsisNo,
    gateway: GatewayParts,
    institution: AskingInstitution,
) -> Response:
    """Numbers of the unit in UETS, as DETSİS lists them; remembered for some minutes."""
    found = await gateway.live.uets_numbers(institution, detsis_no)
    return json_answer(request, found, cache_control=CACHED)


@router.get(
    "/units/{detsis_no}/managers",
    operation_id="listUnitManagers",
    summary="Read who leads a unit",
    **operation(Scope.DIRECTORY_PEOPLE, answer=examples.MANAGERS, problems=_PROBLEMS),
)
async def get_managers(
    detsis_no: DetsisNo,
    gateway: GatewayParts,
    institution: AskingInstitution,
    on: Annotated[date | None, Query(description="A day in Turkey; left out: today.")] = None,
) -> UnitManagers:
    """Names, titles and times in office. DETSİS also sends birth dates and ages: they are not read, kept or shown.

    Personal data, hence a scope of its own, and caches must not keep the answer.
    """
    return await gateway.live.managers(institution, detsis_no, on)


@router.get(
    "/officers",
    operation_id="listDetsisOfficers",
    summary="Read whom to call to have data in DETSİS corrected",
    **operation(Scope.DIRECTORY_PEOPLE, answer=examples.OFFICERS, problems=_PROBLEMS),
)
async def get_officers(institution: AskingInstitution, gateway: GatewayParts) -> DetsisOfficers:
    """The DETSİS officers of the own institution: DETSİS tells nobody those of others (EK-3/5)."""
    return await gateway.live.officers(institution)


@router.get(
    "/main-institutions/{detsis_no}/file-plan",
    response_model=FilePlanPage,
    operation_id="getFilePlan",
    summary="Read a main institution's file plan",
    **operation(Scope.DIRECTORY_READ, answer=examples.FILE_PLAN, headers=HEADERS, others=UNCHANGED, problems=_PROBLEMS),
)
async def get_file_plan(
    request: Request,
    detsis_no: DetsisNo,
    gateway: GatewayParts,
    institution: AskingInstitution,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many entries.")] = 200,
) -> Response:
    """Codes of the Standart Dosya Planı with their retention times, in the order of DETSİS."""
    found = await gateway.live.file_plan(institution, detsis_no, cursor=cursor, limit=limit)
    return json_answer(request, found, cache_control=CACHED)
