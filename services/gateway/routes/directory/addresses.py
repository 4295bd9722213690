"""KEP addresses of a unit, and whose one is."""

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
from services.gateway.schemas.text import DetsisNo, Line
from shared.contracts.directory.addresses import KepAddressAnswer, UnitKepAddresses
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1/directory", tags=["Directory"])
_PROBLEMS = (ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND, ErrorCode.DIRECTORY_UNAVAILABLE)


@router.get(
    "/units/{detsis_no}/kep-addresses",
    response_model=UnitKepAddresses,
    operation_id="listUnitKepAddresses",
    summary="Read the KEP addresses of a unit",
    **operation(
        Scope.DIRECTORY_READ, answer=examples.KEP_ADDRESSES, headers=HEADERS, others=UNCHANGED, problems=_PROBLEMS
    ),
)
async def get_addresses(
    request: Request,
    detsis_no: DetsisNo,
    gateway: GatewayParts,
    as_of: Annotated[
        Line | None,
        Query(
            max_length=40,
            description="As the mirror had them at this time (RFC 3339, + written as %2B) or at the end of this day in Turkey.",
            examples=["2026-03-01"],
        ),
    ] = None,
) -> Response:
    """All addresses DETSİS lists or listed for the unit, and which one a letter would go to, with the rule.

    While an address is being replaced there are two: the active one and the one that waits for its verification.
    Letters ask DETSİS itself again when they are sent.
    """
    return json_answer(request, await gateway.directory.kep_addresses(detsis_no, as_of=as_of), cache_control=CACHED)


@router.get(
    "/kep-addresses/{address:path}",
    response_model=KepAddressAnswer,
    operation_id="getKepAddress",
    summary="Find whose KEP address it is",
    **operation(
        Scope.DIRECTORY_READ, answer=examples.KEP_ADDRESS, headers=HEADERS, others=UNCHANGED, problems=_PROBLEMS
    ),
)
async def get_address(
    request: Request,
    address: Annotated[
        Line,
        Path(
            min_length=3,
            max_length=320,
            description="A KEP address; upper and lower case (A to Z) are the same.",
            examples=["ornek.belediyesi@hs02.example.kep.tr"],
        ),
    ],
    gateway: GatewayParts,
) -> Response:
    """The units DETSİS lists or listed this address for: `owner_no` is the one it is active for, if it is one only."""
    return json_answer(request, await gateway.directory.address_owner(address), cache_control=CACHED)
