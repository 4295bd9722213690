"""Accounts and their refreshes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from services.detsis_sync.accounts import Accounts
from services.detsis_sync.refresh.starting import RefreshSchedule
from shared.contracts.directory import RefreshRun, RegisterAccount
from shared.contracts.directory.runs import RefreshOrder
from shared.errors import DomainError, ErrorCode


def account_routes(accounts: Accounts, schedule: RefreshSchedule) -> APIRouter:
    """``/accounts``."""
    routes = APIRouter()

    @routes.put("/accounts/{institution_no}")
    async def put_account(institution_no: int, account: RegisterAccount) -> RegisterAccount:
        if account.institution_no != institution_no:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "path and body name different institutions")
        return await accounts.put(account)

    @routes.post("/accounts/{institution_no}/refreshes", status_code=202)
    async def start_refresh(
        institution_no: Annotated[int, Path(ge=0, le=99_999_999)], order: RefreshOrder | None = None
    ) -> RefreshRun:
        return await schedule.start(institution_no, "manual", None if order is None else order.mode)

    return routes
