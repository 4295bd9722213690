"""Consumers: the systems of one institution among which its incoming letters are divided, and who has which letter."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from services.gateway import consumer_examples as examples
from services.gateway.callers import Scope
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.operations import JSON_BODY, SCOPED, operation
from services.gateway.schemas.consumers import ConsumerBody, ConsumerName, RoutingBody
from services.gateway.schemas.text import DetsisNo
from shared.contracts.consumers import (
    Consumer,
    ConsumerConfiguration,
    ConsumerList,
    LetterRouting,
    RoutingChange,
)
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1", tags=["Incoming letters"])

Institution = Annotated[
    DetsisNo | None,
    Query(description="Whose consumers; may be left out when the API key is bound to one institution only."),
]
Name = Annotated[ConsumerName, Path(description="Chosen by the institution.")]
_READERS = (Scope.MESSAGES_READ, Scope.INBOUND_CONSUME)
_ASKED = (*SCOPED, ErrorCode.VALIDATION_FAILED, ErrorCode.SERVICE_UNAVAILABLE)
_BY_ID = (*_ASKED, ErrorCode.NOT_FOUND)


@router.get(
    "/consumers",
    operation_id="listConsumers",
    summary="List consumers",
    **operation(*_READERS, answer=examples.CONSUMERS, problems=_ASKED),
)
async def list_consumers(caller: CurrentCaller, gateway: GatewayParts, institution: Institution = None) -> ConsumerList:
    """An institution's consumers in the order in which their rules count, and what waits for each.

    `default` is always there: it takes what no rule takes, which is everything while there is no other one.
    """
    return await gateway.relay.consumers(caller.acting_for(institution, "/institution"))


@router.get(
    "/consumers/{consumer}",
    operation_id="getConsumer",
    summary="Read one consumer",
    **operation(*_READERS, answer=examples.CONSUMER, problems=_BY_ID),
)
async def get_consumer(
    consumer: Name, caller: CurrentCaller, gateway: GatewayParts, institution: Institution = None
) -> Consumer:
    """Its rules, and what waits for it: letters it is responsible for, and copies."""
    return await gateway.relay.consumer(caller.acting_for(institution, "/institution"), consumer)


@router.put(
    "/consumers/{consumer}",
    operation_id="putConsumer",
    summary="Enter or change a consumer",
    **operation(
        Scope.INBOUND_CONSUME, request=examples.CONSUMER_BODY, answer=examples.CONSUMER,
        problems=(*JSON_BODY, *_ASKED, ErrorCode.STATE_CONFLICT),
    ),
)  # fmt: skip
async def put_consumer(consumer: Name, body: ConsumerBody, caller: CurrentCaller, gateway: GatewayParts) -> Consumer:
    """The rules decide about each letter once, when it is first offered: exactly one consumer is responsible for it.

    Letters that are offered already stay where they are; a person moves one with `routeInboundMessage`.
    `state-conflict`: there are too many consumers.
    """
    institution_no = caller.acting_for(body.institution_no, "/institution_no")
    await gateway.audit(caller, "consumer.put", consumer, institution=institution_no, rules=len(body.rules))
    configuration = ConsumerConfiguration.model_validate(body.model_dump() | {"institution_no": institution_no})
    return await gateway.relay.put_consumer(consumer, configuration)


@router.delete(
    "/consumers/{consumer}",
    status_code=204,
    response_class=Response,
    operation_id="deleteConsumer",
    summary="End a consumer",
    **operation(Scope.INBOUND_CONSUME, problems=_BY_ID),
)
async def delete_consumer(
    consumer: Name, caller: CurrentCaller, gateway: GatewayParts, institution: Institution = None
) -> Response:
    """The letters it has not registered go to `default`; a lease that runs goes on. Its copies are withdrawn."""
    institution_no = caller.acting_for(institution, "/institution")
    await gateway.audit(caller, "consumer.delete", consumer, institution=institution_no)
    await gateway.relay.delete_consumer(institution_no, consumer)
    return Response(status_code=204)


@router.get(
    "/inbound-messages/{message_id}/routing",
    operation_id="getInboundRouting",
    summary="Read who has a letter, and why",
    **operation(
        *_READERS, answer=examples.ROUTING, problems=(*_BY_ID, ErrorCode.CLASSIFIED_SEALED, ErrorCode.STATE_CONFLICT)
    ),
)
async def get_routing(message_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> LetterRouting:
    """Who is responsible for the letter, who has a copy, and every decision about it with the rules that fitted.

    `state-conflict`: the virus scanner withholds the mail, so nobody has it.
    """
    return await gateway.relay.routing(caller.visible(), message_id)


@router.post(
    "/inbound-messages/{message_id}/routing",
    operation_id="routeInboundMessage",
    summary="Give a letter to another consumer",
    **operation(
        Scope.INBOUND_CONSUME, request=examples.ROUTING_BODY, answer=examples.ROUTING,
        problems=(*JSON_BODY, *_BY_ID, ErrorCode.STATE_CONFLICT, ErrorCode.CLASSIFIED_SEALED),
    ),
)  # fmt: skip
async def route_message(
    message_id: UUID, body: RoutingBody, caller: CurrentCaller, gateway: GatewayParts
) -> LetterRouting:
    """A person decides who is responsible for a letter, or gives others a copy. The decision is added to the record.

    Whoever had leased a letter that moves has lost it; a dead letter lives again. What is so already is left alone,
    so the same call again changes nothing, unless a copy has been dealt with meanwhile: that one is offered again.
    `state-conflict`: the letter is registered, refused, or not offered yet.
    """
    await gateway.audit(
        caller, "inbound.routing", str(message_id), consumer=body.consumer, copies=list(body.copies),
        decided_by=body.decided_by,
    )  # fmt: skip
    change = RoutingChange.model_validate(body.model_dump())
    return await gateway.relay.route(caller.visible(), message_id, change)
