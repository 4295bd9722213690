"""Code lists, places, main institutions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from services.gateway import register_examples as examples
from services.gateway.callers import Scope
from services.gateway.conditional import json_answer
from services.gateway.deps import GatewayParts
from services.gateway.operations import operation
from services.gateway.routes.directory.caching import CACHED, HEADERS, UNCHANGED
from services.gateway.routes.directory.live import LIVE_PROBLEMS, LiveAs, as_main_institutions, only_in_mirror
from services.gateway.schemas.text import Cursor, Line
from shared.contracts.directory.codes import CodeKind, CodePage, MainInstitutionPage, PlacePage
from shared.errors import DomainError, ErrorCode

router = APIRouter(prefix="/v1/directory", tags=["Directory"])
_PROBLEMS = (ErrorCode.VALIDATION_FAILED, ErrorCode.DIRECTORY_UNAVAILABLE)
_LARGEST = 2**31 - 1
_Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]


@router.get(
    "/codes/{kind}",
    response_model=CodePage,
    operation_id="listCodes",
    summary="Read a code list",
    **operation(
        Scope.DIRECTORY_READ, answer=examples.CODES, headers=HEADERS, others=UNCHANGED,
        problems=(*_PROBLEMS, ErrorCode.NOT_FOUND),
    ),
)  # fmt: skip
async def get_codes(
    request: Request,
    kind: Annotated[str, Path(max_length=50, description="`category`, `status` or `place`.", examples=["status"])],
    gateway: GatewayParts,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: _Limit = 500,
) -> Response:
    """What the numbers in units mean. Of a status also how a name becomes an addressee line."""
    known = next((item for item in CodeKind if item.value == kind), None)
    if known is None:
        kinds = ", ".join(CodeKind)
        raise DomainError(ErrorCode.NOT_FOUND, f"there is no such code list; there are {kinds}")
    return json_answer(request, await gateway.directory.codes(known, cursor=cursor, limit=limit), cache_control=CACHED)


@router.get(
    "/places",
    response_model=PlacePage,
    operation_id="listPlaces",
    summary="Read places",
    **operation(Scope.DIRECTORY_READ, answer=examples.PLACES, headers=HEADERS, others=UNCHANGED, problems=_PROBLEMS),
)
async def get_places(
    request: Request,
    gateway: GatewayParts,
    province: Annotated[
        int | None, Query(ge=0, le=_LARGEST, description="Only places of this province, by its code.", examples=[6])
    ] = None,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: _Limit = 500,
) -> Response:
    """Provinces, districts and other places, by number."""
    found = await gateway.directory.places(province=province, cursor=cursor, limit=limit)
    return json_answer(request, found, cache_control=CACHED)


@router.get(
    "/main-institutions",
    response_model=MainInstitutionPage,
    operation_id="listMainInstitutions",
    summary="List main institutions",
    **operation(
        Scope.DIRECTORY_READ,
        answer=examples.MAIN_INSTITUTIONS,
        headers=HEADERS,
        others=UNCHANGED,
        problems=(*_PROBLEMS, *LIVE_PROBLEMS),
    ),
)
async def get_main_institutions(
    request: Request,
    gateway: GatewayParts,
    live: LiveAs,
    q: Annotated[Line, Query(max_length=200, description="Words of the name, or their beginnings.")] = "",
    budget_type: Annotated[
        int | None, Query(ge=0, le=_LARGEST, description="Only those of this budget type.", examples=[3])
    ] = None,
    legal_person: Annotated[
        int | None, Query(ge=0, le=_LARGEST, description="Only those of this kind of legal person.")
    ] = None,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: _Limit = 100,
) -> Response:
    """Main institutions by name, with budget type and legal person, which DETSİS does not name when it is asked live."""
    if (institution := await live.institution()) is not None:
        only_in_mirror(budget_type=budget_type, legal_person=legal_person)
        page = await gateway.live.main_institutions(institution, q, cursor=cursor, limit=limit)
        return json_answer(request, as_main_institutions(page), cache_control=CACHED)
    found = await gateway.directory.main_institutions(
        q, budget_type=budget_type, legal_person=legal_person, cursor=cursor, limit=limit
    )
    return json_answer(request, found, cache_control=CACHED)
