"""Leases of copies: as those of letters, but nothing that happens to a copy changes the letter or the ledger.

Their tokens begin otherwise than those of letters, so that a call says by its token what it is about, even when the
lease is long over.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, case, select, tuple_, update

from services.kep_relay.inbound.queries import describe_all, owned
from services.kep_relay.tables import InboundCopyRow, InboundMessageRow
from shared.clock import Clock
from shared.contracts.consumers import ConsumerRole, CopyState
from shared.contracts.inbound import Acknowledgement, Leased, LeaseRequest, Rejection, Renewal
from shared.db.session import Database, UnitOfWork
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_PREFIX = "copy."  # a dot is in no token of a letter
_SWEEP_BATCH = 500
_Copy, _Letter = InboundCopyRow, InboundMessageRow


def about_a_copy(token: str) -> bool:
    """Whether a lease token was given out with copies."""
    return token.startswith(_PREFIX)


class CopyLeases:
    """Leases of copies; the row decides."""

    def __init__(self, database: Database, clock: Clock, *, max_deliveries: int) -> None:
        self._database = database
        self._clock = clock
        self._max_deliveries = max_deliveries

    async def take(self, request: LeaseRequest, institutions: Sequence[int]) -> Leased:
        """Lease up to ``request.max`` copies of the consumer, oldest first, now."""
        now = self._clock.now()
        token, expires_at = _PREFIX + secrets.token_urlsafe(24), now + timedelta(seconds=request.seconds)
        async with self._database.unit_of_work() as work:
            mine = _Copy.institution_no.in_(institutions) & (_Copy.consumer == request.consumer)
            await self._expire(work, now, mine)
            ids = (
                await work.session.scalars(
                    select(_Copy.message_id)
                    .where(mine, _Copy.state == CopyState.AVAILABLE, _Copy.visible_at <= now)
                    .order_by(_Copy.offered_at, _Copy.message_id)
                    .limit(request.max)
                    .with_for_update(skip_locked=True)
                )
            ).all()
            if ids:
                await work.session.execute(
                    update(_Copy)
                    .where(_Copy.message_id.in_(ids), _Copy.consumer == request.consumer)
                    .values(
                        state=CopyState.LEASED.value, lease_token=token, lease_client_id=request.client_id,
                        lease_expires_at=expires_at, delivery_count=_Copy.delivery_count + 1, updated_at=now,
                    )
                    .execution_options(synchronize_session=False)
                )  # fmt: skip
            letters = await work.session.scalars(select(_Letter).where(_Letter.message_id.in_(ids)))
            found = {row.message_id: row for row in letters}
            messages = await describe_all(work.session, [found[message_id] for message_id in ids])
        if messages:
            log.info("copies_leased", client_id=request.client_id, number=len(messages))
        return Leased(lease_token=token, expires_at=expires_at, role=ConsumerRole.COPY, messages=messages)

    async def acknowledge(
        self, message_id: UUID, institutions: Sequence[int], body: Acknowledgement
    ) -> InboundMessageRow:
        """The consumer has dealt with its copy. Again with the same token: the same answer. Raises LEASE_LOST."""
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            letter = await owned(work.session, message_id, institutions)
            copy = await self._copy(work, letter.message_id, body.lease_token)
            if copy.state == CopyState.ACKNOWLEDGED:
                return letter
            self._require(copy, now)
            copy.acknowledged_by, copy.acknowledged_token = copy.lease_client_id, copy.lease_token
            _release(copy, CopyState.ACKNOWLEDGED, now)
            copy.acknowledged_at, copy.reference = now, body.registry_no
            return letter

    async def reject(self, message_id: UUID, institutions: Sequence[int], body: Rejection) -> InboundMessageRow:
        """Give a copy back; it is offered again after a delay, or is dead after too many deliveries."""
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            letter = await owned(work.session, message_id, institutions)
            copy = await self._copy(work, letter.message_id, body.lease_token)
            self._require(copy, now)
            dead = copy.delivery_count >= self._max_deliveries
            _release(copy, CopyState.DEAD_LETTERED if dead else CopyState.AVAILABLE, now)
            copy.visible_at = now + timedelta(seconds=body.delay_seconds)
            copy.last_rejection = body.reason
            return letter

    async def renew(self, message_id: UUID, institutions: Sequence[int], body: Renewal) -> Leased:
        """Keep one copy of a lease for ``seconds`` from now."""
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            letter = await owned(work.session, message_id, institutions)
            copy = await self._copy(work, letter.message_id, body.lease_token)
            self._require(copy, now)
            expires_at = now + timedelta(seconds=body.seconds)
            copy.lease_expires_at, copy.updated_at = expires_at, now
            return Leased(
                lease_token=body.lease_token, expires_at=expires_at, role=ConsumerRole.COPY,
                messages=await describe_all(work.session, [letter]),
            )  # fmt: skip

    async def redrive(self, message_id: UUID, institutions: Sequence[int], consumer: str) -> InboundMessageRow:
        """Offer a dead copy again, with a fresh count. Raises NOT_FOUND, STATE_CONFLICT for any other state."""
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            letter = await owned(work.session, message_id, institutions)
            copy = await work.session.get(_Copy, (letter.message_id, consumer), with_for_update=True)
            if copy is None:
                raise DomainError(ErrorCode.NOT_FOUND, "this consumer has no copy of the letter")
            if copy.state != CopyState.DEAD_LETTERED:
                raise DomainError(ErrorCode.STATE_CONFLICT, "the copy is not a dead letter")
            _release(copy, CopyState.AVAILABLE, now)
            copy.delivery_count, copy.visible_at = 0, now
            return letter

    async def sweep(self) -> int:
        """Take back what was leased for too long; how many."""
        async with self._database.unit_of_work() as work:
            return await self._expire(work, self._clock.now())

    async def _expire(self, work: UnitOfWork, now: datetime, *conditions: ColumnElement[bool]) -> int:
        late = (
            select(_Copy.message_id, _Copy.consumer)
            .where(_Copy.state == CopyState.LEASED, _Copy.lease_expires_at <= now, *conditions)
            .limit(_SWEEP_BATCH)
            .with_for_update(skip_locked=True)
        )
        dead = _Copy.delivery_count >= self._max_deliveries
        expired = await work.session.execute(
            update(_Copy)
            .where(tuple_(_Copy.message_id, _Copy.consumer).in_(late))
            .values(
                state=case((dead, CopyState.DEAD_LETTERED.value), else_=CopyState.AVAILABLE.value),
                visible_at=now, lease_token=None, lease_client_id=None, lease_expires_at=None, updated_at=now,
            )
            .returning(_Copy.message_id)
            .execution_options(synchronize_session=False)
        )  # fmt: skip
        return len(expired.all())

    @staticmethod
    async def _copy(work: UnitOfWork, message_id: UUID, token: str) -> InboundCopyRow:
        """The copy that was leased, or acknowledged, with this token."""
        rows = await work.session.scalars(
            select(_Copy).where(_Copy.message_id == message_id).order_by(_Copy.consumer).with_for_update()
        )
        for row in rows:
            for held in (row.lease_token, row.acknowledged_token):
                if held is not None and secrets.compare_digest(held.encode(), token.encode()):
                    return row
        raise DomainError(ErrorCode.LEASE_LOST, "the lease is over or belongs to another one")

    @staticmethod
    def _require(copy: InboundCopyRow, now: datetime) -> None:
        if copy.state != CopyState.LEASED or copy.lease_expires_at is None:
            raise DomainError(ErrorCode.LEASE_LOST, "the lease is over")
        if copy.lease_expires_at <= now:
            raise DomainError(ErrorCode.LEASE_LOST, "the lease ran out")


def _release(copy: InboundCopyRow, state: CopyState, now: datetime) -> None:
    copy.state = state.value
    copy.lease_token = copy.lease_client_id = copy.lease_expires_at = None
    copy.updated_at = now
