"""POST /internal/v1/verifications and /certificate-verifications."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Form, UploadFile
from pydantic import ValidationError

from services.signer.verifier import Verifier
from shared.contracts.signatures import (
    LONGEST_CERTIFICATE,
    CertificateVerificationReport,
    CertificateVerificationRequest,
    VerificationReport,
    VerificationRequest,
)
from shared.errors import DomainError, ErrorCode, Fault


def verification_routes(verifier: Verifier, *, file_limit: int) -> APIRouter:
    """Both resources; files are spooled to disk and read whole, at most ``file_limit`` bytes each."""
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

    @router.post("/certificate-verifications")
    async def verify_certificates(request: CertificateVerificationRequest) -> CertificateVerificationReport:
        certificates = _decoded(request.certificates)
        async with verifier.place():
            return await verifier.verify_certificates(request.purpose, certificates)

    return router


def _decoded(certificates: list[str]) -> list[bytes]:
    decoded, faults = [], []
    for index, text in enumerate(certificates):
        try:
            if len(text) > LONGEST_CERTIFICATE:
                raise ValueError(f"longer than {LONGEST_CERTIFICATE} characters")  # noqa: TRY301 - one way to a fault
            decoded.append(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError) as error:
            faults.append(Fault(f"/certificates/{index}", f"not base64 of a certificate: {error}"))
    if faults:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "a certificate could not be decoded", faults=faults)
    return decoded


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
