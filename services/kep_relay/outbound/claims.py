"""The claims this process works on, and those it has without knowing.

A claim is two facts: a row that names this process, and a step that runs here. When the database goes
away between a change and its answer, the row may be claimed and nobody work on it; the process lives,
so the others would respect the claim until it runs out (``claim_seconds``).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from uuid import UUID, uuid4

import structlog
from sqlalchemy import select, update

from services.kep_relay.instance import Instance
from services.kep_relay.metrics import RelayMetrics
from services.kep_relay.outbound.moves import SENDABLE
from services.kep_relay.tables import OutboundRecipientRow
from shared.clock import Clock
from shared.db.session import Database
from shared.domain.message import OutboundState
from shared.errors import DomainError

log = structlog.get_logger(__name__)

_Recipient = OutboundRecipientRow
_CLAIMED = (*SENDABLE, OutboundState.SUBMITTING)
"""The index of unfinished letters has these, and claims are never anywhere else."""


class Claims:
    """What this process holds. ``keep`` runs in every process, leading or not."""

    def __init__(self, database: Database, clock: Clock, instance: Instance, metrics: RelayMetrics) -> None:
        self._database = database
        self._clock = clock
        self._instance = instance
        self._metrics = metrics
        self._in_hand: set[UUID] = set()

    @contextlib.contextmanager
    def in_hand(self) -> Iterator[UUID]:
        """A token for a claim, ours for as long as the block runs. It is to be claimed with inside of it only."""
        token = uuid4()
        self._in_hand.add(token)
        try:
            yield token
        finally:
            self._in_hand.discard(token)

    async def let_go(self) -> int:
        """Let claims of this process that no step holds run out now, for the sweeper to find; how many.

        Raises ``DomainError(DURABILITY_UNAVAILABLE)``.
        """
        async with self._database.autocommit() as session:
            claimed = set(
                await session.scalars(
                    select(_Recipient.claim_token).where(
                        _Recipient.claimed_by == self._instance.instance_id, _Recipient.state.in_(_CLAIMED)
                    )
                )
            )
        # In this order: a token is in hand before its row is claimed, and as long as it may be.
        lost = claimed - self._in_hand
        if not lost:
            return 0
        now = self._clock.now()
        async with self._database.autocommit() as session:
            freed = await session.execute(
                update(_Recipient)
                .where(
                    _Recipient.claim_token.in_(lost), _Recipient.state.in_(_CLAIMED), _Recipient.claim_expires_at > now
                )
                .values(claim_expires_at=now)
                .returning(_Recipient.recipient_id)
                .execution_options(synchronize_session=False)
            )
            return len(freed.all())

    async def keep(self, stop: asyncio.Event) -> None:
        """Look every third of the life sign's time, until ``stop``."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._instance.ttl_seconds / 3):
                    await stop.wait()
                    return
            try:
                freed = await self.let_go()
            except DomainError as error:
                log.warning("lost_claims_not_looked_for", reason=error.detail)
                continue
            if freed:
                self._metrics.swept.labels("lost_claims").inc(freed)
                log.warning("lost_claims", number=freed)
