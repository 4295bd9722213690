"""As much of ClamAV's daemon as INSTREAM needs: unpacks mails and finds the mark of the tests."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes

MARK = b"VIRUS-OF-THE-TESTS"


@dataclass
class Clamd:
    """What it was told to do and how often it was asked."""

    port: int = 0
    limit: int = 100_000_000
    """Of more bytes it says so and hangs up, as the real one does at StreamMaxLength."""
    answer: bytes | None = None
    """Said instead of a verdict."""
    silent: bool = False
    asked: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
        content = b""
        while size := struct.unpack(">I", await reader.readexactly(4))[0]:
            content += await reader.readexactly(size)
            if len(content) > self.limit:
                writer.write(b"INSTREAM size limit exceeded. ERROR\0")
                return
        if not self.silent:
            writer.write(self.answer if self.answer is not None else self._verdict(content))

    @staticmethod
    def _verdict(content: bytes) -> bytes:
        # One level deeper for what a dispatch encloses, whose base64 the parser has undone by then.
        found = any(
            MARK in (item.get_payload(decode=True) or b"")
            for item in message_from_bytes(content).walk()
            if not item.is_multipart()
        )
        return b"stream: Test.Mark-1 FOUND\0" if found else b"stream: OK\0"


@asynccontextmanager
async def clamd() -> AsyncIterator[Clamd]:
    """It listens on a free port of 127.0.0.1."""
    made = Clamd()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await made.serve(reader, writer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
