"""A web listener of our own beside the service's HTTP interface."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process that runs several servers."""
        yield


@asynccontextmanager
async def serving(
    app: ASGIApp, host: str, port: int, *, certificate: Path | None = None, key: Path | None = None
) -> AsyncIterator[int]:
    """Serve ``app`` until the block ends, over https if a certificate and its key are given (PEM files).

    Yields the port, which matters when ``port`` is 0. Raises ``OSError`` if the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # bound here, because uvicorn answers a taken port by ending the whole process
    with _listening(family, host, port) as bound:
        server = _Server(
            uvicorn.Config(
                app,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_graceful_shutdown=5,
                # As IIS: a server that hangs up on idle connections after as many seconds as its clients do
                # now and then does so just when a request is on its way.
                timeout_keep_alive=120,
            )
        )
        task = asyncio.create_task(server.serve(sockets=[bound]), name=f"listener-{port}")
        try:
            while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn offers no event
                await asyncio.sleep(0.01)
            if task.done():
                await task
            yield int(bound.getsockname()[1])
        finally:
            server.should_exit = True
            await asyncio.wait({task}, timeout=10)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _listening(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    """Named as TCP, because asyncio turns off Nagle's algorithm only then: else answers wait 40 ms for acknowledgements."""
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


async def accepts_connections(host: str, port: int) -> None:
    """Return when something listens there; raise ``OSError`` when nothing does."""
    _reader, writer = await asyncio.open_connection(host, port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
