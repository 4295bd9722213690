"""Client of detsis_sync for the data of one letter."""

from __future__ import annotations

from pydantic import SecretStr

from shared.contracts.directory import CorrespondenceData, CorrespondenceRequest
from shared.errors import ErrorCode
from shared.http import ServiceClient

_SECONDS = 60
"""DETSİS is asked up to four times in a row: about the sender (twice), the letter, and contacts."""


class CorrespondenceClient:
    """Raises ``DomainError``; DIRECTORY_UNAVAILABLE when detsis_sync cannot be reached."""

    def __init__(self, base_url: str, token: SecretStr) -> None:
        self._service = ServiceClient(
            base_url, token=token, unavailable=ErrorCode.DIRECTORY_UNAVAILABLE, timeout_seconds=_SECONDS
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()

    async def data(self, request: CorrespondenceRequest) -> CorrespondenceData:
        """The items a to j of EK-3/4 for one letter.

        Raises VALIDATION_FAILED, INSTITUTION_FORBIDDEN for a sender of another institution, DIRECTORY_REFUSED.
        """
        return await self._service.json(CorrespondenceData, "POST", "/correspondence-data", body=request)
