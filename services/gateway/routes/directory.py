"""The directory: search, one unit, resolution of recipients, state of the mirror."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.gateway import examples
from services.gateway.callers import Scope
from services.gateway.conditional import json_answer
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.operations import JSON_BODY, SCOPED, operation
from services.gateway.schemas.directory import ResolveBody
from services.gateway.schemas.text import Cursor, DetsisNo, Line
from shared.contracts.directory import DirectoryStatus, ResolutionAnswer, ResolutionRequest, UnitAnswer, UnitPage
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1/directory", tags=["Directory"])

_DOWN = (ErrorCode.DIRECTORY_UNAVAILABLE,)
_CACHED = "private, max-age=60"
_HEADERS = {"ETag": "For If-None-Match.", "Cache-Control": "How long the answer may be kept."}
_UNCHANGED = {304: "Unchanged since the ETag in If-None-Match."}


@router.get(
    "/units",
    operation_id="searchUnits",
    summary="Search units",
    **operation(
        Scope.DIRECTORY_READ, answer=examples.UNIT_PAGE, problems=(ErrorCode.VALIDATION_FAILED, *_DOWN)
    ),
)  # fmt: skip
async def search_units(
    gateway: GatewayParts,
    q: Annotated[Line, Query(max_length=200, description="Words of the name, or a DETSİS number.")] = "",
    sendable_only: Annotated[bool, Query(description="Only units that can be written to by KEP.")] = False,
    main_institution: Annotated[DetsisNo | None, Query(description="Only units of this main institution.")] = None,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="At most so many units.")] = 20,
) -> UnitPage:
    """Units of the nightly mirror whose name fits, best first. `freshness` says how old the mirror is."""
    return await gateway.directory.search(
        q, limit=limit, cursor=cursor, sendable_only=sendable_only, main_institution=main_institution
    )


@router.get(
    "/units/{detsis_no}",
    response_model=UnitAnswer,
    operation_id="getUnit",
    summary="Read one unit",
    **operation(
        Scope.DIRECTORY_READ, answer=examples.UNIT_ANSWER, headers=_HEADERS, others=_UNCHANGED,
        problems=(ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND, *_DOWN),
    ),
)  # fmt: skip
async def get_unit(request: Request, detsis_no: DetsisNo, gateway: GatewayParts) -> Response:
    """Name, place in the hierarchy, state and KEP addresses of one unit; `sendable` sums them up."""
    return json_answer(request, await gateway.directory.unit(detsis_no), cache_control=_CACHED)


@router.get(
    "/status",
    operation_id="getDirectoryStatus",
    summary="Read the mirror's state",
    **operation(Scope.DIRECTORY_READ, Scope.ADMIN, answer=examples.DIRECTORY_STATUS, problems=_DOWN),
)
async def get_status(gateway: GatewayParts) -> DirectoryStatus:
    """Age and size of the mirror and its last refreshes."""
    return await gateway.directory.status()


@router.post(
    "/resolve",
    operation_id="resolveRecipients",
    summary="Resolve recipients",
    **operation(
        Scope.DIRECTORY_READ, request=examples.RESOLVE, answer=examples.RESOLUTION,
        problems=(*JSON_BODY, *SCOPED, ErrorCode.DIRECTORY_REFUSED, *_DOWN),
    ),
)  # fmt: skip
async def resolve(body: ResolveBody, caller: CurrentCaller, gateway: GatewayParts) -> ResolutionAnswer:
    """The KEP address of each recipient, or why there is none, and whether DETSİS said so just now or the mirror did.

    Letters are resolved again when they are sent; use this to check a distribution list beforehand.
    """
    sender = caller.acting_for(body.institution_no, "/body/institution_no")
    return await gateway.directory.resolve(
        ResolutionRequest(sender_no=sender, recipient_nos=body.recipients, mode=body.mode)
    )
