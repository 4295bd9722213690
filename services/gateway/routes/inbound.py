"""Incoming letters: lease, download, acknowledge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from services.gateway import examples
from services.gateway.callers import Caller, Scope
from services.gateway.conditional import json_answer
from services.gateway.deps import CurrentCaller, Gateway, GatewayParts
from services.gateway.downloads import ByteSource, Content, OpenSource, download
from services.gateway.envelopes import opened_again
from services.gateway.operations import JSON_BODY, SCOPED, operation
from services.gateway.schemas.consumers import ConsumerName
from services.gateway.schemas.inbound import AcceptanceBody, AckBody, LeaseBody, NackBody, PackageForm, RenewBody
from services.gateway.schemas.text import Cursor, DetsisNo
from shared.contracts.acceptance import Acceptance, AcceptanceDecision
from shared.contracts.envelopes import PackageOpening
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
_FILE = (*_BY_ID, ErrorCode.CLASSIFIED_SEALED, ErrorCode.STATE_CONFLICT)
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
    """Letters to the caller's institutions, oldest first. Looking does not take: use leases for that.

    One that is more secret than KEP may carry is `sealed`: it is listed without its subject and its files, is never
    leased, and nobody downloads it.
    """
    return await gateway.relay.inbound_page(caller.visible(institution), states=state or [], cursor=cursor, limit=limit)


@router.post(
    "/leases",
    response_model=Leased,
    operation_id="leaseInboundMessages",
    summary="Take letters",
    **operation(
        Scope.INBOUND_CONSUME, request=examples.LEASE, answer=examples.LEASED,
        problems=(*JSON_BODY, *SCOPED, ErrorCode.NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE),
        others={204: "There is no letter now."},
    ),
)  # fmt: skip
async def lease(body: LeaseBody, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """Take letters under one token, for a while. Nobody else gets them until the lease ends.

    Download each package, register it, then acknowledge with the registry number. A lease that runs out gives the
    letters back; an acknowledgement after that is refused as `lease-lost`.

    With `consumer` the letters that the institution's rules gave to that consumer; `not-found` if there is none of that
    name. `role` of the answer tells whether they are to be registered (`responsible`) or are copies: a copy has a lease,
    an acknowledgement and a dead letter of its own, and nothing done with it changes the letter.
    """
    leased = await gateway.relay.lease(
        LeaseRequest(
            institution_nos=list(caller.visible(body.institution_no)), client_id=caller.client_id,
            max=body.max, seconds=body.seconds, wait=body.wait, consumer=body.consumer, role=body.role,
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


@router.post(
    "/{message_id}/redrive",
    operation_id="redriveInboundMessage",
    summary="Offer a dead letter again",
    **operation(Scope.INBOUND_CONSUME, answer=examples.INBOUND, problems=(*_BY_ID, ErrorCode.STATE_CONFLICT)),
)
async def redrive(
    message_id: UUID,
    caller: CurrentCaller,
    gateway: GatewayParts,
    copy_of: Annotated[ConsumerName | None, Query(description="Not the letter, but the copy of this consumer.")] = None,
) -> InboundMessage:
    """A letter leased too often without acknowledgement is `dead_lettered`: this offers it again, with a fresh count.

    `state-conflict`: it is not dead.
    """
    await gateway.audit(caller, "inbound.redrive", str(message_id), copy_of=copy_of or "")
    return await gateway.relay.redrive(caller.visible(), message_id, copy_of)


@router.post(
    "/{message_id}/acceptance",
    operation_id="decideAcceptance",
    summary="Accept or refuse a letter",
    **operation(
        Scope.INBOUND_CONSUME, request=examples.ACCEPTANCE_BODY, answer=examples.ACCEPTANCE,
        problems=(*JSON_BODY, *_BY_ID, ErrorCode.STATE_CONFLICT),
    ),
)  # fmt: skip
async def decide_acceptance(
    message_id: UUID, body: AcceptanceBody, caller: CurrentCaller, gateway: GatewayParts
) -> Acceptance:
    """Writes down, once, what an authorised person decided about a letter of another administration.

    Until the end of the second working day after delivery (`acceptance.due_at`) it can be refused, with reasons; after
    that it counts as opened and found proper. Registering a letter accepts it. Nothing is sent by this call: the sender
    is told by `refusal-notice`, or by a letter of the institution's own. `state-conflict`: the period is over, or
    something else was decided, or there is none because a person or a company wrote the letter.
    """
    await gateway.audit(caller, "inbound.acceptance", str(message_id), decision=body.decision)
    decision = AcceptanceDecision.model_validate(body.model_dump())
    return await gateway.relay.decide_acceptance(caller.visible(), message_id, decision)


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


@router.post(
    "/{message_id}/verify",
    status_code=202,
    operation_id="verifyInboundMessage",
    summary="Verify a letter again",
    **operation(
        Scope.INBOUND_CONSUME, Scope.ADMIN, status=202, answer=examples.UNOPENED,
        problems=(*_BY_ID, ErrorCode.STATE_CONFLICT),
    ),
)  # fmt: skip
async def verify(message_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> InboundMessage:
    """Has a letter judged anew, soon: after the key of an encrypted one, or a missing anchor, was added.

    It happens by itself as well, at `next_verification_at`. The new verdict is added to those there are.
    """
    await gateway.audit(caller, "inbound.verify", str(message_id))
    return await gateway.relay.verify(caller.visible(), message_id)


@router.head("/{message_id}/package", include_in_schema=False)
@router.get(
    "/{message_id}/package",
    response_class=Response,
    operation_id="getInboundPackage",
    summary="Download the package",
    **operation(
        *_READERS,
        problems=(*_FILE, ErrorCode.RANGE_INVALID, ErrorCode.SIGNER_UNAVAILABLE),
        headers=_FILE_HEADERS, others=_PARTIAL, binary=(_OCTETS,),
    ),
)  # fmt: skip
async def get_package(
    request: Request,
    message_id: UUID,
    caller: CurrentCaller,
    gateway: GatewayParts,
    form: Annotated[
        PackageForm, Query(description="`opened`: of an encrypted package the one inside, for whoever has no key.")
    ] = PackageForm.RECEIVED,
) -> Response:
    """The e-Yazışma package, byte for byte as the sender made it. `Range` continues a broken download.

    With `form=opened` the package inside an encrypted one is opened for this download, which the audit log notes
    first, and compared with what was verified; it is sent whole, whatever `Range` asks, and `HEAD` tells size and
    digest without opening it. `state-conflict`: nobody here has opened it, see `opening` of the letter; or the virus
    scanner withholds the mail (`reason_code`).
    """
    caller.require(_READERS)  # the HEAD route declares nothing of its own
    institutions = caller.visible()
    message = await _readable(gateway, institutions, message_id)
    if message.package_sha256 is None or message.package_size is None:
        raise DomainError(ErrorCode.NOT_FOUND, "this letter has no package")

    def received(start: int, end: int | None) -> AbstractAsyncContextManager[ByteSource]:
        return gateway.relay.inbound_content(institutions, message_id, "package", start=start, end=end)

    if form is PackageForm.OPENED and message.opening is not None:
        return _opened(request, message, received, caller, gateway)
    content = Content(
        message.package_filename or f"{message_id}.eyp", message.package_sha256, message.package_size, ranges=True
    )
    return download(request, content, received)


def _opened(
    request: Request, message: InboundMessage, received: OpenSource, caller: Caller, gateway: Gateway
) -> Response:
    sha256 = message.opened_sha256
    if message.opening is not PackageOpening.OPENED or sha256 is None:
        raise DomainError(ErrorCode.STATE_CONFLICT, f"the envelope was not opened: {message.opening}")

    @asynccontextmanager
    async def opened(_start: int, _end: int | None) -> AsyncIterator[ByteSource]:
        await gateway.audit(
            caller, "inbound.open", str(message.message_id), institution=message.institution_no, sha256=sha256
        )
        async with opened_again(
            received(0, None), gateway.signer, institution_no=message.institution_no, sha256=sha256,
            spool=gateway.spool,
        ) as package:  # fmt: skip
            yield package

    name = (message.package_filename or "").removesuffix(".eyps") or str(message.message_id)
    return download(request, Content(f"{name.removesuffix('.eyp')}.eyp", sha256, message.opened_size), opened)


async def _readable(gateway: Gateway, institutions: Sequence[int], message_id: UUID) -> InboundMessage:
    """The letter, unless it is sealed: kep_relay gives none of its content out, and HEAD would not ask for it."""
    message = await gateway.relay.inbound(institutions, message_id)
    if message.state is InboundState.SEALED:
        raise DomainError(ErrorCode.CLASSIFIED_SEALED, "the letter is sealed: it is more secret than KEP may carry")
    return message


@router.head("/{message_id}/raw", include_in_schema=False)
@router.get(
    "/{message_id}/raw",
    response_class=Response,
    operation_id="getInboundRaw",
    summary="Download the original mail",
    **operation(
        *_READERS, problems=_FILE, headers=_FILE_HEADERS, others=_UNCHANGED, binary=("message/rfc822",)
    ),
)  # fmt: skip
async def get_raw(request: Request, message_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """The KEP message exactly as the provider delivered it, with its signed envelope.

    `state-conflict`: the virus scanner withholds the mail (`reason_code`).
    """
    caller.require(_READERS)
    institutions = caller.visible()
    message = await _readable(gateway, institutions, message_id)
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
        *_READERS, problems=(*_FILE, ErrorCode.RANGE_INVALID), headers=_FILE_HEADERS, others=_PARTIAL,
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
    """One attachment of the original message, whatever it is; always as a file to save, never to display.

    `state-conflict`: the virus scanner withholds the mail (`reason_code`).
    """
    caller.require(_READERS)
    institutions = caller.visible()
    message = await _readable(gateway, institutions, message_id)
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
