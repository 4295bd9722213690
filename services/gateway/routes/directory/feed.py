"""State of the mirror."""

from __future__ import annotations

from fastapi import APIRouter

from services.gateway import examples
from services.gateway.callers import Scope
from services.gateway.deps import GatewayParts
from services.gateway.operations import operation
from shared.contracts.directory import DirectoryStatus
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1/directory", tags=["Directory"])


@router.get(
    "/status",
    operation_id="getDirectoryStatus",
    summary="Read the mirror's state",
    **operation(
        Scope.DIRECTORY_READ, Scope.ADMIN, answer=examples.DIRECTORY_STATUS, problems=(ErrorCode.DIRECTORY_UNAVAILABLE,)
    ),
)
async def get_status(gateway: GatewayParts) -> DirectoryStatus:
    """Age and size of the mirror and its last refreshes."""
    return await gateway.directory.status()
