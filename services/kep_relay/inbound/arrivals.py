"""Wakes those who wait for a letter in this process; other processes look every second."""

from __future__ import annotations

import asyncio
import contextlib


class Arrivals:
    """One event that everybody waiting shares."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def announce(self) -> None:
        """A letter may have become available."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Return at the next announcement or after ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
