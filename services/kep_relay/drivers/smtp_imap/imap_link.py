"""One IMAP connection on top of aioimaplib, with what that library leaves open.

aioimaplib (2.0) does not wake a waiting command when the connection is lost, calls itself once per
line of an answer, drops ``EXISTS`` that arrives between two commands, has no STARTTLS, puts the
command (with a password) into its time-out exception and reads as much as a server cares to send.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aioimaplib import aioimaplib

from services.kep_relay.drivers.protocol import LoginRefusedError
from shared.contracts.mailboxes import ServerAddress
from shared.errors import DomainError, ErrorCode

Result = TypeVar("Result")

LINES_BUDGET = 16 * 1024 * 1024
"""Bytes that anything but the fetch of a mail may bring before the link is cut."""
_EXISTS = re.compile(rb"\* \d+ (EXISTS|RECENT)\b")
_LITERAL = re.compile(rb".*\{(\d+)\}$", re.DOTALL)
_TEMPORARY = re.compile(rb"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA)\b", re.IGNORECASE)


class _Protocol(aioimaplib.IMAP4ClientProtocol):  # type: ignore[misc]  # the library has no types
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.incomplete_line = b""
        self.current_command: Any = None
        self.lost = asyncio.Event()
        self.changed = asyncio.Event()
        self.budget = LINES_BUDGET

    def data_received(self, data: bytes) -> None:
        self.budget -= len(data)
        if self.budget < 0:
            self.transport.abort()
            self.lost.set()
            return
        if b"EXISTS" in data or b"RECENT" in data:
            # Also true for a mail's own text: then the folder is looked at once too often, which is harmless.
            self.changed.set()
        try:
            self._handle_responses(self.incomplete_line + data, self._handle_line, self.current_command)
            self.incomplete_line = b""
            self.current_command = None
        except aioimaplib.IncompleteRead as incomplete:
            self.current_command = incomplete.cmd
            self.incomplete_line = incomplete.data
        except (aioimaplib.AioImapException, ValueError, IndexError, KeyError, AttributeError, LookupError):
            # An answer the library cannot make sense of: nothing after it can be trusted either.
            self.transport.abort()
            self.lost.set()

    def _handle_responses(
        self, data: bytes, line_handler: Callable[[bytes, Any], Any], current_cmd: Any = None
    ) -> None:
        """The library's own method as a loop: a server may send thousands of lines at once."""
        while True:
            if not data:
                if self.pending_sync_command is not None:
                    self.pending_sync_command.flush()
                if current_cmd is not None and current_cmd.wait_data():
                    raise aioimaplib.IncompleteRead(current_cmd)
                return
            if current_cmd is not None and current_cmd.wait_literal_data():
                data = current_cmd.append_literal_data(data)
                if current_cmd.wait_literal_data():
                    raise aioimaplib.IncompleteRead(current_cmd)
            line, separator, rest = data.partition(b"\r\n")
            if not separator:
                raise aioimaplib.IncompleteRead(current_cmd, data)
            command = line_handler(line, current_cmd)
            literal = _LITERAL.match(line)
            if literal:
                command = command or aioimaplib.Command("NIL", "unused", loop=self.loop)
                command.begin_literal_data(int(literal.group(1)))
                current_cmd = command
            else:
                current_cmd = command if command is not None and command.wait_data() else None
            data = rest

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost.set()


