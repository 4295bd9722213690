"""POST /internal/v1/timestamps: a time-stamp over what another service is about to hand out."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from services.signer.routes.bodies import bounded
from services.signer.timestamping import Stamp
from shared.errors import DomainError, ErrorCode


def timestamp_routes(stamp: Stamp | None, *, limit: int) -> APIRouter:
    """Without an authority there is nothing to ask: NOT_FOUND."""
    router = APIRouter()

    @router.post("/timestamps")
    async def timestamp(request: Request) -> Response:
        if stamp is None:
            raise DomainError(ErrorCode.NOT_FOUND, "this signer has no time-stamp authority")
        content = b"".join([chunk async for chunk in bounded(request, limit)])
        if not content:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "there is nothing to stamp")
        # A token, and not an authority's answer: that has a media type of its own.
        return Response(await stamp(content), media_type="application/octet-stream")

    return router
