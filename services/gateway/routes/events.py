"""What happened, for systems that follow it instead of asking letter by letter."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.gateway import examples
from services.gateway.callers import Scope
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.operations import SCOPED, operation
from services.gateway.schemas.text import DetsisNo
from shared.contracts.events import MOST_EVENTS, EventPage, EventType
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1/events", tags=["Events"])

_LAST_POSITION = 2**63 - 1


@router.get(
    "",
    operation_id="listEvents",
    summary="Follow events",
    **operation(
        Scope.MESSAGES_READ, Scope.INBOUND_CONSUME, answer=examples.EVENT_PAGE,
        problems=(*SCOPED, ErrorCode.VALIDATION_FAILED, ErrorCode.SERVICE_UNAVAILABLE),
    ),
)  # fmt: skip
async def list_events(
    caller: CurrentCaller,
    gateway: GatewayParts,
    institution: Annotated[
        DetsisNo | None,
        Query(description="Whose events; may be left out when the API key is bound to one institution only."),
    ] = None,
    after: Annotated[
        int,
        Query(ge=0, le=_LAST_POSITION, description="`next_after` of the answer before; 0 for the beginning."),
    ] = 0,
    type: Annotated[list[EventType] | None, Query(description="Only these kinds.")] = None,  # noqa: A002 - the name in the query
    limit: Annotated[int, Query(ge=1, le=MOST_EVENTS, description="At most so many events.")] = 100,
    wait: Annotated[float, Query(ge=0, le=30, description="Seconds to wait when there is none yet.")] = 0,
) -> EventPage:
    """An institution's events in the order they were committed, numbered without gaps. Nothing is taken out.

    Keep `next_after` once what the events tell has been dealt with, and ask with it again: no event is missed, whatever
    stops in between. A verdict that was `indeterminate` while a source was away, or `preliminary` within a grace
    period, settles by itself and is told here.
    """
    return await gateway.relay.event_page(
        caller.acting_for(institution, "/institution"), after=after, types=type or [], limit=limit, wait=wait
    )
