"""Serves an ASGI app over real HTTP on a free port, in the caller's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from tests.support.ports import listening_socket


class _Server(uvicorn.Server):
    """uvicorn without its signals, and without the tenths of a second it sleeps before and while it stops."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections or self.server_state.tasks:
                    await asyncio.sleep(0.002)
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()


@asynccontextmanager
async def serving(app: ASGIApp, *, certificate: Path | None = None, key: Path | None = None) -> AsyncIterator[str]:
    """The base URL; over TLS with a certificate and its key."""
    bound = listening_socket()
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            lifespan="off",
            server_header=False,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            timeout_graceful_shutdown=2,
            # As shared.service: one that hangs up after as many seconds as its clients do hangs up on a request at times.
            timeout_keep_alive=30,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.002)
    try:
        yield f"{'http' if certificate is None else 'https'}://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.ending.set()
        await task
