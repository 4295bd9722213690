"""Incidents with classified letters."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from services.kep_relay.inbound import incidents
from services.kep_relay.inbound.incidents import Incidents
from services.kep_relay.routes.inbound import Institutions, stored_content
from shared.blobs import BlobStore
from shared.contracts.classified import ClassifiedIncident, ClassifiedIncidents, IncidentDecision
from shared.db.session import Database
from shared.domain.message import InboundState
from shared.errors import DomainError, ErrorCode


def classified_routes(database: Database, blobs: BlobStore, closing: Incidents) -> APIRouter:
    """Every route takes the caller's institutions; an incident of another one is NOT_FOUND."""
    router = APIRouter()

    @router.get("/classified-incidents")
    async def page(
        institution: Institutions,
        closed: bool | None = None,
        cursor: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> ClassifiedIncidents:
        async with database.reading() as session:
            return await incidents.page(session, institution, closed=closed, cursor=cursor, limit=limit)

    @router.get("/classified-incidents/{incident_id}")
    async def one(incident_id: UUID, institution: Institutions) -> ClassifiedIncident:
        async with database.reading() as session:
            return await incidents.one(session, incident_id, institution)

    @router.get("/classified-incidents/{incident_id}/raw")
    async def raw(incident_id: UUID, institution: Institutions) -> StreamingResponse:
        async with database.reading() as session:
            incident = await incidents.one(session, incident_id, institution)
        if incident.state_before == InboundState.QUARANTINED:
            raise DomainError(
                ErrorCode.STATE_CONFLICT, "the mail is kept but not handed out: the virus scanner withheld it"
            )
        return await stored_content(blobs, incident.raw_sha256, "message/rfc822", 0, None)

    @router.post("/classified-incidents/{incident_id}/close")
    async def close(incident_id: UUID, institution: Institutions, body: IncidentDecision) -> ClassifiedIncident:
        return await closing.close(incident_id, institution, body)

    return router
