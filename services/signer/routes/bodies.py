"""What the routes have in common: request bodies and their parts within limits, and who asked."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from typing import IO, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from shared.contracts.signatures import LONGEST_CERTIFICATE
from shared.errors import DomainError, ErrorCode, Fault
from shared.telemetry.logging import correlation_id

_WRITE_BYTES = 1024 * 1024

ModelT = TypeVar("ModelT", bound=BaseModel)


def requester(request: Request) -> str:
    """Who asked, as far as one can tell inside the cluster: peer address and correlation id."""
    peer = request.client.host if request.client else "?"
    return f"{peer} {correlation_id.get()}"


async def bounded(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes; raises ``DomainError`` (TOO_LARGE)."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise DomainError(ErrorCode.TOO_LARGE, f"the body is larger than {limit} bytes")
        if chunk:
            yield chunk


async def write_body(request: Request, limit: int, file: IO[bytes]) -> None:
    """The body into a file, in few and large steps; raises as ``bounded`` does."""
    gathered = bytearray()
    async for chunk in bounded(request, limit):
        gathered += chunk
        if len(gathered) >= _WRITE_BYTES:
            await asyncio.to_thread(file.write, bytes(gathered))
            gathered.clear()
    await asyncio.to_thread(file.write, bytes(gathered))


def parsed_part(model: type[ModelT], text: str) -> ModelT:
    """The JSON part ``request`` of a form; raises ``DomainError`` (VALIDATION_FAILED)."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        faults = [
            Fault("/request/" + "/".join(str(step) for step in item["loc"]), item["msg"])
            for item in error.errors(include_input=False, include_url=False)[:20]
        ]
        raise DomainError(
            ErrorCode.VALIDATION_FAILED, "the request part is not as documented", faults=faults
        ) from error


def decoded_certificates(certificates: Sequence[str]) -> list[bytes]:
    """Certificates out of base64; raises ``DomainError`` (VALIDATION_FAILED) naming each that is none."""
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
