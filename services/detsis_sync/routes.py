"""The internal HTTP interface of detsis_sync."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, FastAPI, Path, Query
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync import mirror
from services.detsis_sync.accounts import Accounts
from services.detsis_sync.live import AddressResolver
from services.detsis_sync.nightly import Refresher
from shared.clock import Clock
from shared.contracts.directory import (
    DirectoryStatus,
    Freshness,
    RefreshRun,
    RegisterAccount,
    ResolutionAnswer,
    ResolutionRequest,
    UnitAnswer,
    UnitPage,
)
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode


def install(
    app: FastAPI,
    *,
    database: Database,
    accounts: Accounts,
    resolver: AddressResolver,
    refresher: Refresher,
    clock: Clock,
    stale_after: timedelta,
) -> None:
    """Add every route to ``app``."""
    router = APIRouter(prefix="/internal/v1")

    async def fresh(session: AsyncSession) -> Freshness:
        return await mirror.freshness(session, now=clock.now(), stale_after=stale_after)

    @router.get("/units")
    async def search_units(
        q: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 20,
        cursor: Annotated[str | None, Query(max_length=64)] = None,
        sendable_only: bool = False,
        main_institution: Annotated[int | None, Query(ge=0, le=99_999_999)] = None,
    ) -> UnitPage:
        async with database.reading() as session:
            page = await mirror.search(
                session, q, limit=limit, cursor=cursor, sendable_only=sendable_only, main_institution=main_institution
            )
            return UnitPage(units=page.units, next_cursor=page.next_cursor, freshness=await fresh(session))

    @router.get("/units/{detsis_no}")
    async def one_unit(detsis_no: int) -> UnitAnswer:
        if not 0 < detsis_no < 100_000_000:
            raise DomainError(ErrorCode.NOT_FOUND, "a DETSİS number has eight digits")
        async with database.reading() as session:
            found = await mirror.units(session, [detsis_no])
            if detsis_no not in found:
                raise DomainError(ErrorCode.NOT_FOUND, f"the mirror knows no unit {detsis_no}")
            return UnitAnswer(unit=found[detsis_no], freshness=await fresh(session))

    @router.post("/resolutions")
    async def resolve(request: ResolutionRequest) -> ResolutionAnswer:
        return await resolver.resolve(request)

    @router.get("/status")
    async def status() -> DirectoryStatus:
        async with database.reading() as session:
            return DirectoryStatus(
                freshness=await fresh(session),
                counts=await mirror.counts(session),
                last_runs=await mirror.last_runs(session),
            )

    @router.put("/accounts/{institution_no}")
    async def put_account(institution_no: int, account: RegisterAccount) -> RegisterAccount:
        if account.institution_no != institution_no:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "path and body name different institutions")
        return await accounts.put(account)

    @router.post("/accounts/{institution_no}/refreshes", status_code=202)
    async def start_refresh(institution_no: Annotated[int, Path(ge=0, le=99_999_999)]) -> RefreshRun:
        return await refresher.start(institution_no, "manual")

    app.include_router(router)
