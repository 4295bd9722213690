"""Whether a caller's look-ups go to DETSİS itself, remembered for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.clients.live import LiveClient
from shared.clock import Clock

_REMEMBERED = timedelta(seconds=60)
_MOST = 1000


class LiveChoices:
    """Asks detsis_sync which accounts keep a copy; a change shows within a minute."""

    def __init__(self, live: LiveClient, clock: Clock) -> None:
        self._live = live
        self._clock = clock
        self._known: dict[tuple[int, ...], tuple[datetime, int | None]] = {}

    async def of(self, institutions: Sequence[int]) -> int | None:
        """The institution as which DETSİS is to be asked; None: the nightly copy answers."""
        key = tuple(institutions)
        if not key:
            return None
        now = self._clock.now()
        known = self._known.get(key)
        if known is not None and now - known[0] < _REMEMBERED:
            return known[1]
        chosen = (await self._live.choice(key)).institution_no
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = now, chosen
        return chosen
