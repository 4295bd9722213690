"""State of the mirror, its changes, and all of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.detsis_sync.mirror.changes import feed
from services.detsis_sync.mirror.counts import counts
from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.runs import account_states, last_runs
from shared.contracts.directory import DirectoryStatus
from shared.contracts.directory.history import ChangeFeed, ChangeSubject
from shared.db.session import Database


def feed_routes(database: Database, age: MirrorAge) -> APIRouter:
    """``/status`` and ``/changes``."""
    routes = APIRouter()

    @routes.get("/status")
    async def status(
        institutions: Annotated[list[int] | None, Query(alias="institution", max_length=1000)] = None,
    ) -> DirectoryStatus:
        async with database.reading() as session:
            return DirectoryStatus(
                freshness=await age.of(session),
                counts=await counts(session),
                last_runs=await last_runs(session, institutions=institutions),
                accounts=await account_states(session, institutions),
            )

    @routes.get("/changes")
    async def changes(
        after: Annotated[str | None, Query(max_length=500)] = None,
        types: Annotated[list[ChangeSubject] | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> ChangeFeed:
        async with database.reading() as session:
            freshness = await age.of(session)
            return await feed(session, freshness, after=after, subjects=types or (), limit=limit)

    return routes
