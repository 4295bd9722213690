"""Asks DETSİS again about registrations that are open, and counts them: a background part."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import structlog
from sqlalchemy import func, select, update

from services.detsis_sync.metrics import DirectoryMetrics
from services.detsis_sync.registrations.workflow import Registrations
from services.detsis_sync.tables import Registration
from shared.clock import Clock
from shared.contracts.directory.registrations import RegistrationState
from shared.db.session import Database
from shared.errors import DomainError

log = structlog.get_logger(__name__)

_AT_ONCE = 50
_LONGEST_PAUSE = 15.0


class RegistrationWatch:
    """Every process may run it: a due row is claimed by moving its next check, so it is asked about once."""

    def __init__(
        self,
        database: Database,
        registrations: Registrations,
        clock: Clock,
        metrics: DirectoryMetrics,
        *,
        check_seconds: float,
    ) -> None:
        self._database = database
        self._registrations = registrations
        self._clock = clock
        self._metrics = metrics
        self._check = timedelta(seconds=check_seconds)

    async def run(self, stop: asyncio.Event) -> None:
        """Rounds until ``stop``."""
        pause = min(self._check.total_seconds(), _LONGEST_PAUSE)
        while not stop.is_set():
            try:
                await self.round()
            except DomainError as error:
                log.warning("registrations_not_checked", code=error.code, reason=error.detail)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def round(self) -> None:
        """Ask about what is due. An institution whose DETSİS gives no answer is left alone until the next check."""
        silent: set[int] = set()
        for row in await self._due():
            if row.institution_no not in silent and await self._registrations.check(row) is None:
                silent.add(row.institution_no)
        await self.publish()

    async def publish(self) -> None:
        """Set the gauge from the rows."""
        async with self._database.reading() as session:
            counted = await session.execute(select(Registration.state, func.count()).group_by(Registration.state))
            numbers = {row[0]: row[1] for row in counted}
        for state in RegistrationState:
            self._metrics.registrations.labels(state.value).set(numbers.get(state.value, 0))

    async def _due(self) -> list[Registration]:
        now = self._clock.now()
        due = (
            select(Registration.registration_id)
            .where(Registration.check_at <= now)
            .order_by(Registration.check_at)
            .limit(_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        async with self._database.unit_of_work() as work:
            found = await work.session.scalars(
                update(Registration)
                .where(Registration.registration_id.in_(due.scalar_subquery()))
                .values(check_at=now + self._check)
                .returning(Registration)
                .execution_options(synchronize_session=False)
            )
            return list(found)