class _Client(aioimaplib.IMAP4):  # type: ignore[misc]  # the library has no types
    protocol: _Protocol

    def create_client(
        self,
        host: str,
        port: int,
        loop: asyncio.AbstractEventLoop | None,
        conn_lost_cb: object = None,  # noqa: ARG002 - the library's signature
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        running = loop or asyncio.get_running_loop()
        self.protocol = _Protocol(running)
        self._client_task = running.create_task(
            running.create_connection(lambda: self.protocol, host, port, ssl=ssl_context)
        )


class ImapLink:
    """A logged-in connection. Every method raises ``DomainError``; after PROVIDER_UNAVAILABLE it is dead."""

    def __init__(self, client: _Client, *, command_seconds: float) -> None:
        self._client = client
        self._seconds = command_seconds

    @classmethod
    async def connect(
        cls,
        address: ServerAddress,
        context: ssl.SSLContext,
        *,
        username: str,
        password: str,
        connect_seconds: float,
        command_seconds: float,
    ) -> ImapLink:
        """Connect with TLS and log in.

        Raises ``LoginRefusedError``, PROVIDER_UNAVAILABLE for everything that
        passes by itself or needs the provider.
        """
        implicit = address.tls == "implicit"
        client = _Client(address.host, address.port, timeout=connect_seconds, ssl_context=context if implicit else None)
        link = cls(client, command_seconds=connect_seconds)
        try:
            await link.wait(client.wait_hello_from_server(), "greeting")
            if not implicit:
                await link._start_tls(context, address.host)
            await link._log_in(username, password)
            await link.wait(client.protocol.capability(), "CAPABILITY")
        except BaseException:
            link.abort()
            raise
        link._seconds = command_seconds
        return link

    @property
    def client(self) -> aioimaplib.IMAP4:
        """The library's client, for its commands."""
        return self._client

    @property
    def changed(self) -> asyncio.Event:
        """Set when the server told of new mail, also in between."""
        return self._client.protocol.changed

    async def wait(self, answer: Awaitable[Result], what: str, *, seconds: float | None = None) -> Result:
        """The answer; PROVIDER_UNAVAILABLE when the link is lost, the answer is late or makes no sense."""
        waiting = asyncio.ensure_future(answer)
        lost = asyncio.ensure_future(self._client.protocol.lost.wait())
        try:
            done, _ = await asyncio.wait(
                {waiting, lost}, timeout=seconds or self._seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if waiting in done:
                return waiting.result()
        except aioimaplib.CommandTimeout:
            reason = f"no answer to {what} in time"  # its own text would show the command
        except ssl.SSLCertVerificationError as error:
            reason = f"the server's certificate is not trusted ({error.verify_message})"
        except (aioimaplib.AioImapException, OSError, TimeoutError, EOFError) as error:
            reason = f"{what} failed ({type(error).__name__})"
        except (ValueError, IndexError, KeyError, AttributeError, LookupError) as error:
            reason = f"the answer to {what} makes no sense ({type(error).__name__})"
        else:
            reason = f"the connection was lost during {what}" if lost in done else f"no answer to {what} in time"
        finally:
            lost.cancel()
            if not waiting.done():
                waiting.cancel()
                self.abort()
            with contextlib.suppress(BaseException):
                waiting.exception()
        self.abort()
        raise DomainError(ErrorCode.PROVIDER_UNAVAILABLE, f"IMAP: {reason}")

    async def run(
        self, answer: Awaitable[Any], what: str, *, seconds: float | None = None, content_bytes: int = 0
    ) -> list[bytes | bytearray]:
        """The lines of an answer that must be OK; PROVIDER_REFUSED when the server says no.

        The link is cut when the answer brings more than ``content_bytes`` and what lines need.
        """
        self._client.protocol.budget = content_bytes + LINES_BUDGET
        result, lines = await self.wait(answer, what, seconds=seconds)
        if result != "OK":
            said = bytes(lines[-1][:200]).decode("utf-8", "replace") if lines else ""
            raise DomainError(ErrorCode.PROVIDER_REFUSED, f"IMAP: {what} was refused: {said}")
        return list(lines)

    async def log_out(self) -> None:
        """End the session politely but briefly; never raises."""
        if not self._client.protocol.lost.is_set():
            with contextlib.suppress(DomainError):
                await self.wait(self._client.logout(), "LOGOUT", seconds=2)
        self.abort()

    def abort(self) -> None:
        """Drop the connection."""
        self._client._client_task.cancel()  # noqa: SLF001 - the library offers no other way
        transport = self._client.protocol.transport
        if transport is not None:
            transport.abort()

    async def _start_tls(self, context: ssl.SSLContext, host: str) -> None:
        protocol = self._client.protocol
        command = aioimaplib.Command("STARTTLS", protocol.new_tag(), loop=protocol.loop)
        await self.run(protocol.execute(command), "STARTTLS")
        # Whatever came in clear after the answer may be an attacker's: none of it counts (RFC 3501 6.2.1).
        protocol.incomplete_line, protocol.current_command = b"", None
        protocol.capabilities = set()
        upgraded = protocol.loop.start_tls(protocol.transport, protocol, context, server_hostname=host)
        transport = await self.wait(upgraded, "the TLS handshake")
        if transport is None:
            raise DomainError(ErrorCode.PROVIDER_UNAVAILABLE, "IMAP: the connection was lost during the TLS handshake")
        protocol.transport = transport
        await self.wait(protocol.capability(), "CAPABILITY")

    async def _log_in(self, username: str, password: str) -> None:
        protocol = self._client.protocol
        try:
            if username.isascii() and password.isascii() and "LOGINDISABLED" not in protocol.capabilities:
                # The library quotes the password but not the name.
                answer = protocol.login(aioimaplib.quoted(username), password)
            else:
                token = base64.b64encode(f"\0{username}\0{password}".encode()).decode()
                command = aioimaplib.Command("AUTHENTICATE", protocol.new_tag(), "PLAIN", token, loop=protocol.loop)
                answer = _authenticated(protocol, command, token)
            result, lines = await self.wait(answer, "login")
        except DomainError as error:
            raise DomainError(error.code, error.detail) from None  # the cause may hold the password
        if result == "OK":
            return
        said = bytes(lines[-1][:200]) if lines else b""
        if result == "NO" and not _TEMPORARY.search(said):
            shown = said.decode("utf-8", "replace")
            raise LoginRefusedError(f"the provider refused the login: {shown}")
        raise DomainError(ErrorCode.PROVIDER_UNAVAILABLE, "IMAP: the provider cannot check logins now")


async def _authenticated(protocol: _Protocol, command: Any, token: str) -> Any:
    response = await protocol.execute(command, scrub=token)
    if response.result == "OK":
        protocol.state = aioimaplib.AUTH
    return response
