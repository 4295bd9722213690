"""POST /internal/v1/signature-upgrades: signatures made elsewhere, raised to a level that proves itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Response, UploadFile

from services.signer.raising import Raising
from services.signer.routes.bodies import parsed_part
from services.signer.verifier import Verifier
from shared.contracts.signatures import SignatureUpgradeRequest
from shared.errors import DomainError, ErrorCode


def upgrade_routes(raising: Raising | None, verifier: Verifier, *, limit: int) -> APIRouter:
    """Files of at most ``limit`` bytes each, held in memory; NOT_FOUND without a time-stamp authority to ask."""
    router = APIRouter()

    @router.post("/signature-upgrades")
    async def upgrade(request: Annotated[str, Form()], file: UploadFile, content: UploadFile | None = None) -> Response:
        asked = parsed_part(SignatureUpgradeRequest, request)
        if raising is None:
            raise DomainError(ErrorCode.NOT_FOUND, "this signer has no time-stamp authority")
        async with verifier.place():
            signed = await _bytes(file, limit)
            covered = None if content is None else await _bytes(content, limit)
            raised = await raising.raise_level(signed, covered, asked.level, asked.profile)
        return Response(raised, media_type="application/pkcs7-signature")

    return router


async def _bytes(upload: UploadFile, limit: int) -> bytes:
    if upload.size is None or upload.size > limit:
        raise DomainError(ErrorCode.TOO_LARGE, f"a part is larger than {limit} bytes")
    return await upload.read()
