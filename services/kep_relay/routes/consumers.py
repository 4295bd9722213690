"""Consumers of an institution, and who has which letter."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from services.kep_relay.inbound.consumer_decisions import Routings
from services.kep_relay.inbound.consumers import Consumers
from services.kep_relay.routes.inbound import Institutions
from shared.contracts.consumers import Consumer, ConsumerConfiguration, ConsumerList, LetterRouting, RoutingChange
from shared.errors import DomainError, ErrorCode

Institution = Annotated[int, Query()]
Name = Annotated[str, Path(min_length=1, max_length=64)]


def consumer_routes(consumers: Consumers, routings: Routings) -> APIRouter:
    """Consumers belong to one institution; letters are confined to the caller's."""
    router = APIRouter()

    @router.get("/consumers")
    async def everyone(institution: Institution) -> ConsumerList:
        return await consumers.all(institution)

    @router.get("/consumers/{consumer}")
    async def one(consumer: Name, institution: Institution) -> Consumer:
        return await consumers.one(institution, consumer)

    @router.put("/consumers/{consumer}")
    async def put(consumer: Name, institution: Institution, body: ConsumerConfiguration) -> Consumer:
        if body.institution_no != institution:
            raise DomainError(ErrorCode.INSTITUTION_FORBIDDEN, "this institution is not the caller's")
        return await consumers.put(consumer, body)

    @router.delete("/consumers/{consumer}", status_code=204, response_class=Response)
    async def delete(consumer: Name, institution: Institution) -> Response:
        await consumers.delete(institution, consumer)
        return Response(status_code=204)

    @router.get("/inbound-messages/{message_id}/routing")
    async def routing(message_id: UUID, institution: Institutions) -> LetterRouting:
        return await routings.read(message_id, institution)

    @router.post("/inbound-messages/{message_id}/routing")
    async def route_anew(message_id: UUID, institution: Institutions, body: RoutingChange) -> LetterRouting:
        return await routings.change(message_id, institution, body)

    return router
