"""Letters handed to an EBYS for a while: taken oldest first, fenced by a token, confirmed or given back.

Every lease has a token of its own, so whoever lost it (by time, or because the letter was given to
another one) can change nothing any more: LEASE_LOST. Each consumer takes the letters it is responsible
for; what its token says is a copy goes to ``consumer_copies``.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, case, select, update

from services.kep_relay.acceptance.periods import Periods
from services.kep_relay.inbound.arrivals import Arrivals
from services.kep_relay.inbound.consumer_copies import CopyLeases, about_a_copy
from services.kep_relay.inbound.consumers import demand
from services.kep_relay.inbound.jobs import InboundJobs
from services.kep_relay.inbound.queries import describe_all, owned
from services.kep_relay.metrics import TransitionTimes
from services.kep_relay.tables import InboundMessageRow, MailboxRow
from shared.clock import Clock
from shared.contracts.consumers import DEFAULT_CONSUMER, ConsumerRole
from shared.contracts.inbound import Acknowledgement, Leased, LeaseRequest, Rejection, Renewal
from shared.contracts.mailboxes import ReadPolicy
from shared.db.session import Database, UnitOfWork
from shared.domain.message import InboundState
from shared.errors import DomainError, ErrorCode, Fault

log = structlog.get_logger(__name__)

DEAD_LETTER = "too-many-deliveries"
_LOOK_SECONDS = 1.0
_SWEEP_BATCH = 500
_Row = InboundMessageRow


class Leases:
    """Leases of letters; the row decides, so any number of processes may serve them."""

    def __init__(
        self,
        database: Database,
        jobs: InboundJobs,
        clock: Clock,
        arrivals: Arrivals,
        periods: Periods,
        transitions: TransitionTimes,
        *,
        max_deliveries: int,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._clock = clock
        self._arrivals = arrivals
        self._periods = periods
        self._transitions = transitions
        self._max_deliveries = max_deliveries
        self._copies = CopyLeases(database, clock, max_deliveries=max_deliveries)

    async def take(self, request: LeaseRequest, institutions: Sequence[int]) -> Leased:
        """Lease up to ``request.max`` letters, oldest first; waits up to ``request.wait`` seconds for the first.

        ``institutions`` bounds whose letters may be given out, whatever the request says. Raises INSTITUTION_FORBIDDEN,
        NOT_FOUND for a consumer that there is not.
        """
        wanted = sorted(set(request.institution_nos) & set(institutions))
        if not wanted:
            raise DomainError(ErrorCode.INSTITUTION_FORBIDDEN, "none of these institutions is the caller's")
        async with self._database.autocommit() as session:
            await demand(session, wanted, request.consumer)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.wait
        while True:
            leased = await self._take_any(request, wanted)
            left = deadline - loop.time()
            if leased.messages or left <= 0:
                return leased
            await self._arrivals.wait(min(left, _LOOK_SECONDS))

    async def _take_any(self, request: LeaseRequest, institutions: Sequence[int]) -> Leased:
        """Letters before copies: a period runs out on them."""
        if request.role is ConsumerRole.COPY:
            return await self._copies.take(request, institutions)
        leased = await self._take_now(request, institutions)
        copies_too = request.role is None and request.consumer != DEFAULT_CONSUMER
        return await self._copies.take(request, institutions) if copies_too and not leased.messages else leased

    async def _take_now(self, request: LeaseRequest, institutions: Sequence[int]) -> Leased:
        now = self._clock.now()
        token, expires_at = secrets.token_urlsafe(24), now + timedelta(seconds=request.seconds)
        due = and_(
            _Row.institution_no.in_(institutions),
            _Row.consumer == request.consumer,
            _Row.state == InboundState.AVAILABLE,
            _Row.visible_at <= now,
        )
        async with self._database.unit_of_work() as work:
            await self._expire(work, now, _Row.institution_no.in_(institutions))
            picked = (
                select(_Row.message_id)
                .where(due)
                .order_by(_Row.available_at, _Row.message_id)
                .limit(request.max)
                .with_for_update(skip_locked=True)
            )
            ids = (await work.session.scalars(picked)).all()
            if not ids:
                return Leased(lease_token=token, expires_at=expires_at, messages=[])
            await work.session.execute(
                update(_Row)
                .where(_Row.message_id.in_(ids))
                .values(
                    state=InboundState.LEASED, lease_token=token, lease_client_id=request.client_id,
                    lease_expires_at=expires_at, delivery_count=_Row.delivery_count + 1, updated_at=now,
                    version=_Row.version + 1,
                )
                .execution_options(synchronize_session=False)
            )  # fmt: skip
            rows = (
                await work.session.scalars(
                    select(_Row)
                    .where(_Row.message_id.in_(ids))
                    .order_by(_Row.available_at, _Row.message_id)
                    .execution_options(populate_existing=True)
                )
            ).all()
            messages = await describe_all(work.session, rows)
        log.info("letters_leased", client_id=request.client_id, number=len(messages))
        return Leased(lease_token=token, expires_at=expires_at, messages=messages)

    async def acknowledge(self, message_id: UUID, institutions: Sequence[int], body: Acknowledgement) -> _Row:
        """The EBYS has the letter safe. Again with the same registry number: the same answer.

        Raises LEASE_LOST, STATE_CONFLICT when it was registered under another number, NOT_FOUND, VALIDATION_FAILED
        for a letter without a number.
        """
        if about_a_copy(body.lease_token):
            return await self._copies.acknowledge(message_id, institutions, body)
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            row = await owned(work.session, message_id, institutions, lock=True)
            if body.registry_no is None:
                faults = [Fault("/registry_no", "required, because the letter is not a copy")]
                raise DomainError(ErrorCode.VALIDATION_FAILED, "a letter needs its registry number", faults=faults)
            if row.registry_no is not None:  # whatever became of it since: it may have been sealed
                if row.registry_no == body.registry_no:
                    return row
                raise DomainError(ErrorCode.STATE_CONFLICT, "the letter is registered under another number")
            self._require(row, body.lease_token, now)
            row.consumed_by = row.lease_client_id
            _release(row, InboundState.CONSUMED, now)
            row.consumed_at, row.registry_no = now, body.registry_no
            registered_by = row.consumed_by or body.registry_no
            mailbox = await work.session.get_one(MailboxRow, row.mailbox_id)
            if row.provider_acknowledged_at is None and mailbox.read_policy == ReadPolicy.ON_ACK:
                row.acknowledge_at = now
                await self._jobs.defer_acknowledge(work, row.mailbox_id, row.message_id)
            await self._periods.registered(work, row.message_id, registered_by)
        self._transitions.inbound(InboundState.CONSUMED, row.received_at, now)
        return row

    async def reject(self, message_id: UUID, institutions: Sequence[int], body: Rejection) -> _Row:
        """Give a letter back; it is offered again after ``delay_seconds``, or is dead after too many deliveries."""
        if about_a_copy(body.lease_token):
            letter = await self._copies.reject(message_id, institutions, body)
            self._arrivals.announce()
            return letter
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            row = await owned(work.session, message_id, institutions, lock=True)
            self._require(row, body.lease_token, now)
            if row.delivery_count >= self._max_deliveries:
                _release(row, InboundState.DEAD_LETTERED, now)
                row.reason_code = DEAD_LETTER
            else:
                _release(row, InboundState.AVAILABLE, now)
                row.visible_at = now + timedelta(seconds=body.delay_seconds)
            row.last_rejection = body.reason
        self._arrivals.announce()
        return row

    async def renew(self, message_id: UUID, institutions: Sequence[int], body: Renewal) -> Leased:
        """Keep one letter of a lease for ``seconds`` from now."""
        if about_a_copy(body.lease_token):
            return await self._copies.renew(message_id, institutions, body)
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            row = await owned(work.session, message_id, institutions, lock=True)
            self._require(row, body.lease_token, now)
            row.lease_expires_at = now + timedelta(seconds=body.seconds)
            row.updated_at = now
            await work.session.flush()
            return Leased(
                lease_token=body.lease_token,
                expires_at=row.lease_expires_at,
                messages=await describe_all(work.session, [row]),
            )

    async def redrive(self, message_id: UUID, institutions: Sequence[int], copy_of: str | None = None) -> _Row:
        """Offer a dead letter again, or the dead copy of a consumer, with a fresh count.

        Raises NOT_FOUND, STATE_CONFLICT for any other state.
        """
        if copy_of is not None:
            letter = await self._copies.redrive(message_id, institutions, copy_of)
            self._arrivals.announce()
            return letter
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            row = await owned(work.session, message_id, institutions, lock=True)
            if row.state != InboundState.DEAD_LETTERED:
                raise DomainError(ErrorCode.STATE_CONFLICT, "the letter is not a dead letter")
            _release(row, InboundState.AVAILABLE, now)
            row.delivery_count, row.visible_at, row.reason_code = 0, now, None
        self._arrivals.announce()
        return row

    async def sweep(self) -> None:
        """Take back what was leased for too long."""
        async with self._database.unit_of_work() as work:
            number = await self._expire(work, self._clock.now())
        number += await self._copies.sweep()
        if number:
            log.info("leases_expired", number=number)
            self._arrivals.announce()

    async def _expire(self, work: UnitOfWork, now: datetime, *conditions: ColumnElement[bool]) -> int:
        late = (
            select(_Row.message_id)
            .where(_Row.state == InboundState.LEASED, _Row.lease_expires_at <= now, *conditions)
            .limit(_SWEEP_BATCH)
            .with_for_update(skip_locked=True)
        )
        dead = _Row.delivery_count >= self._max_deliveries
        expired = await work.session.execute(
            update(_Row)
            .where(_Row.message_id.in_(late.scalar_subquery()))
            .values(
                state=case((dead, InboundState.DEAD_LETTERED.value), else_=InboundState.AVAILABLE.value),
                reason_code=case((dead, DEAD_LETTER), else_=_Row.reason_code),
                visible_at=now, lease_token=None, lease_client_id=None, lease_expires_at=None, updated_at=now,
                version=_Row.version + 1,
            )
            .returning(_Row.message_id)
            .execution_options(synchronize_session=False)
        )  # fmt: skip
        return len(expired.all())

    @staticmethod
    def _require(row: _Row, token: str, now: datetime) -> None:
        held = row.state == InboundState.LEASED and row.lease_token is not None and row.lease_expires_at is not None
        if not held or not secrets.compare_digest(str(row.lease_token).encode(), token.encode()):
            raise DomainError(ErrorCode.LEASE_LOST, "the lease is over or belongs to another one")
        assert row.lease_expires_at is not None
        if row.lease_expires_at <= now:
            raise DomainError(ErrorCode.LEASE_LOST, "the lease ran out")


def _release(row: _Row, state: InboundState, now: datetime) -> None:
    row.state = state
    row.lease_token = row.lease_client_id = row.lease_expires_at = None
    row.updated_at = now
    row.version += 1
