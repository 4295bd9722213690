"""The notice that tells another administration that its letter is refused."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway import notice_examples
from services.gateway.callers import Scope
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.idempotency import Replay, fingerprint, read_header
from services.gateway.operations import JSON_BODY, SCOPED, operation
from services.gateway.routes.outbound import IDEMPOTENCY_KEY, KEYED
from services.gateway.schemas.inbound import RefusalNoticeBody
from shared.contracts.notices import NoticeOrder
from shared.contracts.outbound import OutboundMessage
from shared.errors import ErrorCode
from shared.telemetry.logging import correlation_id

router = APIRouter(prefix="/v1/inbound-messages", tags=["Incoming letters"])


@router.post(
    "/{message_id}/refusal-notice",
    status_code=202,
    response_model=OutboundMessage,
    operation_id="orderRefusalNotice",
    summary="Tell the sender that a letter is refused",
    **operation(
        Scope.MESSAGES_SEND, status=202, request=notice_examples.ORDER, answer=notice_examples.NOTICE,
        problems=(
            *JSON_BODY, *SCOPED, *KEYED, ErrorCode.NOT_FOUND, ErrorCode.STATE_CONFLICT, ErrorCode.RECIPIENT_KEP_MISSING,
            ErrorCode.RECIPIENT_KEP_INACTIVE, ErrorCode.MAILBOX_MISSING, ErrorCode.SERVICE_UNAVAILABLE,
        ),
        headers={
            "Location": "The notice, among the outgoing letters.",
            "Idempotency-Replayed": "`true` when this answer was given before.",
        },
        extra={"parameters": [IDEMPOTENCY_KEY]},
    ),
)  # fmt: skip
async def order_notice(
    request: Request, message_id: UUID, body: RefusalNoticeBody, caller: CurrentCaller, gateway: GatewayParts
) -> Response:
    """Sends the notice of a refusal that was written down before, as a KEP reply to the letter's sender.

    A legal act (regulation 2646 art. 30(4)): call it when an authorised person has decided so, and name that person. The
    reasons are those of the recorded refusal; the text quotes the letter's Message-ID, iletiID, number and date, and when
    it was delivered. Of a letter that is sealed, encrypted or of a degree above the ordinary one nothing is quoted but the
    ids of its mail and of the broken rules, and `text` is refused.

    One notice per letter: the same order again is answered with the notice there is. It is followed under `Location` like
    every outgoing letter (`kind` is `notice`), with evidence and proof; `refusal_notice_id` of the letter names it.
    `state-conflict`: nothing was refused, the period (`acceptance.due_at`) is over, another notice was ordered, the letter
    is a person's or a company's or was not judged yet, or the mail's provider is not proven.
    """
    institutions = caller.visible()
    key = read_header(request.headers.get("idempotency-key"))
    wanted = fingerprint("POST /v1/inbound-messages/{message_id}/refusal-notice", body, str(message_id))
    claim = await gateway.keys.claim(caller, key, wanted)
    if isinstance(claim, Replay):
        return _answer(request, claim.answer, replayed=True)
    async with gateway.keys.working(claim):
        await gateway.audit(caller, "inbound.refusal-notice", str(message_id), decided_by=body.decided_by)
        order = NoticeOrder(
            notice_id=claim.message_id, decided_by=body.decided_by, text=body.text, client_id=caller.client_id,
            correlation_id=correlation_id.get(),
        )  # fmt: skip
        notice = await gateway.relay.order_notice(institutions, message_id, order)
        answer = notice.model_dump_json()
        await gateway.keys.complete(claim, answer)
    return _answer(request, answer, replayed=False)


def _answer(request: Request, body: str, *, replayed: bool) -> Response:
    # Not the id of the key's claim: another key may have made the notice.
    notice_id = OutboundMessage.model_validate_json(body).message_id
    location = f"{request.scope.get('root_path', '')}/v1/outbound-messages/{notice_id}"
    headers = {"Location": location, "Idempotency-Replayed": str(replayed).lower()}
    return Response(body, status_code=202, media_type="application/json", headers=headers)
