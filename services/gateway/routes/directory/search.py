"""Search by name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from services.gateway import examples
from services.gateway.callers import Scope
from services.gateway.conditional import json_answer
from services.gateway.deps import GatewayParts
from services.gateway.operations import operation
from services.gateway.routes.directory.caching import CACHED, HEADERS, UNCHANGED
from services.gateway.routes.directory.live import LIVE_PROBLEMS, LiveAs, only_in_mirror
from services.gateway.schemas.text import Cursor, DetsisNo, Line
from shared.contracts.directory import UnitPage
from shared.errors import ErrorCode

_Code = Annotated[int, Field(ge=0, le=2**31 - 1)]

router = APIRouter(prefix="/v1/directory", tags=["Directory"])


@router.get(
    "/units",
    response_model=UnitPage,
    operation_id="searchUnits",
    summary="Search units",
    **operation(
        Scope.DIRECTORY_READ, answer=examples.UNIT_PAGE, headers=HEADERS, others=UNCHANGED,
        problems=(ErrorCode.VALIDATION_FAILED, ErrorCode.DIRECTORY_UNAVAILABLE, *LIVE_PROBLEMS),
    ),
)  # fmt: skip
async def search_units(
    request: Request,
    gateway: GatewayParts,
    live: LiveAs,
    q: Annotated[Line, Query(max_length=200, description="Words of the name, or a DETSİS number.")] = "",
    sendable_only: Annotated[bool, Query(description="Only units that can be written to by KEP.")] = False,
    main_institution: Annotated[DetsisNo | None, Query(description="Only units of this main institution.")] = None,
    category_id: Annotated[_Code | None, Query(description="Only of this category (`GET /codes/category`).")] = None,
    status_id: Annotated[_Code | None, Query(description="Only of this status (`GET /codes/status`).")] = None,
    place_id: Annotated[_Code | None, Query(description="Only in this place (`GET /places`).")] = None,
    province_code: Annotated[_Code | None, Query(description="Only in this province.")] = None,
    active: Annotated[bool | None, Query(description="Only active ones, or only the others.")] = None,
    external_addressee: Annotated[
        bool | None, Query(description="Only those that letters from outside may be addressed to, or only the others.")
    ] = None,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="At most so many units.")] = 20,
) -> Response:
    """Units of the nightly mirror whose name fits, best first. `freshness` says how old the mirror is.

    Words in any order, as beginnings, with Turkish endings, without their dots and accents, in any case. A word that
    no name has is taken for the nearest ones, and `corrections` says so. Units whose main institution's name holds some of the words come last.

    Asked live, DETSİS itself searches: for the text as it stands, from five letters on, or for a number. Only
    `main_institution` narrows it, and open units come first.
    """
    if (institution := await live.institution()) is not None:
        only_in_mirror(
            sendable_only=sendable_only, category_id=category_id, status_id=status_id, place_id=place_id,
            province_code=province_code, active=None if active is None else "given",
            external_addressee=None if external_addressee is None else "given",
        )  # fmt: skip
        page = await gateway.live.search(institution, q, main_institution=main_institution, cursor=cursor, limit=limit)
        return json_answer(request, page, cache_control=CACHED)
    found = await gateway.directory.search_json(
        q,
        limit=limit,
        cursor=cursor,
        sendable_only=sendable_only,
        main_institution=main_institution,
        category_id=category_id,
        status_id=status_id,
        place_id=place_id,
        province_code=province_code,
        active=active,
        external_addressee=external_addressee,
    )
    return json_answer(request, found, cache_control=CACHED)
