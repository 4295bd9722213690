"""Outgoing letters."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.gateway import examples
from services.gateway.callers import Scope
from services.gateway.clients.relay import EvidenceForm
from services.gateway.conditional import json_answer
from services.gateway.deps import CurrentCaller, Gateway, GatewayParts
from services.gateway.downloads import Content, download
from services.gateway.forms import OUTBOUND_FORM, SIGNATURE_PART, form_document, read_json_part
from services.gateway.idempotency import Replay, fingerprint, read_header
from services.gateway.operations import FORM_BODY, SCOPED, operation
from services.gateway.schemas.outbound import AcceptedMessage, OutboundMessageRequest
from services.gateway.schemas.text import Cursor, DetsisNo, Line, Moment
from services.gateway.uploads import FieldPart, FilePart, receive_form
from shared.contracts.outbound import Cancellation, EvidenceRecord, OutboundEvent, OutboundMessage, OutboundPage
from shared.domain.message import OutboundState
from shared.errors import DomainError, ErrorCode, Fault

router = APIRouter(prefix="/v1/outbound-messages", tags=["Outgoing letters"])

KEYED = (
    ErrorCode.IDEMPOTENCY_KEY_MISSING,
    ErrorCode.IDEMPOTENCY_IN_PROGRESS,
    ErrorCode.IDEMPOTENCY_KEY_REUSED,
    ErrorCode.VALIDATION_FAILED,
)
_BY_ID = (*SCOPED, ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE)
JUDGED = (
    ErrorCode.VALIDATION_FAILED, ErrorCode.DIGEST_MISMATCH, ErrorCode.NOT_FOUND, ErrorCode.NOT_A_PACKAGE, ErrorCode.PACKAGE_INVALID,
    ErrorCode.CONFIDENTIALITY_FORBIDDEN, ErrorCode.DECISION_REQUIRED, ErrorCode.SIGNATURE_INVALID,
    ErrorCode.RECIPIENT_UNKNOWN, ErrorCode.RECIPIENT_INACTIVE, ErrorCode.RECIPIENT_KEP_MISSING,
    ErrorCode.RECIPIENT_KEP_INACTIVE, ErrorCode.MAILBOX_MISSING, ErrorCode.STATE_CONFLICT,
    ErrorCode.SERVICE_UNAVAILABLE, ErrorCode.SIGNER_UNAVAILABLE, ErrorCode.DIRECTORY_UNAVAILABLE,
    ErrorCode.CERTIFICATE_UNFIT,
)  # fmt: skip
"""What a letter is refused with before anything of it is kept."""
_SUBMIT = (*FORM_BODY, *SCOPED, *KEYED, *JUDGED)
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "A value of your own, unique for this piece of work: 1 to 255 visible ASCII characters. Repeat it "
    "when you repeat the request; the answer is then the first one's.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-~]{1,255}$"},
    "example": "4b0d4f2e-9d3b-4f57-8a41-2f9f6a1f6c11",
}
_LOCATION = {"Location": "The letter's resource.", "Idempotency-Replayed": "`true` when this answer was given before."}


@router.post(
    "",
    status_code=202,
    response_model=AcceptedMessage,
    operation_id="submitOutboundMessage",
    summary="Hand a letter over",
    **operation(
        Scope.MESSAGES_SEND, status=202, answer=examples.ACCEPTED, problems=_SUBMIT, headers=_LOCATION,
        extra={
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": form_document(
                OutboundMessageRequest, examples.SUBMISSION, package_required=False,
                more={
                    "message_signature": "Only for those who sign KEP messages themselves: a detached CMS signature "
                    "(CAdES, DER) over what `/v1/message-contents` gave out."
                },
            ),
        },
    ),
)  # fmt: skip
async def submit(request: Request, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """Send one e-Yazışma package to one or more institutions by KEP.

    **202 means stored durably**, not sent: follow the letter under `Location`. Only evidence (delil) of the KEP
    system moves it to `accepted` (10), `relayed` (20), `delivered` (40) and `read` (60). Each recipient gets a KEP
    message of its own. The package's bytes are never changed. A package finished under `/v1/packages` is named by
    `package_id` instead of being uploaded; recipients it withholds annexes from get it without them.

    **HİZMETE ÖZEL** letters are encrypted (.eyps) for recipients that have an encryption certificate in DETSİS;
    `package_sha256` of the answer is then that of the encrypted package, and `confidentiality` tells what is inside. To
    recipients without one they go by a recorded decision (`unencrypted_decision`) only. GİZLİ, ÇOK GİZLİ and letters whose
    degree is not known never leave.

    The mailbox's own key signs the KEP messages. A document system that signs them itself, with a person's or the
    institution's device, gets what is to be signed from `/v1/message-contents` and sends the signature along as
    `message_signature`; one that does not verify is refused, and the history tells whose it is.

    After a lost connection, a 5xx or a 409 `idempotency-in-progress` repeat the same request with the same
    `Idempotency-Key`: the letter is sent once.
    """
    key = read_header(request.headers.get("idempotency-key"))
    parts = letter_form(gateway) | {"message_signature": SIGNATURE_PART}
    async with receive_form(request, parts, gateway.spool) as form:
        message = read_json_part(OutboundMessageRequest, "message", form.fields["message"])
        signature = form.fields.get("message_signature")
        if signature is not None and not signature:
            # Not "none": the mailbox's key would sign what somebody meant to have signed by another.
            fault = Fault("/message_signature", "is empty")
            raise DomainError(ErrorCode.SIGNATURE_INVALID, "the message's signature is empty", faults=[fault])
        async with gateway.finishing.handed_over(caller, message, form.files.get("package")) as package:
            accepted = await gateway.submissions.submit(caller, key, message, package, signature)
    return _keyed_answer(request, accepted.message_id, accepted.body, replayed=accepted.replayed)


def letter_form(gateway: Gateway) -> dict[str, FieldPart | FilePart]:
    """The form that a letter comes in, less a signature of its messages."""
    return {**OUTBOUND_FORM, "package": FilePart(gateway.max_package_bytes, required=False)}


@router.get(
    "",
    response_model=OutboundPage,
    operation_id="listOutboundMessages",
    summary="List letters",
    **operation(
        Scope.MESSAGES_READ, answer=examples.OUTBOUND_PAGE,
        problems=(*SCOPED, ErrorCode.VALIDATION_FAILED, ErrorCode.SERVICE_UNAVAILABLE),
    ),
)  # fmt: skip
async def list_messages(
    caller: CurrentCaller,
    gateway: GatewayParts,
    institution: Annotated[DetsisNo | None, Query(description="Only letters of this institution.")] = None,
    state: Annotated[list[OutboundState] | None, Query(description="Only letters in one of these states.")] = None,
    updated_since: Annotated[
        Moment | None, Query(description="Only letters changed at or after this time, oldest change first.")
    ] = None,
    client_ref: Annotated[Line | None, Query(max_length=200, description="Only letters with this reference.")] = None,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many letters.")] = 50,
) -> OutboundPage:
    """The caller's letters, newest first; with `updated_since` in order of change, which suits polling."""
    return await gateway.relay.outbound_page(
        caller.visible(institution),
        states=state or [],
        updated_since=updated_since,
        client_ref=client_ref,
        cursor=cursor,
        limit=limit,
    )


