"""Packages are put before the letter that carries them; what of it has to be signed can be had before that."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from services.kep_relay.outbound.client_signature import letter_filename
from services.kep_relay.outbound.content import signed_part
from shared.blobs import CHUNK, BlobStore
from shared.contracts.base import Contract
from shared.contracts.outbound import LONGEST_DOCUMENT_ID
from shared.domain.identifiers import Sha256, sha256_hex
from shared.errors import DomainError, ErrorCode, Fault


class StoredPackage(Contract):
    """What was stored."""

    sha256: str
    size: int


def package_routes(blobs: BlobStore, *, max_bytes: int) -> APIRouter:
    """``PUT /packages/{sha256}`` and ``POST /message-contents/{sha256}``."""
    routes = APIRouter()

    @routes.put("/packages/{sha256}")
    async def put_package(sha256: str, request: Request) -> StoredPackage:
        expected = _digest(sha256)
        stored = await blobs.put(_checked(request.stream(), expected), limit=max_bytes)
        return StoredPackage(sha256=stored.sha256, size=stored.size)

    @routes.post("/message-contents/{sha256}")
    async def message_content(
        sha256: str,
        request: Request,
        filename: Annotated[str, Query(max_length=1000)],
        document_id: Annotated[str | None, Query(max_length=LONGEST_DOCUMENT_ID)] = None,
    ) -> StreamingResponse:
        """The part that is signed of every message that carries the package in the body; nothing is kept."""
        expected = _digest(sha256)
        name = letter_filename(document_id, None, filename, expected)
        content = _limited(_checked(request.stream(), expected), max_bytes)
        spool = await asyncio.to_thread(tempfile.TemporaryFile)
        try:
            size, digest = 0, hashlib.sha256()
            async for chunk in signed_part(name, content):
                digest.update(chunk)
                size += len(chunk)
                await asyncio.to_thread(spool.write, chunk)
        except BaseException:
            spool.close()
            raise
        headers = {"Content-Length": str(size), "X-Content-SHA256": digest.hexdigest()}
        return StreamingResponse(_spooled(spool), media_type="application/octet-stream", headers=headers)

    return routes


def _digest(sha256: str) -> Sha256:
    try:
        return sha256_hex(sha256)
    except ValueError as error:
        faults = [Fault("/path/sha256", str(error))]
        raise DomainError(ErrorCode.VALIDATION_FAILED, str(error), faults=faults) from error


async def _limited(content: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in content:
        size += len(chunk)
        if size > most:
            raise DomainError(ErrorCode.TOO_LARGE, f"a package has at most {most} bytes")
        yield chunk


async def _spooled(spool: IO[bytes]) -> AsyncIterator[bytes]:
    """From the start; closed at the end, however it comes."""
    try:
        await asyncio.to_thread(spool.seek, 0)
        while chunk := await asyncio.to_thread(spool.read, CHUNK):
            yield chunk
    finally:
        spool.close()


async def _checked(content: AsyncIterator[bytes], expected: str) -> AsyncIterator[bytes]:
    """The same bytes; raises DIGEST_MISMATCH at their end, before anything keeps them."""
    digest = hashlib.sha256()
    async for chunk in content:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != expected:
        raise DomainError(ErrorCode.DIGEST_MISMATCH, "the bytes received do not have the digest named in the path")
