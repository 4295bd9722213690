"""Reports of refreshes, and letting a refused one through."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.detsis_sync.mirror.runs import last_runs, one_run
from services.detsis_sync.refresh.nightly import Refresher
from shared.contracts.directory.runs import RefreshRun, RefreshRuns, ReleaseOrder
from shared.db.session import Database

_RunId = Annotated[int, Path(ge=0, le=2**31 - 1)]


def run_routes(database: Database, refresher: Refresher) -> APIRouter:
    """``/runs``."""
    routes = APIRouter()

    @routes.get("/runs")
    async def runs(
        institution_no: Annotated[int | None, Query(ge=0, le=99_999_999)] = None,
        before: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> RefreshRuns:
        async with database.reading() as session:
            found = await last_runs(session, limit, institution_no=institution_no, before=before)
            return RefreshRuns(runs=found)

    @routes.get("/runs/{run_id}")
    async def run(run_id: _RunId) -> RefreshRun:
        async with database.reading() as session:
            return await one_run(session, run_id)

    @routes.post("/runs/{run_id}/release")
    async def release(run_id: _RunId, order: ReleaseOrder) -> RefreshRun:
        await refresher.release(run_id, order.released_by, order.note)
        async with database.reading() as session:
            return await one_run(session, run_id)

    return routes