@router.get(
    "/{message_id}",
    response_model=OutboundMessage,
    operation_id="getOutboundMessage",
    summary="Read one letter",
    **operation(
        Scope.MESSAGES_READ, answer=examples.OUTBOUND, problems=_BY_ID, headers={"ETag": "For If-None-Match."},
        others={304: "Unchanged since the ETag in If-None-Match."},
    ),
)  # fmt: skip
async def get_message(request: Request, message_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """State, recipients and counts. `state` is that of the worst recipient."""
    return json_answer(request, await gateway.relay.outbound(caller.visible(), message_id))


@router.get(
    "/{message_id}/events",
    operation_id="listOutboundEvents",
    summary="Read a letter's history",
    **operation(Scope.MESSAGES_READ, answer=examples.EVENTS, problems=_BY_ID),
)
async def list_events(message_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> list[OutboundEvent]:
    """Everything that happened to the letter, oldest first; nothing is ever taken out."""
    return await gateway.relay.events(caller.visible(), message_id)


@router.get(
    "/{message_id}/evidence",
    operation_id="listOutboundEvidence",
    summary="List a letter's evidence",
    **operation(Scope.MESSAGES_READ, answer=examples.EVIDENCE, problems=_BY_ID),
)
async def list_evidence(message_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> list[EvidenceRecord]:
    """Every piece of evidence (delil) received for the letter, as it came."""
    return await gateway.relay.evidence(caller.visible(), message_id)


@router.head("/{message_id}/evidence/{evidence_id}/content", include_in_schema=False)
@router.get(
    "/{message_id}/evidence/{evidence_id}/content",
    response_class=Response,
    operation_id="getOutboundEvidenceContent",
    summary="Download a piece of evidence",
    **operation(
        Scope.MESSAGES_READ, problems=_BY_ID, others={304: "Unchanged since the ETag in If-None-Match."},
        headers={"ETag": "The content's SHA-256.", "Content-Disposition": "A file name.", "Repr-Digest": "RFC 9530."},
        binary=("application/xml", "message/rfc822", "application/octet-stream"),
    ),
)  # fmt: skip
async def get_evidence_content(
    request: Request,
    message_id: UUID,
    evidence_id: UUID,
    caller: CurrentCaller,
    gateway: GatewayParts,
    form: Annotated[
        EvidenceForm, Query(description="`evidence`: the signed XML itself. `mail`: the whole mail it came in.")
    ] = "evidence",
) -> Response:
    """The exact bytes received, for your own archive and verification."""
    caller.require([Scope.MESSAGES_READ])  # the HEAD route declares nothing of its own
    institutions = caller.visible()
    records = await gateway.relay.evidence(institutions, message_id)
    record = next((item for item in records if item.evidence_id == evidence_id), None)
    if record is None:
        raise DomainError(ErrorCode.NOT_FOUND, "this letter has no such evidence")
    xml = record.media_type in {"application/xml", "text/xml"}
    content = (
        Content(f"{evidence_id}.eml", media_type="message/rfc822")
        if form == "mail"
        else Content(
            f"{evidence_id}.{'xml' if xml else 'bin'}", record.sha256, record.size,
            "application/xml" if xml else "application/octet-stream",
        )
    )  # fmt: skip
    return download(
        request,
        content,
        lambda _start, _end: gateway.relay.evidence_content(institutions, message_id, evidence_id, form),
    )


@router.get(
    "/{message_id}/proof",
    response_class=Response,
    operation_id="getOutboundProof",
    summary="Download the proof of a letter",
    **operation(
        Scope.MESSAGES_READ, problems=(*_BY_ID, ErrorCode.DURABILITY_UNAVAILABLE),
        headers={"Content-Disposition": "A file name."}, binary=("application/zip",),
    ),
)  # fmt: skip
async def get_proof(request: Request, message_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """Everything that proves the way of the letter, as one ZIP file that can be checked without this gateway.

    The package, each KEP message as it was sent, every delil with its mail and the verdicts on its signatures, the
    addresses as DETSİS named them, and the history as a chain of digests. `manifest.json` names each file's SHA-256;
    `manifest.tsr` is a time-stamp over it, absent when no authority could be asked. `kepgw proof verify FILE` checks
    it; `OKU-BENI.txt` in it says how others do. Of a letter still on its way it proves what there is by now.
    """
    institutions = caller.visible()
    await gateway.relay.outbound(institutions, message_id)
    await gateway.audit(caller, "outbound.proof", str(message_id))
    return download(
        request,
        Content(f"{message_id}.kepgw-proof.zip", media_type="application/zip"),
        lambda _start, _end: gateway.relay.proof(institutions, message_id),
    )


@router.post(
    "/{message_id}/cancel",
    operation_id="cancelOutboundMessage",
    summary="Cancel a letter",
    **operation(Scope.MESSAGES_SEND, answer=examples.CANCELLATION, problems=(*_BY_ID, ErrorCode.STATE_CONFLICT)),
)
async def cancel(message_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Cancellation:
    """Stop the recipients not yet submitted to the KEP provider; the others are named in `too_late`."""
    return await gateway.relay.cancel(caller.visible(), message_id)


@router.post(
    "/{message_id}/resend",
    status_code=202,
    response_model=OutboundMessage,
    operation_id="resendOutboundMessage",
    summary="Send a letter again",
    **operation(
        Scope.MESSAGES_SEND, status=202, answer=examples.OUTBOUND, headers=_LOCATION,
        problems=(
            *_BY_ID, *KEYED, ErrorCode.STATE_CONFLICT, ErrorCode.MAILBOX_MISSING, ErrorCode.SIGNATURE_INVALID,
            ErrorCode.SIGNER_UNAVAILABLE,
        ),
        extra={"parameters": [IDEMPOTENCY_KEY]},
    ),
)  # fmt: skip
async def resend(request: Request, message_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """Send the same package to the recipients it did not reach, as a new letter with its own id and evidence.

    Once for each recipient: when the new letter does not reach it either, that one is sent again (`state-conflict`).
    A signature of the messages that came along is used again, if it still verifies.
    """
    institutions = caller.visible()
    key = read_header(request.headers.get("idempotency-key"))
    wanted = fingerprint("POST /v1/outbound-messages/{message_id}/resend", None, str(message_id))
    claim = await gateway.keys.claim(caller, key, wanted)
    if isinstance(claim, Replay):
        return _keyed_answer(request, claim.message_id, claim.answer, replayed=True)
    async with gateway.keys.working(claim):
        again = await gateway.relay.resend(institutions, message_id, claim.message_id)
        body = again.model_dump_json()
        await gateway.keys.complete(claim, body)
    return _keyed_answer(request, claim.message_id, body, replayed=False)


def _keyed_answer(request: Request, message_id: UUID, body: str, *, replayed: bool) -> Response:
    location = f"{request.scope.get('root_path', '')}{router.prefix}/{message_id}"
    headers = {"Location": location, "Idempotency-Replayed": str(replayed).lower()}
    return Response(body, status_code=202, media_type="application/json", headers=headers)
