"""Files read beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import IO

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

CHUNK = 256 * 1024
"""In bytes: large enough that the hop into a thread does not count."""


async def pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    """The bytes of ``file`` from its start."""
    await asyncio.to_thread(file.seek, 0)
    while chunk := await asyncio.to_thread(file.read, CHUNK):
        yield chunk


class FileAnswer(StreamingResponse):
    """Sends an open file and closes it whatever becomes of the connection, also when nothing was sent yet."""

    def __init__(self, file: IO[bytes], media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(pieces(file), media_type=media_type, headers=headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        with self._file:
            await super().__call__(scope, receive, send)
