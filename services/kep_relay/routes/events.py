"""The list of events, with waiting for the next."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from services.kep_relay.events import read_events
from services.kep_relay.inbound.arrivals import Arrivals
from shared.contracts.events import MOST_EVENTS, EventPage, EventType
from shared.db.session import Database

_LOOK_SECONDS = 1.0
"""Another process may have written the event: nobody announces that here."""


def event_routes(database: Database, arrivals: Arrivals) -> APIRouter:
    """One institution at a time: its events have one order."""
    router = APIRouter()

    @router.get("/events")
    async def events(
        institution: Annotated[int, Query()],
        after: Annotated[int, Query(ge=0)] = 0,
        type: Annotated[list[EventType] | None, Query()] = None,  # noqa: A002 - the name in the query
        limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 100,
        wait: Annotated[float, Query(ge=0, le=30)] = 0,
    ) -> EventPage:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            async with database.reading() as session:
                page = await read_events(session, institution, after=after, types=type or (), limit=limit)
            left = deadline - loop.time()
            if page.events or left <= 0:
                return page
            after = page.next_after
            await arrivals.wait(min(left, _LOOK_SECONDS))

    return router
