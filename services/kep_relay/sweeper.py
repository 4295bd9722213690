"""The leading process's round: sweep both sides, free stalled jobs, keep the ledger."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import structlog
from procrastinate.exceptions import ProcrastinateException

from services.kep_relay.dependencies import Sweep
from services.kep_relay.leadership import Leadership
from services.kep_relay.ledger import LedgerKeeper
from services.kep_relay.metrics import RelayMetrics
from shared.blobs import BlobStore
from shared.errors import DomainError
from shared.jobs import JobQueue

log = structlog.get_logger(__name__)

_STALLED_JOBS_EVERY_SECONDS = 30.0
_COUNTING_SHARE = 9


class Sweeper:
    """Runs beside the HTTP interface of every process; only the leading one's rounds do anything."""

    def __init__(
        self,
        *,
        leadership: Leadership,
        sweeps: Sequence[Sweep],
        gauges: Sequence[Sweep] = (),
        ledger: LedgerKeeper,
        queue: JobQueue,
        blobs: BlobStore,
        metrics: RelayMetrics,
        interval_seconds: float,
    ) -> None:
        self._leadership = leadership
        self._sweeps = sweeps
        self._gauges = gauges
        self._ledger = ledger
        self._queue = queue
        self._blobs = blobs
        self._metrics = metrics
        self._interval = interval_seconds
        self._stalled_looked_at = float("-inf")
        self._publish_again_at = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        """Rounds until ``stop``."""
        try:
            while not stop.is_set():
                if await self._leadership.hold():
                    await self._round()
                else:
                    self._metrics.clear_state()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._interval):
                        await stop.wait()
        finally:
            await self._leadership.release()
            self._metrics.clear_state()

    async def _round(self) -> None:
        """One round. A part that fails, for whatever reason, does not keep the others from being done."""
        for part in (*self._sweeps, self._free_stalled_jobs, self._publish, self._measure_store):
            try:
                await part()
            except (DomainError, ProcrastinateException) as error:
                self._metrics.sweeps.labels("failed").inc()
                log.warning("sweep_failed", part=getattr(part, "__qualname__", "?"), reason=str(error))
            except Exception:
                self._metrics.sweeps.labels("failed").inc()
                log.exception("sweep_broke", part=getattr(part, "__qualname__", "?"))
            else:
                self._metrics.sweeps.labels("done").inc()

    async def _publish(self) -> None:
        """Counting reads every row, so it takes a tenth of the time at most, however many there are."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        if started < self._publish_again_at:
            return
        await self._ledger.publish()
        for gauge in self._gauges:
            await gauge()
        self._publish_again_at = loop.time() + _COUNTING_SHARE * (loop.time() - started)

    async def _free_stalled_jobs(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._stalled_looked_at < _STALLED_JOBS_EVERY_SECONDS:
            return
        self._stalled_looked_at = now
        freed = await self._queue.retry_stalled()
        if freed:
            self._metrics.swept.labels("stalled_jobs").inc(freed)
            log.info("swept", what="stalled_jobs", number=freed)

    async def _measure_store(self) -> None:
        free = await self._blobs.free_bytes()
        if free is not None:
            self._metrics.store_free.set(free)
