"""Client of detsis_sync."""

from __future__ import annotations

from pydantic import SecretStr

from shared.contracts.directory import (
    DirectoryStatus,
    RefreshRun,
    RegisterAccount,
    ResolutionAnswer,
    ResolutionRequest,
    UnitAnswer,
    UnitPage,
)
from shared.errors import ErrorCode
from shared.http import ServiceClient


class DirectoryClient:
    """Asks the directory. Every method raises ``DomainError``; DIRECTORY_UNAVAILABLE when it cannot be reached."""

    def __init__(self, base_url: str, token: SecretStr) -> None:
        self._service = ServiceClient(
            base_url, token=token, unavailable=ErrorCode.DIRECTORY_UNAVAILABLE, timeout_seconds=40
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()

    async def search(
        self, query: str, *, limit: int, cursor: str | None, sendable_only: bool, main_institution: int | None
    ) -> UnitPage:
        """Units whose name fits ``query``, best first; an empty query lists by number."""
        wanted: dict[str, str | int | None] = {
            "q": query, "limit": limit, "cursor": cursor, "sendable_only": str(sendable_only).lower(),
            "main_institution": main_institution,
        }  # fmt: skip
        parameters = {name: value for name, value in wanted.items() if value is not None}
        return await self._service.json(UnitPage, "GET", "/units", params=parameters)

    async def unit(self, detsis_no: int) -> UnitAnswer:
        """One unit; NOT_FOUND if the mirror has never seen it."""
        return await self._service.json(UnitAnswer, "GET", f"/units/{detsis_no}")

    async def resolve(self, request: ResolutionRequest) -> ResolutionAnswer:
        """Where each recipient of a letter is reached: live, or from the mirror when DETSİS is down."""
        return await self._service.json(ResolutionAnswer, "POST", "/resolutions", body=request)

    async def status(self) -> DirectoryStatus:
        """Age and size of the mirror, last runs."""
        return await self._service.json(DirectoryStatus, "GET", "/status")

    async def refresh(self, institution_no: int) -> RefreshRun:
        """Start a manual refresh now; returns the run, which goes on in the background."""
        return await self._service.json(RefreshRun, "POST", f"/accounts/{institution_no}/refreshes")

    async def put_account(self, account: RegisterAccount) -> RegisterAccount:
        """Create or change an institution's DETSİS account; the answer has no password."""
        return await self._service.json(RegisterAccount, "PUT", f"/accounts/{account.institution_no}", body=account)
