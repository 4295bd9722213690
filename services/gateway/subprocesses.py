"""What all processes share that do dangerous work for the gateway: a bounded queue, a bare environment, a certain end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import services
from shared.errors import DomainError, ErrorCode

RETRY_SECONDS = 10
ENVIRONMENT = {
    "PYTHONPATH": str(Path(services.__path__[0]).parent),
    "PATH": os.defpath,
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""Nothing of the gateway's own: its settings name databases and tokens."""


class Turns:
    """So many at the same time, and so many that wait."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._room = waiting
        self._waiting = 0

    @asynccontextmanager
    async def turn(self, full: str) -> AsyncIterator[None]:
        """Wait for one. Raises SERVICE_UNAVAILABLE, ``full`` saying why, when too many wait already."""
        if self._waiting >= self._room:
            raise DomainError(ErrorCode.SERVICE_UNAVAILABLE, full, retry_after_seconds=RETRY_SECONDS)
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()


async def ended(process: asyncio.subprocess.Process) -> None:
    """Make sure that it is gone, with everything it started, also when nobody waits for its work any more.

    It must have been started as the first of a session of its own.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())
