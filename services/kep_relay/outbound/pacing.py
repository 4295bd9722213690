"""How many submissions run per account, how fast they start, and when an account's provider is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class _Lane:
    slots: asyncio.Semaphore
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    next_start: float = 0.0
    closed_until: float = 0.0


class Pacing:
    """One lane per mailbox, in this process. Times are those of the event loop's monotonic clock."""

    def __init__(self, *, slots: int, interval_seconds: float, patience_seconds: float = 5.0) -> None:
        self._slots = slots
        self._interval = interval_seconds
        self._patience = patience_seconds
        self._lanes: dict[str, _Lane] = {}

    @asynccontextmanager
    async def slot(self, mailbox_id: str) -> AsyncIterator[bool]:
        """A turn for one submission; False if none came within the patience, so that other accounts get on."""
        lane = self._lane(mailbox_id)
        try:
            async with asyncio.timeout(self._patience):
                await lane.slots.acquire()
        except TimeoutError:
            yield False
            return
        try:
            if self._interval:
                async with lane.starting:
                    now = asyncio.get_running_loop().time()
                    await asyncio.sleep(max(0.0, lane.next_start - now))
                    lane.next_start = asyncio.get_running_loop().time() + self._interval
            yield True
        finally:
            lane.slots.release()

    def close(self, mailbox_id: str, seconds: float) -> None:
        """The provider cannot be reached: spare it, and the other letters, further attempts for so long."""
        lane = self._lane(mailbox_id)
        lane.closed_until = max(lane.closed_until, asyncio.get_running_loop().time() + seconds)

    def closed(self, mailbox_id: str) -> bool:
        """Whether the provider could not be reached just now."""
        return asyncio.get_running_loop().time() < self._lane(mailbox_id).closed_until

    def _lane(self, mailbox_id: str) -> _Lane:
        lane = self._lanes.get(mailbox_id)
        if lane is None:
            lane = self._lanes[mailbox_id] = _Lane(asyncio.Semaphore(self._slots))
        return lane
