"""Outgoing letters for the gateway."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from services.kep_relay.outbound import evidence_queries, queries
from services.kep_relay.outbound.accept import Acceptance
from services.kep_relay.outbound.deemed_read import DeemedRead
from services.kep_relay.routes.institutions import Institutions
from shared.blobs import BlobStore
from shared.contracts.outbound import (
    Cancellation,
    EvidenceRecord,
    OutboundEvent,
    OutboundMessage,
    OutboundPage,
    OutboundSubmission,
    Resend,
)
from shared.db.session import Database
from shared.domain.message import OutboundState
from shared.errors import DomainError, ErrorCode


def outbound_routes(
    database: Database, blobs: BlobStore, acceptance: Acceptance, deemed_read: DeemedRead | None = None
) -> APIRouter:
    """``/outbound-messages``; ``deemed_read`` is the operator's rule, if there is one."""
    routes = APIRouter(prefix="/outbound-messages")

    def shown(message: OutboundMessage) -> OutboundMessage:
        return message if deemed_read is None else deemed_read.shown_in(message)

    async def read(message_id: UUID, institutions: list[int]) -> OutboundMessage:
        async with database.reading() as session:
            return shown(await queries.one_message(session, message_id, institutions))

    @routes.put("/{message_id}")
    async def put_message(message_id: UUID, submission: OutboundSubmission, response: Response) -> OutboundMessage:
        created = await acceptance.accept(message_id, submission)
        response.status_code = 201 if created else 200
        return await read(message_id, [submission.institution_no])

    @routes.get("")
    async def list_messages(
        institution: Institutions,
        state: Annotated[list[OutboundState] | None, Query()] = None,
        updated_since: datetime | None = None,
        client_ref: str | None = None,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> OutboundPage:
        if updated_since is not None and updated_since.tzinfo is None:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "updated_since needs a time zone")
        async with database.reading() as session:
            found = await queries.page(
                session,
                institution,
                states=state or [],
                updated_since=updated_since,
                client_ref=client_ref,
                cursor=cursor,
                limit=limit,
            )
        return found.model_copy(update={"messages": [shown(item) for item in found.messages]})

    @routes.get("/{message_id}")
    async def get_message(message_id: UUID, institution: Institutions) -> OutboundMessage:
        return await read(message_id, institution)

    @routes.get("/{message_id}/events")
    async def get_events(message_id: UUID, institution: Institutions) -> list[OutboundEvent]:
        async with database.reading() as session:
            return await queries.history(session, message_id, institution)

    @routes.get("/{message_id}/evidence")
    async def get_evidence(message_id: UUID, institution: Institutions) -> list[EvidenceRecord]:
        async with database.reading() as session:
            await queries.owned_message(session, message_id, institution)
            return await evidence_queries.evidence_records(session, message_id)

    @routes.get("/{message_id}/evidence/{evidence_id}/content")
    async def get_evidence_content(
        message_id: UUID,
        evidence_id: UUID,
        institution: Institutions,
        form: Literal["evidence", "mail"] = "evidence",
    ) -> StreamingResponse:
        async with database.reading() as session:
            await queries.owned_message(session, message_id, institution)
            stored = await evidence_queries.evidence_bytes(session, message_id, evidence_id, form)
        size = await blobs.size(stored.sha256)
        if size is None:
            raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, "the stored bytes are missing in the blob store")
        return StreamingResponse(
            blobs.stream(stored.sha256),
            media_type=stored.media_type,
            headers={"Content-Length": str(size), "X-Content-SHA256": stored.sha256},
        )

    @routes.post("/{message_id}/cancel")
    async def cancel(message_id: UUID, institution: Institutions) -> Cancellation:
        cancelled, too_late = await acceptance.cancel(message_id, institution)
        return Cancellation(message=await read(message_id, institution), cancelled=cancelled, too_late=too_late)

    @routes.post("/{message_id}/resend")
    async def resend(message_id: UUID, body: Resend, institution: Institutions, response: Response) -> OutboundMessage:
        created = await acceptance.resend(message_id, institution, body.message_id)
        response.status_code = 201 if created else 200
        return await read(body.message_id, institution)

    return routes
