"""Incoming letters: lease, download, acknowledge."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from services.gateway import examples
from services.gateway.callers import Scope
from services.gateway.conditional import json_answer
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.downloads import Content, download
from services.gateway.operations import JSON_BODY, SCOPED, operation
from services.gateway.schemas.inbound import AckBody, LeaseBody, NackBody, RenewBody
from services.gateway.schemas.text import Cursor, DetsisNo
from shared.contracts.inbound import (
    Acknowledgement,
    InboundMessage,
    InboundPage,
    InboundVerification,
    Leased,
    LeaseRequest,
    Rejection,
    Renewal,
)
from shared.domain.message import InboundState
from shared.errors import DomainError, ErrorCode

router = APIRouter(prefix="/v1/inbound-messages", tags=["Incoming letters"])

_READERS = (Scope.MESSAGES_READ, Scope.INBOUND_CONSUME)
_BY_ID = (*SCOPED, ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE)
_LEASE = (*JSON_BODY, *_BY_ID, ErrorCode.LEASE_LOST, ErrorCode.STATE_CONFLICT)
_FILE_HEADERS = {
    "ETag": "The content's SHA-256, quoted.",
    "Content-Disposition": "The sender's file name.",
    "Repr-Digest": "SHA-256 of the whole content (RFC 9530).",
    "Digest": "The same in the older form (RFC 3230).",
}
_OCTETS = "application/octet-stream"
_UNCHANGED = {304: "Unchanged since the ETag in If-None-Match."}
_PARTIAL = {206: "The range asked for.", **_UNCHANGED}


@router.get(
    "",
    operation_id="listInboundMessages",
    summary="List letters",
    **operation(
        *_READERS, answer=examples.INBOUND_PAGE,
        problems=(*SCOPED, ErrorCode.VALIDATION_FAILED, ErrorCode.SERVICE_UNAVAILABLE),
    ),
)  # fmt: skip
async def list_messages(
    caller: CurrentCaller,
    gateway: GatewayParts,
    institution: Annotated[DetsisNo | None, Query(description="Only letters to this institution.")] = None,
    state: Annotated[list[InboundState] | None, Query(description="Only letters in one of these states.")] = None,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many letters.")] = 50,
) -> InboundPage:
    """Letters to the caller's institutions, oldest first. Looking does not take: use leases for that."""
    return await gateway.relay.inbound_page(caller.visible(institution), states=state or [], cursor=cursor, limit=limit)


