"""Forgotten packages are discarded, and all are counted."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta

import structlog

from services.gateway.drafts import rows
from services.gateway.drafts.drafting import Drafts, discarding

log = structlog.get_logger(__name__)

_COUNT_EVERY_SECONDS = 60
_AT_ONCE = 100


@dataclass(frozen=True)
class DraftSweep:
    """Looks after packages nobody works on any more. Every process does; a step is taken once all the same."""

    drafts: Drafts
    retention: timedelta

    async def run(self, stop: asyncio.Event) -> None:
        """Background part."""
        while not stop.is_set():
            await self.expire()
            await self.count()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _COUNT_EVERY_SECONDS)

    async def expire(self) -> int:
        """Discard what was not touched for so long; how many. The rest waits for the next time."""
        forgotten = await rows.idle(self.drafts.database, self.drafts.clock.now() - self.retention, _AT_ONCE)
        done = 0
        for draft in forgotten:
            if await self.drafts.apply(None, draft, discarding(draft, "not touched for too long")):
                self.drafts.metrics.steps.labels("expire", "done").inc()
                log.info("package_discarded", package_id=str(draft.row.package_id))
                done += 1
        return done

    async def count(self) -> None:
        """Bring the gauge up to date."""
        for state, number in (await rows.counts(self.drafts.database)).items():
            self.drafts.metrics.packages.labels(state.value).set(number)
