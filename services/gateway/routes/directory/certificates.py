"""Encryption certificates and package versions of a unit."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.gateway import register_examples as examples
from services.gateway.callers import Scope
from services.gateway.certificates import VOLATILE, checked
from services.gateway.conditional import json_answer
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.operations import operation
from services.gateway.routes.directory.caching import CACHED, HEADERS, UNCHANGED
from services.gateway.routes.directory.live import AS_INSTITUTION, LIVE_PROBLEMS, AsInstitution
from services.gateway.schemas.certificates import UnitCertificatesAnswer
from services.gateway.schemas.text import DetsisNo
from shared.contracts.directory.certificates import UnitEypVersions
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1/directory", tags=["Directory"])
_PROBLEMS = (ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND, ErrorCode.DIRECTORY_UNAVAILABLE)


@router.get(
    "/units/{detsis_no}/certificates",
    response_model=UnitCertificatesAnswer,
    operation_id="listUnitCertificates",
    summary="Read the encryption certificates of a unit",
    **operation(
        Scope.DIRECTORY_READ, answer=examples.CERTIFICATES, headers=HEADERS, others=UNCHANGED, problems=_PROBLEMS
    ),
)
async def get_certificates(request: Request, detsis_no: DetsisNo, gateway: GatewayParts) -> Response:
    """The unit's own certificates and those of the institution whose certificate serves it, best first.

    `chosen` is the one to encrypt with: active, in date, newest, own before owner's, and the first of these whose
    chain and revocation signer finds good (`check`). When signer does not answer, the choice stands without a check
    and `warnings` says so.
    """
    found = await checked(gateway.signer, await gateway.directory.certificates(detsis_no))
    return json_answer(request, found, cache_control=CACHED, volatile=VOLATILE)


@router.get(
    "/units/{detsis_no}/eyp-versions",
    response_model=UnitEypVersions,
    operation_id="listUnitEypVersions",
    summary="Read which package versions a unit takes",
    **operation(
        Scope.DIRECTORY_READ,
        answer=examples.EYP_VERSIONS,
        headers=HEADERS,
        others=UNCHANGED,
        problems=(*_PROBLEMS, *LIVE_PROBLEMS),
    ),
)
async def get_versions(
    request: Request,
    detsis_no: DetsisNo,
    caller: CurrentCaller,
    gateway: GatewayParts,
    source: Annotated[
        Literal["mirror", "live"], Query(description="`live` asks DETSİS, for this unit alone.")
    ] = "mirror",
    institution_no: AsInstitution = None,
) -> Response:
    """Versions of the e-Yazışma package as the institution was last asked for them: its own, else its main institution's.

    `checked_at` null: DETSİS was never asked about it. `wanted`: DETSİS says that they changed meanwhile.
    """
    if source == "live":
        institution = caller.acting_for(institution_no, AS_INSTITUTION)
        return json_answer(request, await gateway.live.eyp_versions(institution, detsis_no), cache_control=CACHED)
    return json_answer(request, await gateway.directory.eyp_versions(detsis_no), cache_control=CACHED)
