"""Reports of refreshes, and letting a refused one through."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.runs import one_run, page_of_runs
from services.detsis_sync.refresh.nightly import Refresher
from shared.contracts.directory.runs import RefreshRun, RefreshRunAnswer, RefreshRuns, ReleaseOrder
from shared.db.session import Database

_RunId = Annotated[int, Path(ge=0, le=2**31 - 1)]
_Institutions = Annotated[list[int] | None, Query(alias="institution", max_length=1000)]


def run_routes(database: Database, refresher: Refresher, age: MirrorAge) -> APIRouter:
    """``/runs``; with ``institution``, those of others are not there."""
    routes = APIRouter()

    @routes.get("/runs")
    async def runs(
        institutions: _Institutions = None,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> RefreshRuns:
        async with database.reading() as session:
            freshness = await age.of(session)
            return await page_of_runs(session, freshness, institutions=institutions, cursor=cursor, limit=limit)

    @routes.get("/runs/{run_id}")
    async def run(run_id: _RunId, institutions: _Institutions = None) -> RefreshRunAnswer:
        async with database.reading() as session:
            found = await one_run(session, run_id, institutions)
            return RefreshRunAnswer(run=found, freshness=await age.of(session))

    @routes.post("/runs/{run_id}/release")
    async def release(run_id: _RunId, order: ReleaseOrder) -> RefreshRun:
        await refresher.release(run_id, order.released_by, order.note)
        async with database.reading() as session:
            return await one_run(session, run_id)

    return routes
