"""Hands out, by a person's order, what the virus scanner withheld."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from services.gateway import examples
from services.gateway.callers import Scope
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.operations import JSON_BODY, SCOPED, operation
from services.gateway.schemas.inbound import ReleaseBody
from shared.contracts.inbound import InboundMessage, Release
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1/inbound-messages", tags=["Incoming letters"])


@router.post(
    "/{message_id}/release",
    operation_id="releaseInboundMessage",
    summary="Release a withheld mail",
    **operation(
        Scope.ADMIN, request=examples.RELEASE, answer=examples.RELEASED,
        problems=(*JSON_BODY, *SCOPED, ErrorCode.NOT_FOUND, ErrorCode.STATE_CONFLICT, ErrorCode.SERVICE_UNAVAILABLE),
    ),
)  # fmt: skip
async def release(message_id: UUID, body: ReleaseBody, caller: CurrentCaller, gateway: GatewayParts) -> InboundMessage:
    """A person hands out a mail of the API key's institutions that the virus scanner withheld by a false alarm.

    A letter (`reason_code` `virus-found` or `not-scanned`) is judged anew and then offered, as if nothing had been found;
    any other mail stays `quarantined`, and can be downloaded. The event `inbound-message.released` tells it.
    `state-conflict`: the mail is not withheld.
    """
    await gateway.audit(caller, "inbound.release", str(message_id), decided_by=body.decided_by, reason=body.reason)
    return await gateway.relay.release(caller.visible(), message_id, Release.model_validate(body.model_dump()))
