"""The sandbox's own time: the machine's, moved by a shift that the control API sets."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from services.sandbox.pki.identity import write_private
from shared.clock import Clock


class ShiftedClock:
    """``base`` plus a shift. Provider timelines run on it; certificates and revocation do not.

    Revocation lists dated by a shifted clock would lie in the future of every other process, so
    the PKI keeps ``base``. With ``file`` the shift outlives the process: what providers have put off
    is due at a shifted moment, and would otherwise wait for as long as the clock had been moved.
    """

    def __init__(self, base: Clock, file: Path | None = None) -> None:
        self.base = base
        self._file = file
        kept = float(file.read_text(encoding="ascii")) if file is not None and file.exists() else 0.0
        self._shift = timedelta(seconds=kept)
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        """The shifted present, aware, in UTC."""
        return self.base.now() + self._shift

    @property
    def shift(self) -> timedelta:
        """How far the sandbox is ahead of (or behind) the machine."""
        return self._shift

    def move_to(self, shift: timedelta) -> None:
        """Set the shift and wake everyone who waits for a moment. Call it from the event loop."""
        if self._file is not None:
            write_private(self._file, str(shift.total_seconds()).encode())
        self._shift = shift
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def wait_until(self, moment: datetime) -> None:
        """Return once the shifted present has reached ``moment``; a shift past it ends the wait at once."""
        while (remaining := (moment - self.now()).total_seconds()) > 0:
            moved = self._moved
            try:
                async with asyncio.timeout(remaining):
                    await moved.wait()
            except TimeoutError:
                continue
