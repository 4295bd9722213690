"""IMAP answers whose literals lie: announced too large and never ending, or broken off in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any, cast

from services.sandbox.faults import FaultBoard

_ANNOUNCED = re.compile(rb"\{\d+\}\r\n")
_WHERE = 256
"""Octets from the beginning of what is written at once in which a literal is announced."""
_ENDLESS = 4 * 1024**3
_BLOCK = b"x" * 65_534 + b"\r\n"
_UNTIL_SENT = 0.02
"""Seconds; a reset throws away what has not left yet."""


class SteeredWriter(asyncio.StreamWriter):
    """The writing end of a connection; before each literal it asks whether to lie about it."""

    def __init__(self, writer: asyncio.StreamWriter, provider: str, faults: FaultBoard) -> None:
        # Not by the base class's own: that would take the transport over from ``writer``, which has it already.
        self.account = ""
        """Who is logged in."""
        self._inner = writer
        self._provider = provider
        self._faults = faults
        self._silent = False
        self._lie: asyncio.Task[None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def transport(self) -> asyncio.WriteTransport:
        """Of the connection, which STARTTLS exchanges."""
        return self._inner.transport

    def __del__(self, *_: Any) -> None:
        """Nothing: the connection is the other writer's."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write, unless a literal that lies has begun."""
        if self._silent:
            return
        announced = _ANNOUNCED.search(bytes(data[:_WHERE]))
        scope = {"provider": self._provider, "account": self.account}
        if announced is not None and self._faults.take("imap.endless_literal", **scope):
            self._silent = True
            self._inner.write(bytes(data[: announced.start()]) + b"{%d}\r\n" % _ENDLESS)
            self._lie = asyncio.ensure_future(self._flood())
            return
        if announced is not None and self._faults.take("imap.broken_literal", **scope):
            self._silent = True
            self._inner.write(bytes(data[: (announced.end() + len(data)) // 2]))
            self._lie = asyncio.ensure_future(self._reset())
            return
        self._inner.write(data)

    def writelines(self, data: Any) -> None:
        """Write one after the other."""
        for piece in data:
            self.write(piece)

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def is_closing(self) -> bool:
        """Whether that has been done."""
        return self._inner.is_closing()

    async def wait_closed(self) -> None:
        """Until it has."""
        await self._inner.wait_closed()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """About the connection."""
        return self._inner.get_extra_info(name, default)

    async def drain(self) -> None:
        """Until there is room for more."""
        await self._inner.drain()

    async def start_tls(self, *arguments: Any, **named: Any) -> None:
        """Begin TLS."""
        await self._inner.start_tls(*arguments, **named)

    async def aclose(self) -> None:
        """End a lie that is still going on."""
        if self._lie is not None:
            self._lie.cancel()
            await asyncio.gather(self._lie, return_exceptions=True)

    async def _flood(self) -> None:
        with contextlib.suppress(ConnectionError):
            while not self._inner.is_closing():
                self._inner.write(_BLOCK)
                await self._inner.drain()

    async def _reset(self) -> None:
        await asyncio.sleep(_UNTIL_SENT)
        cast("asyncio.Transport", self._inner.transport).abort()
