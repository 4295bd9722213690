"""detsis_sync as it is, with a watch on its event loop: SIGUSR1 writes the longest stall so far and starts anew.

``python -m tests.benchmarks.watched_service FILE``
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

from services.detsis_sync.app import NAME, build, migrate_schema
from services.detsis_sync.settings import Settings
from shared.clock import Clock
from shared.service import BackgroundPart, Service, main

_TICK = 0.001


class Watch:
    """Wakes up every millisecond and notes how late that was."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._longest = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Tick until ``stop`` is set."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._write)
        while not stop.is_set():
            before = time.perf_counter()
            await asyncio.sleep(_TICK)
            self._longest = max(self._longest, time.perf_counter() - before - _TICK)

    def _write(self) -> None:
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{self._longest * 1000:.1f}", encoding="ascii")
        draft.rename(self._file)
        self._longest = 0.0


async def _build(settings: Settings, clock: Clock) -> Service:
    service = await build(settings, clock)
    watch = Watch(Path(sys.argv[1]))
    service.background = [*service.background, BackgroundPart("watch", watch.run)]
    return service


if __name__ == "__main__":
    raise SystemExit(main(NAME, Settings, _build, migrate=migrate_schema, argv=sys.argv[2:]))
