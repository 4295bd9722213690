"""What a person decides about an incoming letter, and the notice that tells its sender."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from services.kep_relay.acceptance.decisions import Decisions
from services.kep_relay.notices.order import Notices
from services.kep_relay.outbound import queries
from shared.contracts.acceptance import Acceptance, AcceptanceDecision
from shared.contracts.notices import NoticeOrder
from shared.contracts.outbound import OutboundMessage
from shared.db.session import Database

Institutions = Annotated[list[int], Query(alias="institution", min_length=1)]


def acceptance_routes(decisions: Decisions) -> APIRouter:
    """A letter of another institution is NOT_FOUND."""
    router = APIRouter()

    @router.post("/inbound-messages/{message_id}/acceptance")
    async def decide(message_id: UUID, institution: Institutions, body: AcceptanceDecision) -> Acceptance:
        return await decisions.decide(message_id, institution, body)

    return router


def notice_routes(database: Database, notices: Notices) -> APIRouter:
    """The notice as the outgoing message it is; 201 when this order made it."""
    router = APIRouter()

    @router.post("/inbound-messages/{message_id}/refusal-notice")
    async def order(
        message_id: UUID, institution: Institutions, body: NoticeOrder, response: Response
    ) -> OutboundMessage:
        notice_id, created = await notices.order(message_id, institution, body)
        response.status_code = 201 if created else 200
        async with database.reading() as session:
            return await queries.one_message(session, notice_id, institution)

    return router
