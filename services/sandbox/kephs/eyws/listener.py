"""The service's port: HTTP over TLS, with connections that can be reset in the middle of a call."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from services.sandbox.kephs.eyws.endpoint import HANG_UP
from services.sandbox.pki.identity import Identity, write_private

_KEEP_ALIVE_SECONDS = 120


class _Connection(HttpToolsProtocol):
    """One connection; ``refuses`` is asked when it is made."""

    refuses: Callable[[], bool]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, or reset it."""
        super().connection_made(transport)
        if self.refuses():
            transport.abort()

    def on_message_begin(self) -> None:
        """Let the application reset the connection."""
        super().on_message_begin()
        scope = cast("dict[str, Any]", self.scope)
        scope[HANG_UP] = self.transport.abort


def lying_context(
    context: ssl.SSLContext, wrong: Identity, *, refuses: Callable[[], bool], lies: Callable[[], bool]
) -> ssl.SSLContext:
    """``context`` itself, which from now on asks at each handshake whether to refuse it or to show ``wrong``."""
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        certificate, key = Path(directory, "certificate.pem"), Path(directory, "key.pem")
        write_private(certificate, wrong.served_chain_pem)
        write_private(key, wrong.key_pem)
        other.load_cert_chain(certificate, key)

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
        if refuses():
            return ssl.AlertDescription.ALERT_DESCRIPTION_HANDSHAKE_FAILURE
        if lies():
            connection.context = other
        return None

    # OpenSSL asks this for every client hello, whether or not it names a server.
    context.sni_callback = choose
    return context


class SoapListener:
    """The port of one provider's SOAP service."""

    def __init__(self, app: ASGIApp, refuses: Callable[[], bool]) -> None:
        # Started by hand instead of by uvicorn's own server: that one keeps a tick of its own and has no hook
        # for the connection.
        self._config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, date_header=False, lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )  # fmt: skip
        self._config.load()
        self._state = ServerState()
        self._refuses = refuses

    async def start(self, host: str, port: int, context: ssl.SSLContext) -> asyncio.Server:
        """Listen. Raises ``OSError`` if the port is taken."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: self._connected(loop), host, port, ssl=context)

    async def aclose(self) -> None:
        """Hang up on everyone."""
        for connection in list(self._state.connections):
            connection.shutdown()
            connection.transport.abort()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _connected(self, loop: asyncio.AbstractEventLoop) -> _Connection:
        connection = _Connection(self._config, self._state, {}, loop)
        connection.refuses = self._refuses
        return connection
