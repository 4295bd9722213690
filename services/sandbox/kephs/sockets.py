"""aiosmtpd connections that can be hung up on, one by one or all together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiosmtpd.smtp import SMTP, syntax

_END = b"\r\n.\r\n"
_UNTIL_SENT = 0.02
"""Seconds; a reset throws away what has not left yet."""


class TrackedSmtp(SMTP):
    """An SMTP server connection that can be hung up on at any stage.

    ``refuses`` is asked at its start, ``drops_data`` at DATA, ``drops_content`` when content has begun, and ``cuts``
    at each answer: with the command, or ``content`` for the answer to the message itself.
    """

    def __init__(
        self,
        handler: Any,
        *,
        live: set[TrackedSmtp] | None = None,
        refuses: Callable[[], bool] = lambda: False,
        drops_data: Callable[[], bool] = lambda: False,
        drops_content: Callable[[], bool] = lambda: False,
        cuts: Callable[[str], bool] = lambda _: False,
        **arguments: Any,
    ) -> None:
        super().__init__(handler, **arguments)
        self._live = set[TrackedSmtp]() if live is None else live
        self._refuses = refuses
        self._drops_data = drops_data
        self._drops_content = drops_content
        self._cuts = cuts
        self._stage = ""

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

    async def push(self, status: str | bytes) -> None:
        """Answer, or send half of the answer and hang up."""
        answer = status.encode() if isinstance(status, str) else status
        if self._stage and self._cuts(self._stage):
            self._writer.write(answer[: max(len(answer) // 2, 1)])
            await asyncio.sleep(_UNTIL_SENT)
            self.hang_up()
            await asyncio.get_running_loop().create_future()  # until connection_lost ends this conversation
        await super().push(answer)

    @syntax("EHLO hostname")
    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        """EHLO."""
        await self._at("EHLO", super().smtp_EHLO(hostname))

    @syntax("AUTH <mechanism>")
    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        """AUTH."""
        await self._at("AUTH", super().smtp_AUTH(arg))

    @syntax("MAIL FROM: <address>", extended=" [SP <mail-parameters>]")
    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        """MAIL."""
        await self._at("MAIL", super().smtp_MAIL(arg))

    @syntax("RCPT TO: <address>", extended=" [SP <mail-parameters>]")
    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        """RCPT."""
        await self._at("RCPT", super().smtp_RCPT(arg))

    async def _at(self, stage: str, step: Awaitable[None]) -> None:
        self._stage = stage
        try:
            await step
        finally:
            self._stage = ""

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
        await self._at("DATA", self.push("354 End data with <CR><LF>.<CR><LF>"))
        if self._drops_content():
            await self._reader.readexactly(1)
            self.hang_up()
            return
        content = await self._read_content()
        if content is None:
            answer = "552 5.3.4 too much mail data"
        else:
            assert self.envelope is not None  # only RSET and QUIT take it away, and they are not read meanwhile
            self.envelope.content = self.envelope.original_content = content
            answer = await self.event_handler.handle_DATA(self, self.session, self.envelope)
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self._at("content", self.push(answer))

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
