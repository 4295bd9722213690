"""POST /internal/v1/verifications and /certificate-verifications."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, UploadFile

from services.signer.routes.bodies import decoded_certificates, parsed_part
from services.signer.verifier import Verifier
from services.signer.workers.worker import Source
from shared.contracts.signatures import (
    CertificateVerificationReport,
    CertificateVerificationRequest,
    VerificationReport,
    VerificationRequest,
)
from shared.errors import DomainError, ErrorCode

_IN_MEMORY = 256 * 1024
"""Bytes; more than this goes to a worker as a file."""


def verification_routes(verifier: Verifier, *, file_limit: int) -> APIRouter:
    """Both resources; files of at most ``file_limit`` bytes each, of which the larger ones are spooled to disk."""
    router = APIRouter()

    @router.post("/verifications")
    async def verify(
        request: Annotated[str, Form()], file: UploadFile, content: UploadFile | None = None
    ) -> VerificationReport:
        asked = parsed_part(VerificationRequest, request)
        async with verifier.place():
            return await verifier.verify(
                asked,
                await _source(file, file_limit),
                None if content is None else await _source(content, file_limit),
            )

    @router.post("/certificate-verifications")
    async def verify_certificates(request: CertificateVerificationRequest) -> CertificateVerificationReport:
        certificates = decoded_certificates(request.certificates)
        async with verifier.place():
            return await verifier.verify_certificates(request.purpose, certificates)

    return router


async def _source(upload: UploadFile, limit: int) -> Source:
    """The bytes of a small part; a large one stays in its file."""
    if upload.size is None or upload.size > limit:
        raise DomainError(ErrorCode.TOO_LARGE, f"a part is larger than {limit} bytes")
    return await upload.read() if upload.size <= _IN_MEMORY else upload.file
