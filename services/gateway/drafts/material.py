"""The files of a package: from a request into the blob store, and from there to where the codec reads them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from starlette.requests import ClientDisconnect, Request

from services.gateway.uploads import UploadedFile
from shared.blobs import BlobRef, BlobStore, checked
from shared.domain.identifiers import Sha256
from shared.errors import DomainError, ErrorCode, Fault

LARGEST_SIGNATURE = 4 * 1024 * 1024
"""Bytes of one signature file: many signers with their certificates and revocation lists."""
_CHUNK = 256 * 1024
_DIGEST_HEADERS = ("repr-digest", "content-digest")
_ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512"}
_DIGEST = re.compile(r"([a-z0-9*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):")


async def receive(request: Request, blobs: BlobStore, limit: int) -> BlobRef:
    """Store the body of a request as it comes, and check the digest its headers claim (RFC 9530).

    Raises TOO_LARGE, UPLOAD_TRUNCATED, DIGEST_MISMATCH, DURABILITY_UNAVAILABLE; VALIDATION_FAILED for a digest
    that is none and for an empty body.
    """
    claimed = claimed_digests(request)
    try:
        stored = await blobs.put(_checked_body(request, claimed), limit=limit)
    except ClientDisconnect as error:
        raise DomainError(ErrorCode.UPLOAD_TRUNCATED, "the connection ended before the body did") from error
    if stored.size == 0:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the body is empty", faults=[Fault("/body", "has no bytes")])
    return stored


def claimed_digests(request: Request) -> dict[str, bytes]:
    """The digests of the body that the request's headers claim, of the algorithms known here."""
    claimed: dict[str, bytes] = {}
    for header in _DIGEST_HEADERS:
        for item in filter(None, map(str.strip, request.headers.get(header, "").split(","))):
            match = _DIGEST.fullmatch(item)
            try:
                value = base64.b64decode(match[2], validate=True) if match else b""
            except binascii.Error:
                value = b""
            if match is None or not value:
                fault = Fault(f"/header/{header.title()}", "is written sha-256=:<base64>:")
                raise DomainError(ErrorCode.VALIDATION_FAILED, "the digest header is malformed", faults=[fault])
            if match[1] in _ALGORITHMS and claimed.setdefault(_ALGORITHMS[match[1]], value) != value:
                raise DomainError(ErrorCode.DIGEST_MISMATCH, "the digest headers contradict each other")
    return claimed


async def _checked_body(request: Request, claimed: dict[str, bytes]) -> AsyncIterator[bytes]:
    running = {name: hashlib.new(name) for name in claimed}
    async for chunk in request.stream():
        for digest in running.values():
            digest.update(chunk)
        yield chunk
    for name, digest in running.items():
        if digest.digest() != claimed[name]:
            raise DomainError(ErrorCode.DIGEST_MISMATCH, f"the body has another {name} digest than its header says")


async def brought(blobs: BlobStore, sha256: str, spool: Path, stack: ExitStack) -> BinaryIO:
    """A file with the bytes of a blob, whose digest is checked; it has no name and vanishes with ``stack``."""
    file = stack.enter_context(tempfile.TemporaryFile(dir=spool))  # noqa: SIM115 - the stack closes it
    async for chunk in checked(blobs, sha256):
        await asyncio.to_thread(file.write, chunk)
    await asyncio.to_thread(file.flush)
    return file


def reopened(file: BinaryIO) -> Callable[[], BinaryIO]:
    """Opens a file without a name anew: the copies share its position, so nobody may read two at once."""

    def source() -> BinaryIO:
        copy = os.fdopen(os.dup(file.fileno()), "rb")
        copy.seek(0)
        return copy

    return source


def described_file(file: BinaryIO, filename: str) -> UploadedFile:
    """Size and digest of a file written here."""
    file.seek(0)
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    file.seek(0)
    return UploadedFile(file, filename, size, Sha256(digest.hexdigest()))
