"""Packages are put before the letter that carries them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request

from shared.blobs import BlobStore
from shared.contracts.base import Contract
from shared.domain.identifiers import sha256_hex
from shared.errors import DomainError, ErrorCode, Fault


class StoredPackage(Contract):
    """What was stored."""

    sha256: str
    size: int


def package_routes(blobs: BlobStore, *, max_bytes: int) -> APIRouter:
    """``PUT /packages/{sha256}``."""
    routes = APIRouter()

    @routes.put("/packages/{sha256}")
    async def put_package(sha256: str, request: Request) -> StoredPackage:
        try:
            expected = sha256_hex(sha256)
        except ValueError as error:
            raise DomainError(
                ErrorCode.VALIDATION_FAILED, str(error), faults=[Fault("/path/sha256", str(error))]
            ) from error
        stored = await blobs.put(_checked(request.stream(), expected), limit=max_bytes)
        return StoredPackage(sha256=stored.sha256, size=stored.size)

    return routes


async def _checked(content: AsyncIterator[bytes], expected: str) -> AsyncIterator[bytes]:
    """The same bytes; raises DIGEST_MISMATCH at their end, before anything keeps them."""
    digest = hashlib.sha256()
    async for chunk in content:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != expected:
        raise DomainError(ErrorCode.DIGEST_MISMATCH, "the bytes received do not have the digest named in the path")
