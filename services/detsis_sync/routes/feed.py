"""State of the mirror."""

from __future__ import annotations

from fastapi import APIRouter

from services.detsis_sync.mirror.counts import counts
from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.runs import last_runs
from shared.contracts.directory import DirectoryStatus
from shared.db.session import Database


def feed_routes(database: Database, age: MirrorAge) -> APIRouter:
    """``/status``."""
    routes = APIRouter()

    @routes.get("/status")
    async def status() -> DirectoryStatus:
        async with database.reading() as session:
            return DirectoryStatus(
                freshness=await age.of(session), counts=await counts(session), last_runs=await last_runs(session)
            )

    return routes
