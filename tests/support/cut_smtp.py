"""A submission server that breaks off once, at the stage and in the way it is told, and then behaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.support.smtp_server import listening

Stage = Literal["greeting", "ehlo", "auth", "mail", "rcpt", "data", "content", "answer", "quit"]
Way = Literal["silence", "half", "nonsense"]
STAGES: tuple[Stage, ...] = ("greeting", "ehlo", "auth", "mail", "rcpt", "data", "content", "answer", "quit")
_REPLIES = {
    "greeting": b"220 mail.test ready\r\n",
    "ehlo": b"250-mail.test\r\n250-SIZE 100000000\r\n250 AUTH PLAIN\r\n",
    "auth": b"235 2.7.0 welcome\r\n",
    "mail": b"250 2.1.0 OK\r\n",
    "rcpt": b"250 2.1.5 OK\r\n",
    "data": b"354 go on\r\n",
    "answer": b"250 2.0.0 taken\r\n",
    "quit": b"221 2.0.0 bye\r\n",
}


@dataclass
class CutServer:
    """What it was told and what it saw. ``silence``: the connection ends instead of the reply."""

    address: dict[str, Any]
    stage: Stage
    way: Way
    armed: bool = True
    connections: int = 0
    received: list[bytes] = field(default_factory=list)
    """Messages that came with their final dot."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if not await self._reply("greeting", writer):
                return
            while line := await reader.readline():
                verb = line.split()[0].decode().lower() if line.strip() else ""
                if not await self._reply(verb if verb in _REPLIES else "mail", writer):
                    return
                if verb == "data" and not await self._content(reader, writer):
                    return
        writer.transport.abort()

    async def _content(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        lines: list[bytes] = []
        while (line := await reader.readline()) != b".\r\n":
            if not line:
                return False
            lines.append(line)
            if self._cuts("content"):
                writer.transport.abort()
                return False
        self.received.append(b"".join(lines))
        return await self._reply("answer", writer)

    def _cuts(self, stage: str) -> bool:
        if not self.armed or stage != self.stage:
            return False
        self.armed = False
        return True

    async def _reply(self, stage: str, writer: asyncio.StreamWriter) -> bool:
        reply = _REPLIES[stage]
        if not self._cuts(stage):
            writer.write(reply)
            await writer.drain()
            return True
        if self.way == "nonsense":
            writer.write(b"\x00\xff? nonsense\r\n")
            await writer.drain()
            return True
        if self.way == "half":
            writer.write(reply[: len(reply) // 2])
            await writer.drain()
            writer.close()
        else:
            writer.transport.abort()
        return False


@asynccontextmanager
async def cut_server(directory: Path, stage: Stage, way: Way) -> AsyncIterator[CutServer]:
    """It listens on a free port of 127.0.0.1 with TLS, in this event loop."""
    made = CutServer({}, stage, way)
    async with listening(directory, made.serve) as made.address:
        yield made
