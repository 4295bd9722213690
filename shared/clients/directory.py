"""Client of detsis_sync."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
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
from shared.contracts.directory.history import ChangeFeed, ChangeSubject, UnitHistory
from shared.contracts.directory.runs import RefreshMode, RefreshOrder, RefreshRunAnswer, RefreshRuns, ReleaseOrder
from shared.contracts.directory.tree import Ancestors, ChildPage
from shared.errors import ErrorCode
from shared.http import ServiceClient

_RELEASE_SECONDS = 180
"""Publishing the whole register takes a while, and somebody waits for it."""


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
        self, query: str, *, limit: int, cursor: str | None = None, **narrowing: bool | int | None
    ) -> UnitPage:
        """Units whose name fits ``query``, best first; an empty query lists by number.

        ``narrowing``: ``sendable_only``, ``main_institution``, ``category_id``, ``status_id``, ``place_id``,
        ``province_code``, ``active``, ``external_addressee``; None does not confine.
        """
        given = _given(q=query, limit=limit, cursor=cursor, **narrowing)
        return await self._service.json(UnitPage, "GET", "/units", params=given)

    async def search_json(
        self, query: str, *, limit: int, cursor: str | None = None, **narrowing: bool | int | None
    ) -> bytes:
        """``search`` for passing on: a ``UnitPage`` as JSON, unread."""
        given = _given(q=query, limit=limit, cursor=cursor, **narrowing)
        return (await self._service.call("GET", "/units", params=given)).content

    async def unit(self, detsis_no: int, *, as_of: str | None = None) -> UnitAnswer:
        """One unit, now or as it was (an RFC 3339 time, or a date: the end of that day in Turkey).

        NOT_FOUND if the mirror has never seen it, or did not know it then; VALIDATION_FAILED for the future.
        """
        return await self._service.json(UnitAnswer, "GET", f"/units/{detsis_no}", params=_given(as_of=as_of))

    async def unit_json(self, detsis_no: int, *, as_of: str | None = None) -> bytes:
        """``unit`` for passing on: a ``UnitAnswer`` as JSON, unread."""
        return (await self._service.call("GET", f"/units/{detsis_no}", params=_given(as_of=as_of))).content

    async def children(
        self, detsis_no: int, *, open_only: bool = False, cursor: str | None = None, limit: int = 50
    ) -> ChildPage:
        """Units directly below one, open ones first, then by name."""
        given = _given(open_only=open_only, cursor=cursor, limit=limit)
        return await self._service.json(ChildPage, "GET", f"/units/{detsis_no}/children", params=given)

    async def ancestors(self, detsis_no: int) -> Ancestors:
        """Units above one, nearest first."""
        return await self._service.json(Ancestors, "GET", f"/units/{detsis_no}/ancestors")

    async def unit_history(self, detsis_no: int, *, cursor: str | None = None, limit: int = 50) -> UnitHistory:
        """Changes of one unit and what belongs to it, newest first."""
        given = _given(cursor=cursor, limit=limit)
        return await self._service.json(UnitHistory, "GET", f"/units/{detsis_no}/changes", params=given)

    async def changes(
        self, *, after: str | None = None, types: Sequence[ChangeSubject] = (), limit: int = 200
    ) -> ChangeFeed:
        """Changes of the whole register after a cursor, oldest first."""
        given = _given(after=after, types=list(types) or None, limit=limit)
        return await self._service.json(ChangeFeed, "GET", "/changes", params=given)

    def export(
        self, *, open_only: bool, compressed: bool, if_none_match: str | None = None
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """The whole mirror as a stream of lines; 304 if it is what ``if_none_match`` names.

        Raises RATE_LIMITED while others take theirs, NOT_FOUND before the first snapshot.
        """
        headers = {"Accept-Encoding": "gzip" if compressed else "identity"}
        if if_none_match is not None:
            headers["If-None-Match"] = if_none_match
        return self._service.download("/export", params=_given(open_only=open_only), headers=headers)

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

    async def status(self, institutions: Sequence[int] | None = None) -> DirectoryStatus:
        """Age and size of the mirror; last refreshes and accounts of these institutions, or of all."""
        return await self._service.json(DirectoryStatus, "GET", "/status", params=_visible(institutions))

    async def runs(
        self, institutions: Sequence[int] | None = None, *, cursor: str | None = None, limit: int = 20
    ) -> RefreshRuns:
        """Refreshes of these institutions, or of all, newest first."""
        given = _visible(institutions) | _given(cursor=cursor, limit=limit)
        return await self._service.json(RefreshRuns, "GET", "/runs", params=given)

    async def run(self, run_id: int) -> RefreshRun:
        """The report of one refresh with all its lists; NOT_FOUND."""
        return (await self.run_of(run_id)).run

    async def run_of(self, run_id: int, institutions: Sequence[int] | None = None) -> RefreshRunAnswer:
        """The same with its freshness; NOT_FOUND unless it is one of these institutions, if they are given."""
        return await self._service.json(RefreshRunAnswer, "GET", f"/runs/{run_id}", params=_visible(institutions))

    async def release(self, run_id: int, order: ReleaseOrder) -> RefreshRun:
        """Let a refused refresh through; NOT_FOUND, or STATE_CONFLICT when there is nothing to release (any more)."""
        return await self._service.json(
            RefreshRun, "POST", f"/runs/{run_id}/release", body=order, timeout=_RELEASE_SECONDS
        )

    async def refresh(self, institution_no: int, mode: RefreshMode | None = None) -> RefreshRun:
        """Start a manual refresh now; returns the run, which goes on in the background."""
        path = f"/accounts/{institution_no}/refreshes"
        return await self._service.json(RefreshRun, "POST", path, body=RefreshOrder(mode=mode))

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


def _visible(institutions: Sequence[int] | None) -> dict[str, Any]:
    # A caller without institutions sees nothing, and an empty list would be no parameter at all.
    return {} if institutions is None else {"institution": list(institutions) or [0]}
