"""Packages are put before the letter that carries them; what of it has to be signed can be had before that."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated

from fastapi import APIRouter, Query, Request

from services.kep_relay.outbound.content import letter_filename, signed_part
from shared.blobs import BlobStore
from shared.contracts.base import Contract
from shared.contracts.outbound import LONGEST_DOCUMENT_ID
from shared.domain.identifiers import Sha256, sha256_hex
from shared.errors import DomainError, ErrorCode, Fault
from shared.files import FileAnswer


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

    @routes.post("/message-contents/{sha256}", response_model=None)
    async def message_content(
        sha256: str,
        request: Request,
        filename: Annotated[str, Query(max_length=1000)],
        document_id: Annotated[str | None, Query(max_length=LONGEST_DOCUMENT_ID)] = None,
    ) -> FileAnswer:
        """The part that is signed of every message that carries the package in the body; nothing is kept."""
        expected = _digest(sha256)
        name = letter_filename(document_id, None, filename, expected)
        content = _limited(_checked(request.stream(), expected), max_bytes)
        size, digest = 0, hashlib.sha256()
        with ExitStack() as stack:
            spool = stack.enter_context(await asyncio.to_thread(tempfile.TemporaryFile))
            async for chunk in signed_part(name, content):
                digest.update(chunk)
                size += len(chunk)
                await asyncio.to_thread(spool.write, chunk)
            stack.pop_all()  # the answer closes it
        headers = {"Content-Length": str(size), "X-Content-SHA256": digest.hexdigest()}
        return FileAnswer(spool, "application/octet-stream", headers)

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


async def _checked(content: AsyncIterator[bytes], expected: str) -> AsyncIterator[bytes]:
    """The same bytes; raises DIGEST_MISMATCH at their end, before anything keeps them."""
    digest = hashlib.sha256()
    async for chunk in content:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != expected:
        raise DomainError(ErrorCode.DIGEST_MISMATCH, "the bytes received do not have the digest named in the path")
