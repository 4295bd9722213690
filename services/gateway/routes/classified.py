"""Letters that arrived more secret than KEP may carry: for the security officer, who sees, decides and closes."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.gateway import classified_examples as examples
from services.gateway.callers import Scope
from services.gateway.conditional import json_answer
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.downloads import Content, download
from services.gateway.operations import JSON_BODY, SCOPED, operation
from services.gateway.schemas.classified import ClosingBody, Purpose
from services.gateway.schemas.text import Cursor, DetsisNo
from shared.contracts.classified import ClassifiedIncident, ClassifiedIncidents, IncidentDecision
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1/classified-incidents", tags=["Classified letters"])

_BY_ID = (*SCOPED, ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE)
_UNCHANGED = {304: "Unchanged since the ETag in If-None-Match."}


@router.get(
    "",
    operation_id="listClassifiedIncidents",
    summary="List incidents",
    **operation(
        Scope.CLASSIFIED_HANDLE, answer=examples.INCIDENTS,
        problems=(*SCOPED, ErrorCode.VALIDATION_FAILED, ErrorCode.SERVICE_UNAVAILABLE),
    ),
)  # fmt: skip
async def list_incidents(
    caller: CurrentCaller,
    gateway: GatewayParts,
    institution: Annotated[DetsisNo | None, Query(description="Only letters to this institution.")] = None,
    closed: Annotated[bool | None, Query(description="Only incidents that are closed, or that are not.")] = None,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many incidents.")] = 50,
) -> ClassifiedIncidents:
    """Letters marked GİZLİ or ÇOK GİZLİ that came by KEP, oldest first; nothing of what they say.

    Each is `sealed`: no document system gets it. The bytes are kept as they came, because everything that arrives is
    stored before it is understood; what is to become of that copy is the officer's decision.
    """
    return await gateway.relay.classified_incidents(
        caller.visible(institution), closed=closed, cursor=cursor, limit=limit
    )


@router.get(
    "/{incident_id}",
    response_model=ClassifiedIncident,
    operation_id="getClassifiedIncident",
    summary="Read one incident",
    **operation(
        Scope.CLASSIFIED_HANDLE, answer=examples.INCIDENT, problems=_BY_ID, headers={"ETag": "For If-None-Match."},
        others=_UNCHANGED,
    ),
)  # fmt: skip
async def get_incident(request: Request, incident_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """When it came, from whom, to which mailbox, its degree and digest, and the rule that was applied to it."""
    return json_answer(request, await gateway.relay.classified_incident(caller.visible(), incident_id))


@router.get(
    "/{incident_id}/raw",
    response_class=Response,
    operation_id="getClassifiedRaw",
    summary="Download the sealed mail",
    **operation(
        Scope.CLASSIFIED_HANDLE, problems=(*_BY_ID, ErrorCode.STATE_CONFLICT),
        headers={
            "Content-Disposition": "A file name without a word of the letter.",
            "Repr-Digest": "SHA-256 of the whole content (RFC 9530).",
        },
        binary=("message/rfc822",),
    ),
)  # fmt: skip
async def get_raw(
    request: Request,
    incident_id: UUID,
    caller: CurrentCaller,
    gateway: GatewayParts,
    reason: Annotated[Purpose, Query(description="Why it is needed; kept in the audit log.")],
) -> Response:
    """The KEP message exactly as the provider delivered it. The audit log notes who took it, when and why, first.

    Save it only where the law lets you keep such a document. `state-conflict`: the virus scanner had withheld the mail.
    """
    institutions = caller.visible()
    incident = await gateway.relay.classified_incident(institutions, incident_id)
    await gateway.audit(
        caller, "classified.download", str(incident_id), institution=incident.institution_no, reason=reason
    )
    content = Content(f"{incident_id}.eml", incident.raw_sha256, incident.raw_size, media_type="message/rfc822")
    return download(request, content, lambda _start, _end: gateway.relay.classified_raw(institutions, incident_id))


@router.post(
    "/{incident_id}/close",
    operation_id="closeClassifiedIncident",
    summary="Close an incident",
    **operation(
        Scope.CLASSIFIED_HANDLE, request=examples.CLOSING, answer=examples.CLOSED,
        problems=(*JSON_BODY, *_BY_ID, ErrorCode.STATE_CONFLICT),
    ),
)  # fmt: skip
async def close_incident(
    incident_id: UUID, body: ClosingBody, caller: CurrentCaller, gateway: GatewayParts
) -> ClassifiedIncident:
    """Writes down what was decided, and by whom. The letter stays sealed. The same again is fine, another is not.

    Where the mailbox's policy is `on_ack`, the provider is told now that the mail was taken note of.
    """
    await gateway.audit(caller, "classified.close", str(incident_id), decided_by=body.decided_by)
    decision = IncidentDecision(decision=body.decision, decided_by=body.decided_by)
    return await gateway.relay.close_classified_incident(caller.visible(), incident_id, decision)
