"""POST /internal/v1/verifications."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, UploadFile
from pydantic import ValidationError

from services.signer.verifier import Verifier
from shared.contracts.signatures import VerificationReport, VerificationRequest
from shared.errors import DomainError, ErrorCode, Fault


def verification_routes(verifier: Verifier, *, file_limit: int) -> APIRouter:
    """The verification resource; files are spooled to disk and read whole, at most ``file_limit`` bytes each."""
    router = APIRouter()

    @router.post("/verifications")
    async def verify(
        request: Annotated[str, Form()], file: UploadFile, content: UploadFile | None = None
    ) -> VerificationReport:
        parsed = _parsed(request)
        async with verifier.place():
            return await verifier.verify(
                parsed,
                await _whole(file, file_limit),
                None if content is None else await _whole(content, file_limit),
            )

    return router


def _parsed(text: str) -> VerificationRequest:
    try:
        return VerificationRequest.model_validate_json(text)
    except ValidationError as error:
        faults = [
            Fault("/request/" + "/".join(str(step) for step in item["loc"]), item["msg"])
            for item in error.errors(include_input=False, include_url=False)[:20]
        ]
        raise DomainError(
            ErrorCode.VALIDATION_FAILED, "the request part is not as documented", faults=faults
        ) from error


async def _whole(upload: UploadFile, limit: int) -> bytes:
    if upload.size is not None and upload.size > limit:
        raise DomainError(ErrorCode.TOO_LARGE, f"a part is larger than {limit} bytes")
    return await upload.read()
