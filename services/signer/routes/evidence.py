"""GET /internal/v1/evidence/{sha256}."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from services.signer.evidence_archive import EvidenceArchive, EvidenceMissing
from shared.errors import DomainError, ErrorCode


def evidence_routes(archive: EvidenceArchive | None) -> APIRouter:
    """One piece of evidence by its digest, as it was used; none without an archive."""
    router = APIRouter()

    @router.get("/evidence/{sha256}")
    async def evidence(sha256: str) -> Response:
        if archive is None:
            raise DomainError(ErrorCode.NOT_FOUND, "this signer keeps no evidence")
        try:
            encoded = await asyncio.to_thread(archive.read, sha256)
        except EvidenceMissing as error:
            raise DomainError(ErrorCode.NOT_FOUND, "no such piece of evidence") from error
        return Response(encoded, media_type="application/octet-stream")

    return router
