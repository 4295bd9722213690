"""Client of detsis_sync."""

from __future__ import annotations

from typing import Any

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
from shared.contracts.directory.addresses import KepAddressAnswer, UnitKepAddresses
from shared.contracts.directory.certificates import UnitCertificates, UnitEypVersions
from shared.contracts.directory.codes import CodeKind, CodePage, MainInstitutionPage, PlacePage
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

    async def kep_addresses(self, detsis_no: int, *, as_of: str | None = None) -> UnitKepAddresses:
        """All KEP addresses of a unit, and which one a letter would go to; raises as ``unit`` does."""
        path = f"/units/{detsis_no}/kep-addresses"
        return await self._service.json(UnitKepAddresses, "GET", path, params=_given(as_of=as_of))

    async def address_owner(self, address: str) -> KepAddressAnswer:
        """Whose KEP address it is; VALIDATION_FAILED for what is none, NOT_FOUND for one DETSİS never listed."""
        return await self._service.json(KepAddressAnswer, "GET", "/kep-addresses", params={"address": address})

    async def certificates(self, detsis_no: int) -> UnitCertificates:
        """Certificates that serve a unit, its own and its owner's, best first; their chains are not judged."""
        return await self._service.json(UnitCertificates, "GET", f"/units/{detsis_no}/certificates")

    async def eyp_versions(self, detsis_no: int) -> UnitEypVersions:
        """Which package versions a unit takes, as its institution last answered."""
        return await self._service.json(UnitEypVersions, "GET", f"/units/{detsis_no}/eyp-versions")

    async def codes(self, kind: CodeKind, *, cursor: str | None = None, limit: int = 500) -> CodePage:
        """Codes of one kind by number."""
        given = _given(cursor=cursor, limit=limit)
        return await self._service.json(CodePage, "GET", f"/codes/{kind.value}", params=given)

    async def places(self, *, province: int | None = None, cursor: str | None = None, limit: int = 500) -> PlacePage:
        """Places by number; of one province, or all."""
        given = _given(province=province, cursor=cursor, limit=limit)
        return await self._service.json(PlacePage, "GET", "/places", params=given)

    async def main_institutions(
        self,
        query: str = "",
        *,
        budget_type: int | None = None,
        legal_person: int | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> MainInstitutionPage:
        """Main institutions by name."""
        given = _given(q=query, budget_type=budget_type, legal_person=legal_person, cursor=cursor, limit=limit)
        return await self._service.json(MainInstitutionPage, "GET", "/main-institutions", params=given)

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


def _given(**parameters: Any) -> dict[str, Any]:
    """Query parameters without those nobody gave."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in parameters.items()
        if value is not None
    }
