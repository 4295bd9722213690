"""Client of detsis_sync for what DETSİS itself is asked: the live register, and details of units."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, TypeVar

from pydantic import SecretStr

from shared.contracts.base import Contract
from shared.contracts.directory import UnitAnswer, UnitPage
from shared.contracts.directory.certificates import UnitEypVersions
from shared.contracts.directory.live import (
    DetsisOfficers,
    FilePlanPage,
    FormerNumbers,
    LiveChoice,
    UnitContacts,
    UnitManagers,
    UnitUetsNumbers,
)
from shared.errors import ErrorCode
from shared.http import ServiceClient

_SECONDS = 60
Answer = TypeVar("Answer", bound=Contract)


class LiveClient:
    """Asks as an institution.

    Every method raises ``DomainError``: DIRECTORY_UNAVAILABLE when DETSİS or detsis_sync does not answer,
    DIRECTORY_REFUSED when DETSİS says no, STATE_CONFLICT when the institution has no account at DETSİS.
    """

    def __init__(self, base_url: str, token: SecretStr) -> None:
        self._service = ServiceClient(
            base_url, token=token, unavailable=ErrorCode.DIRECTORY_UNAVAILABLE, timeout_seconds=_SECONDS
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()

    async def choice(self, institutions: Sequence[int]) -> LiveChoice:
        """Whether a caller of these institutions is to be answered live."""
        return await self._service.json(
            LiveChoice, "GET", "/live/choice", params={"institution": list(institutions) or [0]}
        )

    async def main_institutions(
        self, institution_no: int, query: str = "", *, cursor: str | None = None, limit: int = 50
    ) -> UnitPage:
        """Main institutions by name; with ``query`` those that have its words."""
        given = _given(institution_no, q=query, cursor=cursor, limit=limit)
        return await self._service.json(UnitPage, "GET", "/live/main-institutions", params=given)

    async def search(
        self,
        institution_no: int,
        query: str,
        *,
        main_institution: int | None = None,
        cursor: str | None = None,
        limit: int = 20,
    ) -> UnitPage:
        """Units with ``query`` in their name, or with that number; VALIDATION_FAILED below five letters."""
        given = _given(institution_no, q=query, main_institution=main_institution, cursor=cursor, limit=limit)
        return await self._service.json(UnitPage, "GET", "/live/units", params=given)

    async def unit(self, institution_no: int, detsis_no: int) -> UnitAnswer:
        """One unit; NOT_FOUND."""
        return await self._service.json(UnitAnswer, "GET", f"/live/units/{detsis_no}", params=_given(institution_no))

    async def children(
        self,
        institution_no: int,
        detsis_no: int,
        *,
        open_only: bool = False,
        cursor: str | None = None,
        limit: int = 50,
    ) -> UnitPage:
        """Units directly below one; NOT_FOUND."""
        given = _given(institution_no, open_only=str(open_only).lower(), cursor=cursor, limit=limit)
        return await self._service.json(UnitPage, "GET", f"/live/units/{detsis_no}/children", params=given)

    async def ancestors(self, institution_no: int, detsis_no: int) -> UnitPage:
        """Units above one, nearest first; NOT_FOUND."""
        return await self._service.json(
            UnitPage, "GET", f"/live/units/{detsis_no}/ancestors", params=_given(institution_no)
        )

    async def contacts(self, institution_no: int, detsis_no: int) -> UnitContacts:
        """How a unit is reached besides KEP; recent stored ones are used, and an institution without account gets only those."""
        return await self._detail(UnitContacts, f"units/{detsis_no}/contacts", institution_no)

    async def uets_numbers(self, institution_no: int, detsis_no: int) -> UnitUetsNumbers:
        """A unit's UETS numbers."""
        return await self._detail(UnitUetsNumbers, f"units/{detsis_no}/uets-numbers", institution_no)

    async def managers(self, institution_no: int, detsis_no: int, on: date | None = None) -> UnitManagers:
        """Who leads a unit, today or on a Turkish local day."""
        day = None if on is None else on.isoformat()
        return await self._detail(UnitManagers, f"units/{detsis_no}/managers", institution_no, on=day)

    async def eyp_versions(self, institution_no: int, detsis_no: int) -> UnitEypVersions:
        """The package versions an institution takes."""
        return await self._detail(UnitEypVersions, f"units/{detsis_no}/eyp-versions", institution_no)

    async def officers(self, institution_no: int) -> DetsisOfficers:
        """Whom to call to have the institution's own data corrected."""
        return await self._detail(DetsisOfficers, "officers", institution_no)

    async def file_plan(
        self, institution_no: int, detsis_no: int, *, cursor: str | None = None, limit: int = 200
    ) -> FilePlanPage:
        """A main institution's file plan."""
        path = f"main-institutions/{detsis_no}/file-plan"
        return await self._detail(FilePlanPage, path, institution_no, cursor=cursor, limit=limit)

    async def former_numbers(self, institution_no: int, numbers: Sequence[str]) -> FormerNumbers:
        """The units that have these numbers of the older register."""
        return await self._detail(FormerNumbers, "former-numbers", institution_no, number=list(numbers))

    async def _detail(self, answer: type[Answer], path: str, institution_no: int, **parameters: Any) -> Answer:
        return await self._service.json(answer, "GET", f"/details/{path}", params=_given(institution_no, **parameters))


def _given(institution_no: int, **parameters: Any) -> dict[str, Any]:
    given = {name: value for name, value in parameters.items() if value is not None}
    return {"institution_no": institution_no, **given}
