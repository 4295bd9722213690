"""aiosmtpd connections that can be hung up on, one by one or all together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from aiosmtpd.smtp import SMTP, syntax

_END = b"\r\n.\r\n"


class TrackedSmtp(SMTP):
    """An SMTP server connection that asks ``refuses`` at its start and ``drops_data`` at DATA whether to hang up."""

    def __init__(
        self,
        handler: Any,
        *,
        live: set[TrackedSmtp] | None = None,
        refuses: Callable[[], bool] = lambda: False,
        drops_data: Callable[[], bool] = lambda: False,
        **arguments: Any,
    ) -> None:
        super().__init__(handler, **arguments)
        self._live = set[TrackedSmtp]() if live is None else live
        self._refuses = refuses
        self._drops_data = drops_data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or hang up."""
        super().connection_made(transport)
        self._live.add(self)
        if self._refuses():
            self.hang_up()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        self._live.discard(self)
        super().connection_lost(error)

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """Take the message, or hang up instead of asking for it.

        aiosmtpd reads line by line, seconds for the largest message; here it is read in large pieces.
        """
        if self._drops_data():
            self.hang_up()
            return
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        assert self.envelope is not None
        if not self.envelope.rcpt_tos or arg:
            await self.push("501 Syntax: DATA" if arg else "503 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content = await self._read_content()
        if content is None:
            answer = "552 5.3.4 too much mail data"
        else:
            assert self.envelope is not None  # only RSET and QUIT take it away, and they are not read meanwhile
            self.envelope.content = self.envelope.original_content = content
            answer = await self.event_handler.handle_DATA(self, self.session, self.envelope)
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(answer)

    async def _read_content(self) -> bytes | None:
        """The message without its final dot and without dot-stuffing (RFC 5321 4.5.2); None if it is too large."""
        content = bytearray()
        while (first := await self._reader.readexactly(1)) in b".\r":
            # Only a line that begins so can be the end; the search below needs the line break before the dot.
            line = first + await self._reader.readuntil(b"\n")
            if line == _END[2:]:
                return _without_stuffing(content)
            content += line
        content += first
        too_large, done = False, False
        while not done:
            try:
                content += await self._reader.readuntil(_END)
                done = True
            except asyncio.LimitOverrunError as overrun:
                content += await self._reader.readexactly(overrun.consumed)
            if self.data_size_limit and len(content) > self.data_size_limit + len(_END):
                too_large = True
                content.clear()
        return None if too_large else _without_stuffing(content[: -len(_END) + 2])

    def hang_up(self) -> None:
        """Reset the connection without a word."""
        # No isinstance here: under uvloop, which the processes use, transports do not derive from asyncio's.
        if self.transport is not None:
            cast("asyncio.Transport", self.transport).abort()


def _without_stuffing(content: bytearray) -> bytes:
    return bytes(content.removeprefix(b".").replace(b"\r\n.", b"\r\n"))
