"""What happens to kept verifications by themselves: another look when it is due, and the end of their retention."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import structlog

from services.gateway import audit
from services.gateway.tables import SignatureVerification
from services.gateway.verifications import rows
from services.gateway.verifications.keeping import LEASE, Verifications

log = structlog.get_logger(__name__)

_EVERY_SECONDS = 5
_ERASE_EVERY = 60
"""In rounds."""
_AT_ONCE = 100


@dataclass(frozen=True)
class VerificationSweep:
    """Every process sweeps: a row is claimed by one of them, and erasing twice does nothing."""

    verifications: Verifications

    async def run(self, stop: asyncio.Event) -> None:
        """Background part."""
        number, more = 0, False
        while not stop.is_set():
            await self.look()
            await self.count()
            if more or number % _ERASE_EVERY == 0:
                more = await self.erase() > 0
            number += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _EVERY_SECONDS)

    async def look(self) -> int:
        """Judge what is due, also what a process that died had begun; how many."""
        parts = self.verifications
        found = await rows.claim_due(parts.database, parts.clock.now(), LEASE, parts.limits.at_once)
        await asyncio.gather(*(parts.look(verification_id, looks) for verification_id, looks in found.items()))
        return len(found)

    async def erase(self) -> int:
        """Delete files and reports that were kept long enough; how many verifications. The rest waits for the next round."""
        parts = self.verifications
        horizon = parts.clock.now() - parts.limits.retention
        done = 0
        for row in await rows.older_than(parts.database, horizon, _AT_ONCE):
            done += await self._erase(row)
        return done

    async def count(self) -> None:
        """Bring the gauges up to date."""
        parts = self.verifications
        states, waited = await rows.counts(parts.database, parts.clock.now())
        for state, number in states.items():
            parts.metrics.verifications.labels(state.value).set(number)
        parts.metrics.overdue.set(waited)

    async def _erase(self, row: SignatureVerification) -> bool:
        parts = self.verifications
        digests = sorted({digest for digest in (row.file_sha256, row.content_sha256) if digest})
        async with parts.database.unit_of_work() as work:
            for digest in digests:
                await rows.lock_blob(work, digest)
            # The bytes first: a row that still names what is gone is erased the next time, bytes without a row never.
            for digest in digests:
                if not await rows.needed_elsewhere(work, digest, row.verification_id):
                    await parts.blobs.delete(digest)
            erased = await rows.erase(work, row.verification_id, parts.clock.now())
            if erased:
                await audit.record(
                    work, parts.clock, actor=None, action="signature-verification.erase",
                    subject=str(row.verification_id), institution=row.institution_no, sha256=row.file_sha256,
                )  # fmt: skip
        if erased:
            parts.metrics.erased.inc()
            log.info("verification_erased", verification_id=str(row.verification_id))
        return erased
