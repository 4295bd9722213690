"""A stored mail for reading: a large one is mapped from a file, so it is nobody's heap and is gone when it is done with."""

from __future__ import annotations

import asyncio
import io
import mmap
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO

from shared.blobs import BlobStore, checked
from shared.errors import DomainError, ErrorCode

IN_MEMORY = 1024 * 1024


@dataclass(frozen=True)
class MappedMail:
    """The same bytes twice: to be sent on, and to be read."""

    file: IO[bytes]
    """Stands at its beginning; closed at the end of the block it was opened for."""
    content: memoryview


@asynccontextmanager
async def open_stored(blobs: BlobStore, sha256: str, *, limit: int) -> AsyncIterator[MappedMail]:
    """The blob, its digest checked. Raises as ``BlobStore.get`` does."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        size = 0
        async for chunk in checked(blobs, sha256):
            size += len(chunk)
            if size > limit:
                raise DomainError(ErrorCode.TOO_LARGE, f"larger than {limit} bytes")
            if size > IN_MEMORY:
                await asyncio.to_thread(file.write, chunk)
            else:
                file.write(chunk)
        file.seek(0)
        if size <= IN_MEMORY:
            content = file.read()
            yield MappedMail(io.BytesIO(content), memoryview(content))
            return
        file.flush()
        # Not closed by hand: it goes with the last slice of it.
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        yield MappedMail(file, memoryview(mapping))
