"""Content-addressed storage of bytes: a local directory with fsync, or any S3-compatible service.

A blob is named by its SHA-256, written once and never changed, so writing it twice is harmless and
a reader can always check what it got.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore, from_url

from shared.domain.identifiers import Sha256, sha256_hex
from shared.errors import DomainError, ErrorCode
from shared.files import CHUNK

if TYPE_CHECKING:
    from obstore.store import RetryConfig

_AT_ONCE = 1024 * 1024
"""Bytes at hand that one thread writes in one go: each change of threads costs more than writing a piece."""

_RETRIES: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
"""The library's own ten retries in three minutes outlast every caller: failing soon is what a 503 is for."""


@dataclass(frozen=True)
class BlobRef:
    """A stored blob: its digest and its size in bytes."""

    sha256: Sha256
    size: int


class BlobStore(Protocol):
    """Where one service keeps its bytes.

    Every method raises ``DomainError``: DURABILITY_UNAVAILABLE when the store cannot do its work,
    TOO_LARGE beyond ``limit``, NOT_FOUND for a digest it does not hold.
    """

    async def put(self, content: AsyncIterable[bytes] | bytes, *, limit: int) -> BlobRef:
        """Store ``content`` durably (it survives a power cut once this returns). ``limit`` is in bytes."""
        ...

    def stream(self, sha256: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to but not including ``end``, in chunks."""
        ...

    async def get(self, sha256: str, *, limit: int) -> bytes:
        """The whole blob, which must not be larger than ``limit`` bytes; its digest is checked."""
        ...

    async def size(self, sha256: str) -> int | None:
        """Size in bytes, or None if there is no such blob."""
        ...

    async def delete(self, sha256: str) -> None:
        """Remove a blob; nothing happens when it is gone already. Whoever calls knows that nobody needs it."""
        ...

    async def check(self) -> None:
        """Raise unless a blob could be stored now."""
        ...

    async def free_bytes(self) -> int | None:
        """Room left, or None where that question has no answer."""
        ...


def open_blob_store(url: str) -> BlobStore:
    """The store at ``file:///directory`` or ``s3://bucket/prefix``.

    For the latter AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, for a service that is not Amazon's,
    AWS_ENDPOINT_URL are read from the environment. Raises ``ValueError`` for any other scheme.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path.strip("/"):
            raise ValueError("a file:// URL of the blob store must name an absolute directory: file:///directory")
        return LocalBlobStore(Path(unquote(parts.path)))
    if parts.scheme in {"s3", "s3a"}:
        return ObjectBlobStore(from_url(url, retry_config=_RETRIES))
    raise ValueError("the blob store must be a file:// or s3:// URL")


class LocalBlobStore:
    """Blobs as files, two directory levels deep; a blob is complete and synced before it has its name."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._incoming = directory / "incoming"

    async def put(self, content: AsyncIterable[bytes] | bytes, *, limit: int) -> BlobRef:
        """See ``BlobStore.put``."""
        temporary = self._incoming / secrets.token_hex(16)
        if isinstance(content, bytes) and len(content) <= _AT_ONCE:
            _require_within(len(content), limit)
            with _storage_faults():
                return await asyncio.to_thread(self._put_whole, temporary, content)
        with _storage_faults():
            await asyncio.to_thread(_make_directory, self._incoming)
        try:
            reference = await _spool(temporary, content, limit)
            with _storage_faults():
                await asyncio.to_thread(self._keep, temporary, reference)
        finally:
            with _storage_faults():
                await asyncio.to_thread(temporary.unlink, missing_ok=True)
        return reference

    def _put_whole(self, temporary: Path, content: bytes) -> BlobRef:
        _make_directory(self._incoming)
        reference = BlobRef(Sha256(hashlib.sha256(content).hexdigest()), len(content))
        try:
            with _create(temporary) as file:
                file.write(content)
                _sync_file(file)
            self._keep(temporary, reference)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return reference

    def _keep(self, temporary: Path, reference: BlobRef) -> None:
        """Give the synced file its name. A blob that is there already is written over: it may be damaged."""
        final = self._path(reference.sha256)
        _make_directory(final.parent)
        temporary.replace(final)
        # Never skipped: whoever made these entries a moment ago may not have synced them yet.
        for directory in (final.parent, final.parent.parent, self._directory):
            _sync_directory(directory)

    async def stream(self, sha256: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See ``BlobStore.stream``."""
        with _storage_faults():
            file = await asyncio.to_thread(self._open, sha256, start)
            try:
                left = None if end is None else end - start
                while left is None or left > 0:
                    chunk = await asyncio.to_thread(file.read, CHUNK if left is None else min(CHUNK, left))
                    if not chunk:
                        break
                    if left is not None:
                        left -= len(chunk)
                    yield chunk
            finally:
                file.close()

    def _open(self, sha256: str, start: int) -> BinaryIO:
        file = self._path(sha256).open("rb")
        file.seek(start)
        return file

    async def get(self, sha256: str, *, limit: int) -> bytes:
        """See ``BlobStore.get``."""
        return await _collect(self, sha256, limit)

    async def size(self, sha256: str) -> int | None:
        """See ``BlobStore.size``."""
        with _storage_faults(), contextlib.suppress(FileNotFoundError):
            return (await asyncio.to_thread(self._path(sha256).stat)).st_size
        return None

    async def delete(self, sha256: str) -> None:
        """See ``BlobStore.delete``."""
        path = self._path(sha256)
        with _storage_faults(), contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(path.unlink)
            await asyncio.to_thread(_sync_directory, path.parent)

    async def check(self) -> None:
        """See ``BlobStore.check``."""
        await self.put(b"writable", limit=64)

    async def free_bytes(self) -> int | None:
        """See ``BlobStore.free_bytes``."""
        with _storage_faults():
            await asyncio.to_thread(_make_directory, self._directory)
            return (await asyncio.to_thread(shutil.disk_usage, self._directory)).free

    def _path(self, sha256: str) -> Path:
        digest = sha256_hex(sha256)
        return self._directory / digest[:2] / digest[2:4] / digest


class ObjectBlobStore:
    """Blobs as objects of an S3-compatible service."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(self, content: AsyncIterable[bytes] | bytes, *, limit: int) -> BlobRef:
        """See ``BlobStore.put``. Spooled locally first: the name is known only after the last byte."""
        with _storage_faults():
            directory = await asyncio.to_thread(tempfile.mkdtemp, prefix="kepgw-blob-")
        try:
            temporary = Path(directory) / "blob"
            reference = await _spool(temporary, content, limit)
            with _storage_faults():
                await obstore.put_async(self._store, reference.sha256, temporary)
        finally:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        return reference

    async def stream(self, sha256: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See ``BlobStore.stream``."""
        with _storage_faults():
            size = await self.size(sha256)
            if size is None:
                raise FileNotFoundError(sha256)
            stop = size if end is None else min(end, size)
            for offset in range(start, stop, CHUNK * 4):
                last = min(offset + CHUNK * 4, stop)
                yield bytes(await obstore.get_range_async(self._store, sha256_hex(sha256), start=offset, end=last))

    async def get(self, sha256: str, *, limit: int) -> bytes:
        """See ``BlobStore.get``."""
        return await _collect(self, sha256, limit)

    async def size(self, sha256: str) -> int | None:
        """See ``BlobStore.size``."""
        with _storage_faults(), contextlib.suppress(FileNotFoundError, NotFoundError):
            return (await obstore.head_async(self._store, sha256_hex(sha256)))["size"]
        return None

    async def delete(self, sha256: str) -> None:
        """See ``BlobStore.delete``."""
        with _storage_faults(), contextlib.suppress(FileNotFoundError, NotFoundError):
            await obstore.delete_async(self._store, sha256_hex(sha256))

    async def check(self) -> None:
        """See ``BlobStore.check``."""
        await self.put(b"writable", limit=64)

    async def free_bytes(self) -> int | None:
        """See ``BlobStore.free_bytes``."""
        return None


async def checked(store: BlobStore, sha256: str) -> AsyncIterator[bytes]:
    """The whole blob as a stream whose end raises DURABILITY_UNAVAILABLE unless the bytes had that digest."""
    digest = hashlib.sha256()
    async for chunk in store.stream(sha256):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != sha256_hex(sha256):
        raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, f"blob {sha256} is damaged in the store")


