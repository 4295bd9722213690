"""This process's life sign: what it holds is free for others once the sign has run out."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from services.kep_relay.tables import InstanceRow
from shared.clock import Clock
from shared.db.session import Database
from shared.domain.identifiers import new_id
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)


class Instance:
    """One running process, registered in the database and renewed every third of its time to live."""

    def __init__(self, database: Database, clock: Clock, *, ttl_seconds: float) -> None:
        self.instance_id: UUID = new_id()
        self.ttl_seconds = ttl_seconds
        self._database = database
        self._clock = clock
        self._started_at = clock.now()
        self._alive_until = 0.0
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether nothing new should be begun."""
        return self._stopping

    def may_begin(self) -> bool:
        """Whether others still see this process alive and it is not about to stop.

        Judged by the monotonic clock from before the last renewal, so it errs on the safe side.
        """
        return not self._stopping and asyncio.get_running_loop().time() < self._alive_until

    async def check(self) -> None:
        """Raise unless the life sign is fresh (readiness)."""
        if asyncio.get_running_loop().time() >= self._alive_until:
            raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, "the life sign in the database could not be renewed")

    async def renew(self) -> None:
        """Tell the others that this process lives."""
        before = asyncio.get_running_loop().time()
        now = self._clock.now()
        expires_at = now + timedelta(seconds=self.ttl_seconds)
        statement = insert(InstanceRow).values(
            instance_id=self.instance_id, started_at=self._started_at, expires_at=expires_at
        )
        async with self._database.autocommit() as session:
            await session.execute(
                statement.on_conflict_do_update(index_elements=["instance_id"], set_={"expires_at": expires_at})
            )
        self._alive_until = before + self.ttl_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Renew until ``stop``; a last time then, so that work in hand may end under our name."""
        while not stop.is_set():
            pause = self.ttl_seconds / 3
            try:
                await self.renew()
            except DomainError as error:
                log.warning("life_sign_not_renewed", reason=error.detail)
                pause = min(pause, 1.0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stop.wait()
        self._stopping = True
        with contextlib.suppress(DomainError):
            await self.renew()

    async def aclose(self) -> None:
        """Sign off: what was left in hand is free at once."""
        self._stopping = True
        with contextlib.suppress(DomainError):
            async with self._database.autocommit() as session:
                await session.execute(delete(InstanceRow).where(InstanceRow.instance_id == self.instance_id))
