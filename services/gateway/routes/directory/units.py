"""One unit, and what is around it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway import examples
from services.gateway.callers import Scope
from services.gateway.conditional import json_answer
from services.gateway.deps import GatewayParts
from services.gateway.operations import operation
from services.gateway.routes.directory.caching import CACHED, HEADERS, UNCHANGED
from services.gateway.schemas.text import DetsisNo
from shared.contracts.directory import UnitAnswer
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1/directory", tags=["Directory"])


@router.get(
    "/units/{detsis_no}",
    response_model=UnitAnswer,
    operation_id="getUnit",
    summary="Read one unit",
    **operation(
        Scope.DIRECTORY_READ, answer=examples.UNIT_ANSWER, headers=HEADERS, others=UNCHANGED,
        problems=(ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND, ErrorCode.DIRECTORY_UNAVAILABLE),
    ),
)  # fmt: skip
async def get_unit(request: Request, detsis_no: DetsisNo, gateway: GatewayParts) -> Response:
    """Name, place in the hierarchy, state and KEP addresses of one unit; `sendable` sums them up."""
    return json_answer(request, await gateway.directory.unit(detsis_no), cache_control=CACHED)