async def _spool(path: Path, content: AsyncIterable[bytes] | bytes, limit: int) -> BlobRef:
    """Write ``content`` to a new synced file. What its source raises is passed on: it is not the store's failure."""
    digest, size = hashlib.sha256(), 0
    with _storage_faults():
        file = await asyncio.to_thread(_create, path)
    try:
        async for chunk in _chunks(content):
            size += len(chunk)
            _require_within(size, limit)
            digest.update(chunk)
            with _storage_faults():
                await asyncio.to_thread(file.write, chunk)
        with _storage_faults():
            await asyncio.to_thread(_sync_file, file)
    finally:
        file.close()
    return BlobRef(Sha256(digest.hexdigest()), size)


def _require_within(size: int, limit: int) -> None:
    if size > limit:
        raise DomainError(ErrorCode.TOO_LARGE, f"larger than {limit} bytes")


async def _chunks(content: AsyncIterable[bytes] | bytes) -> AsyncIterator[bytes]:
    """Pieces large enough that a thread hop for each costs little."""
    if isinstance(content, bytes):
        for offset in range(0, len(content), CHUNK):
            yield content[offset : offset + CHUNK]
        return
    held = bytearray()
    async for piece in content:
        held += piece
        if len(held) >= CHUNK:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def _collect(store: BlobStore, sha256: str, limit: int) -> bytes:
    held = io.BytesIO()  # gives its bytes away without copying them
    async for chunk in checked(store, sha256):
        held.write(chunk)
        _require_within(held.tell(), limit)
    return held.getvalue()


def _create(path: Path) -> BinaryIO:
    """A new file that only this account may read: blobs are letters."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _make_directory(directory: Path) -> None:
    """Make ``directory`` and what is missing above it, so that its name survives a power cut."""
    if directory.is_dir():
        return
    _make_directory(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    _sync_directory(directory.parent)


def _sync_file(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _storage_faults:  # noqa: N801 - reads as a word in ``with``
    """Turns the store's own failures into our error."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, (FileNotFoundError, NotFoundError)):
            raise DomainError(ErrorCode.NOT_FOUND, "no such blob") from error
        if isinstance(error, (OSError, BaseError)):
            raise DomainError(
                ErrorCode.DURABILITY_UNAVAILABLE, f"the blob store failed ({type(error).__name__})"
            ) from error
