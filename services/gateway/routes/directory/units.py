"""One unit, now and then, and what is around it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.gateway import directory_examples, examples
from services.gateway.callers import Scope
from services.gateway.conditional import json_answer
from services.gateway.deps import GatewayParts
from services.gateway.operations import operation
from services.gateway.routes.directory.caching import CACHED, HEADERS, UNCHANGED
from services.gateway.routes.directory.live import LIVE_PROBLEMS, LiveAs, as_ancestors, as_children, only_in_mirror
from services.gateway.schemas.text import Cursor, DetsisNo, Line
from shared.contracts.directory import UnitAnswer
from shared.contracts.directory.history import UnitHistory
from shared.contracts.directory.tree import Ancestors, ChildPage
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1/directory", tags=["Directory"])
_PROBLEMS = (ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND, ErrorCode.DIRECTORY_UNAVAILABLE)
_AsOf = Annotated[
    Line | None,
    Query(
        max_length=40,
        description="As the mirror had it at this time (RFC 3339, + written as %2B) or at the end of this day in Turkey.",
        examples=["2026-03-01"],
    ),
]
_Limit = Annotated[int, Query(ge=1, le=100, description="At most so many.")]


@router.get(
    "/units/{detsis_no}",
    response_model=UnitAnswer,
    operation_id="getUnit",
    summary="Read one unit",
    **operation(
        Scope.DIRECTORY_READ,
        answer=examples.UNIT_ANSWER,
        headers=HEADERS,
        others=UNCHANGED,
        problems=(*_PROBLEMS, *LIVE_PROBLEMS),
    ),
)
async def get_unit(
    request: Request, detsis_no: DetsisNo, gateway: GatewayParts, live: LiveAs, as_of: _AsOf = None
) -> Response:
    """Name, place in the hierarchy, state and KEP addresses of one unit; `sendable` sums them up.

    Three things are kept apart: `active` and `operating` are what DETSİS says; `absent_since` is when the lists stopped
    naming the unit; `freshness` says how old the mirror is that answers. With `as_of` it is folded back through the
    recorded changes; before the first snapshot, or before the unit was first seen, the answer is `not-found`.
    Asked live, DETSİS itself answers (`freshness.source` is `live`); it keeps no history, so there is no `as_of`.
    """
    if (institution := await live.institution()) is not None:
        only_in_mirror(as_of=as_of)
        return json_answer(request, await gateway.live.unit(institution, detsis_no), cache_control=CACHED)
    return json_answer(request, await gateway.directory.unit_json(detsis_no, as_of=as_of), cache_control=CACHED)


@router.get(
    "/units/{detsis_no}/children",
    response_model=ChildPage,
    operation_id="listUnitChildren",
    summary="List the units below one",
    **operation(
        Scope.DIRECTORY_READ, answer=directory_examples.CHILDREN, headers=HEADERS, others=UNCHANGED,
        problems=(*_PROBLEMS, *LIVE_PROBLEMS),
    ),
)  # fmt: skip
async def list_children(
    request: Request,
    detsis_no: DetsisNo,
    gateway: GatewayParts,
    live: LiveAs,
    open_only: Annotated[bool, Query(description="Leave out closed units.")] = False,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: _Limit = 50,
) -> Response:
    """Units directly below this one: open ones first, then by name."""
    if (institution := await live.institution()) is not None:
        found = await gateway.live.children(institution, detsis_no, open_only=open_only, cursor=cursor, limit=limit)
        return json_answer(request, as_children(detsis_no, found), cache_control=CACHED)
    page = await gateway.directory.children(detsis_no, open_only=open_only, cursor=cursor, limit=limit)
    return json_answer(request, page, cache_control=CACHED)


@router.get(
    "/units/{detsis_no}/ancestors",
    response_model=Ancestors,
    operation_id="listUnitAncestors",
    summary="List the units above one",
    **operation(
        Scope.DIRECTORY_READ, answer=directory_examples.ANCESTORS, headers=HEADERS, others=UNCHANGED,
        problems=(*_PROBLEMS, *LIVE_PROBLEMS),
    ),
)  # fmt: skip
async def list_ancestors(request: Request, detsis_no: DetsisNo, gateway: GatewayParts, live: LiveAs) -> Response:
    """Units above this one, nearest first, followed from parent to parent; `ends` says why the line stops."""
    if (institution := await live.institution()) is not None:
        found = await gateway.live.ancestors(institution, detsis_no)
        return json_answer(request, as_ancestors(detsis_no, found), cache_control=CACHED)
    return json_answer(request, await gateway.directory.ancestors(detsis_no), cache_control=CACHED)


@router.get(
    "/units/{detsis_no}/changes",
    response_model=UnitHistory,
    operation_id="listUnitChanges",
    summary="Read the history of one unit",
    **operation(
        Scope.DIRECTORY_READ, answer=directory_examples.UNIT_HISTORY, headers=HEADERS, others=UNCHANGED,
        problems=_PROBLEMS,
    ),
)  # fmt: skip
async def list_unit_changes(
    request: Request,
    detsis_no: DetsisNo,
    gateway: GatewayParts,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: _Limit = 50,
) -> Response:
    """What changed about the unit, its addresses, certificates and package versions, newest first, and which refresh found it."""
    history = await gateway.directory.unit_history(detsis_no, cursor=cursor, limit=limit)
    return json_answer(request, history, cache_control=CACHED)
