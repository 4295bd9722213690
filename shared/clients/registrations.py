"""Client of detsis_sync for KEP registrations: the gateway works with them, kep_relay tells of verification mails."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from pydantic import SecretStr

from shared.contracts.directory.registrations import (
    AddressGuard,
    FactReport,
    NewRegistration,
    RegistrationDetail,
    RegistrationPage,
    RegistrationState,
    VerificationNotice,
)
from shared.errors import ErrorCode
from shared.http import ServiceClient


class RegistrationsClient:
    """Every method raises ``DomainError``; DIRECTORY_UNAVAILABLE when detsis_sync cannot be reached.

    ``institutions`` confines every answer to these; registrations of others are NOT_FOUND.
    """

    def __init__(self, base_url: str, token: SecretStr) -> None:
        self._service = ServiceClient(
            base_url, token=token, unavailable=ErrorCode.DIRECTORY_UNAVAILABLE, timeout_seconds=40
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()

    async def open(self, wanted: NewRegistration) -> RegistrationDetail:
        """Raises VALIDATION_FAILED (address, unit), STATE_CONFLICT (one is open already), DIRECTORY_UNAVAILABLE."""
        return await self._service.json(RegistrationDetail, "POST", "/registrations", body=wanted)

    async def page(
        self,
        institutions: Sequence[int],
        *,
        states: Sequence[RegistrationState] = (),
        cursor: str | None = None,
        limit: int = 50,
    ) -> RegistrationPage:
        """Newest first."""
        parameters = _of(institutions) | {"limit": limit}
        if states:
            parameters["state"] = [state.value for state in states]
        if cursor is not None:
            parameters["cursor"] = cursor
        return await self._service.json(RegistrationPage, "GET", "/registrations", params=parameters)

    async def one(self, institutions: Sequence[int], registration_id: UUID) -> RegistrationDetail:
        """One registration; DETSİS is asked first if it has not been for a while."""
        path = f"/registrations/{registration_id}"
        return await self._service.json(RegistrationDetail, "GET", path, params=_of(institutions))

    async def report(self, institutions: Sequence[int], registration_id: UUID, fact: FactReport) -> RegistrationDetail:
        """Write a fact down; the same again changes nothing. Raises STATE_CONFLICT."""
        path = f"/registrations/{registration_id}/facts"
        return await self._service.json(RegistrationDetail, "POST", path, params=_of(institutions), body=fact)

    async def announce(self, notice: VerificationNotice) -> None:
        """Tell that a verification mail came; without an open registration of its address nothing happens."""
        await self._service.json(VerificationNotice, "POST", "/registrations/verification-mails", body=notice)

    async def guard(self, institution_no: int, address: str) -> AddressGuard:
        """Whether the mailbox of an address may be closed; DETSİS is asked live, with the mirror as fallback."""
        parameters = {"institution": institution_no, "address": address}
        return await self._service.json(AddressGuard, "GET", "/registrations/address-guard", params=parameters)


def _of(institutions: Sequence[int]) -> dict[str, list[int] | list[str] | int | str]:
    if not institutions:
        raise ValueError("a query without institutions would be a query over all of them")
    return {"institution": list(institutions)}