@router.post(
    "/leases",
    response_model=Leased,
    operation_id="leaseInboundMessages",
    summary="Take letters",
    **operation(
        Scope.INBOUND_CONSUME, request=examples.LEASE, answer=examples.LEASED,
        problems=(*JSON_BODY, *SCOPED, ErrorCode.SERVICE_UNAVAILABLE),
        others={204: "There is no letter now."},
    ),
)  # fmt: skip
async def lease(body: LeaseBody, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """Take letters under one token, for a while. Nobody else gets them until the lease ends.

    Download each package, register it, then acknowledge with the registry number. A lease that runs out gives the
    letters back; an acknowledgement after that is refused as `lease-lost`.
    """
    leased = await gateway.relay.lease(
        LeaseRequest(
            institution_nos=list(caller.visible(body.institution_no)), client_id=caller.client_id,
            max=body.max, seconds=body.seconds, wait=body.wait,
        )
    )  # fmt: skip
    if not leased.messages:
        return Response(status_code=204)
    return Response(leased.model_dump_json(), media_type="application/json")


@router.get(
    "/{message_id}",
    response_model=InboundMessage,
    operation_id="getInboundMessage",
    summary="Read one letter",
    **operation(
        *_READERS, answer=examples.INBOUND, problems=_BY_ID, headers={"ETag": "For If-None-Match."}, others=_UNCHANGED
    ),
)
async def get_message(request: Request, message_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """Sender, subject, parts and state of one letter."""
    return json_answer(request, await gateway.relay.inbound(caller.visible(), message_id))


@router.post(
    "/{message_id}/ack",
    operation_id="ackInboundMessage",
    summary="Acknowledge a letter",
    **operation(Scope.INBOUND_CONSUME, request=examples.ACK, answer=examples.ACKED, problems=_LEASE),
)
async def acknowledge(message_id: UUID, body: AckBody, caller: CurrentCaller, gateway: GatewayParts) -> InboundMessage:
    """The letter is safe in the document system and has this registry number. Again with the same number is fine."""
    acknowledgement = Acknowledgement(lease_token=body.lease_token, registry_no=body.registry_no)
    return await gateway.relay.acknowledge(caller.visible(), message_id, acknowledgement)


@router.post(
    "/{message_id}/nack",
    operation_id="nackInboundMessage",
    summary="Give a letter back",
    **operation(Scope.INBOUND_CONSUME, request=examples.NACK, answer=examples.NACKED, problems=_LEASE),
)
async def reject(message_id: UUID, body: NackBody, caller: CurrentCaller, gateway: GatewayParts) -> InboundMessage:
    """The letter could not be taken now; it becomes available again after the delay."""
    rejection = Rejection(lease_token=body.lease_token, reason=body.reason, delay_seconds=body.delay_seconds)
    return await gateway.relay.reject(caller.visible(), message_id, rejection)


@router.post(
    "/{message_id}/renew",
    operation_id="renewInboundLease",
    summary="Renew a lease",
    **operation(Scope.INBOUND_CONSUME, request=examples.RENEW, answer=examples.LEASED, problems=_LEASE),
)
async def renew(message_id: UUID, body: RenewBody, caller: CurrentCaller, gateway: GatewayParts) -> Leased:
    """Keep the lease of this letter longer."""
    renewal = Renewal(lease_token=body.lease_token, seconds=body.seconds)
    return await gateway.relay.renew(caller.visible(), message_id, renewal)


@router.get(
    "/{message_id}/verification",
    operation_id="getInboundVerification",
    summary="Read what was verified",
    **operation(*_READERS, answer=examples.VERIFICATION, problems=_BY_ID),
)
async def get_verification(message_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> InboundVerification:
    """The verdicts on envelope, sender's signature and package, with their steps, and what the package check found.

    `indeterminate` may still change, when missing data arrives.
    """
    return await gateway.relay.verification(caller.visible(), message_id)


@router.head("/{message_id}/package", include_in_schema=False)
@router.get(
    "/{message_id}/package",
    response_class=Response,
    operation_id="getInboundPackage",
    summary="Download the package",
    **operation(
        *_READERS, problems=(*_BY_ID, ErrorCode.RANGE_INVALID), headers=_FILE_HEADERS, others=_PARTIAL,
        binary=(_OCTETS,),
    ),
)  # fmt: skip
async def get_package(request: Request, message_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """The e-Yazışma package, byte for byte as the sender made it. `Range` continues a broken download."""
    caller.require(_READERS)  # the HEAD route declares nothing of its own
    institutions = caller.visible()
    message = await gateway.relay.inbound(institutions, message_id)
    if message.package_sha256 is None or message.package_size is None:
        raise DomainError(ErrorCode.NOT_FOUND, "this letter has no package")
    content = Content(
        message.package_filename or f"{message_id}.eyp", message.package_sha256, message.package_size, ranges=True
    )
    return download(
        request,
        content,
        lambda start, end: gateway.relay.inbound_content(institutions, message_id, "package", start=start, end=end),
    )


@router.head("/{message_id}/raw", include_in_schema=False)
@router.get(
    "/{message_id}/raw",
    response_class=Response,
    operation_id="getInboundRaw",
    summary="Download the original mail",
    **operation(
        *_READERS, problems=_BY_ID, headers=_FILE_HEADERS, others=_UNCHANGED, binary=("message/rfc822",)
    ),
)  # fmt: skip
async def get_raw(request: Request, message_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """The KEP message exactly as the provider delivered it, with its signed envelope."""
    caller.require(_READERS)
    institutions = caller.visible()
    message = await gateway.relay.inbound(institutions, message_id)
    if not message.raw_sha256:
        raise DomainError(ErrorCode.NOT_FOUND, "the mail itself was not loaded; it is at the provider")
    content = Content(f"{message_id}.eml", message.raw_sha256, media_type="message/rfc822")
    return download(
        request, content, lambda _start, _end: gateway.relay.inbound_content(institutions, message_id, "raw")
    )


@router.head("/{message_id}/parts/{number}", include_in_schema=False)
@router.get(
    "/{message_id}/parts/{number}",
    response_class=Response,
    operation_id="getInboundPart",
    summary="Download one attachment",
    **operation(
        *_READERS, problems=(*_BY_ID, ErrorCode.RANGE_INVALID), headers=_FILE_HEADERS, others=_PARTIAL,
        binary=(_OCTETS,),
    ),
)  # fmt: skip
async def get_part(
    request: Request,
    message_id: UUID,
    number: Annotated[int, Path(ge=0, le=10_000, description="As `parts` of the letter numbers it.")],
    caller: CurrentCaller,
    gateway: GatewayParts,
) -> Response:
    """One attachment of the original message, whatever it is; always as a file to save, never to display."""
    caller.require(_READERS)
    institutions = caller.visible()
    message = await gateway.relay.inbound(institutions, message_id)
    part = next((item for item in message.parts if item.number == number), None)
    if part is None:
        raise DomainError(ErrorCode.NOT_FOUND, "this letter has no such part")
    content = Content(part.filename or f"{message_id}-{number}.bin", part.sha256, part.size, ranges=True)
    what = f"parts/{number}"
    return download(
        request,
        content,
        lambda start, end: gateway.relay.inbound_content(institutions, message_id, what, start=start, end=end),
    )
