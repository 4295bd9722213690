"""Where recipients are reached."""

from __future__ import annotations

from fastapi import APIRouter

from services.gateway import examples
from services.gateway.callers import Scope
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.operations import JSON_BODY, SCOPED, operation
from services.gateway.schemas.directory import ResolveBody
from shared.contracts.directory import ResolutionAnswer, ResolutionRequest
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1/directory", tags=["Directory"])


@router.post(
    "/resolve",
    operation_id="resolveRecipients",
    summary="Resolve recipients",
    **operation(
        Scope.DIRECTORY_READ, request=examples.RESOLVE, answer=examples.RESOLUTION,
        problems=(*JSON_BODY, *SCOPED, ErrorCode.DIRECTORY_REFUSED, ErrorCode.DIRECTORY_UNAVAILABLE),
    ),
)  # fmt: skip
async def resolve(body: ResolveBody, caller: CurrentCaller, gateway: GatewayParts) -> ResolutionAnswer:
    """The KEP address of each recipient, or why there is none, and whether DETSİS said so just now or the mirror did.

    Each recipient has a `level`: `ok`, `warning` (it can be written to, but look at `warnings`) or `error` (it cannot
    be written to by KEP; `problem` says why). The codes of warnings are a closed list.

    Letters are resolved again when they are sent; use this to check a distribution list beforehand.
    """
    sender = caller.acting_for(body.institution_no, "/body/institution_no")
    return await gateway.directory.resolve(
        ResolutionRequest(
            sender_no=sender, recipient_nos=body.recipients, mode=body.mode, thorough=True,
            eyp_version=body.eyp_version, encrypted=body.encrypted,
        )
    )  # fmt: skip
