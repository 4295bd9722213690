"""Who has a letter and why, and the decisions of people about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.inbound.arrivals import Arrivals
from services.kep_relay.inbound.consumer_routing import OFFERED, give_copies, held, withdraw_copies, write_down
from services.kep_relay.inbound.queries import readable
from services.kep_relay.tables import InboundCopyRow, InboundMessageRow, InboundRoutingRow
from shared.clock import Clock
from shared.contracts.consumers import (
    DEFAULT_CONSUMER,
    CopyState,
    LetterCopy,
    LetterRouting,
    RoutingChange,
    RoutingDecision,
    RoutingReason,
)
from shared.db.session import Database
from shared.domain.message import InboundState
from shared.errors import DomainError, ErrorCode, Fault

log = structlog.get_logger(__name__)

_Copy, _Routing = InboundCopyRow, InboundRoutingRow


class Routings:
    """Reads decisions, and takes those of people."""

    def __init__(self, database: Database, clock: Clock, arrivals: Arrivals) -> None:
        self._database = database
        self._clock = clock
        self._arrivals = arrivals

    async def read(self, message_id: UUID, institutions: Sequence[int]) -> LetterRouting:
        """Who has the letter and why. Raises NOT_FOUND, CLASSIFIED_SEALED."""
        async with self._database.reading() as session:
            return await _described(session, await readable(session, message_id, institutions))

    async def change(self, message_id: UUID, institutions: Sequence[int], body: RoutingChange) -> LetterRouting:
        """Give the letter to ``body.consumer`` and copies to ``body.copies``; what is so already is left alone.

        A letter that changes hands is taken from whoever leases it and counts its deliveries anew; a dead one lives
        again. Raises NOT_FOUND, CLASSIFIED_SEALED, VALIDATION_FAILED for a consumer that there is not, STATE_CONFLICT
        for a letter that is registered, refused, or not offered yet.
        """
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            # Consumers first: whoever ends one waits for letters, and must not be waited for meanwhile.
            before = await readable(work.session, message_id, institutions)
            known = {row.name for row in await held(work, before.institution_no)}
            _demand(body, known)
            letter = await work.session.get_one(
                InboundMessageRow, message_id, with_for_update=True, populate_existing=True
            )
            if letter.state == InboundState.SEALED:
                raise DomainError(ErrorCode.CLASSIFIED_SEALED, "the letter is sealed")
            moved = letter.consumer != body.consumer
            if moved:
                if letter.state not in OFFERED:
                    raise DomainError(ErrorCode.STATE_CONFLICT, "the letter is not offered to anybody now")
                _move(letter, body.consumer, now)
                mine = (_Copy.message_id == message_id) & (_Copy.consumer == body.consumer)
                await withdraw_copies(work, mine, now)
            elif letter.state == InboundState.PARSED or letter.available_at is None:
                raise DomainError(ErrorCode.STATE_CONFLICT, "the letter is not offered to anybody now")
            copies = sorted(set(body.copies) - {letter.consumer})
            given = await give_copies(work, letter, copies, now)
            if moved or given:
                await write_down(work, letter, given, now, decided_by=body.decided_by, reason=body.reason)
                log.info("letter_routed_anew", message_id=str(message_id), consumer=letter.consumer, copies=given)
            await work.session.flush()
            found = await _described(work.session, letter)
        self._arrivals.announce()
        return found


def _demand(body: RoutingChange, known: set[str]) -> None:
    faults = [Fault("/consumer", "no such consumer")] if body.consumer not in known | {DEFAULT_CONSUMER} else []
    faults += [
        Fault(f"/copies/{position}", "no such consumer" if name != DEFAULT_CONSUMER else "takes letters, not copies")
        for position, name in enumerate(body.copies)
        if name not in known
    ]
    if faults:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "a consumer is not there", faults=faults)


def _move(letter: InboundMessageRow, consumer: str, now: datetime) -> None:
    if letter.state == InboundState.DEAD_LETTERED:
        letter.reason_code = None
    letter.consumer, letter.state = consumer, InboundState.AVAILABLE
    letter.lease_token = letter.lease_client_id = letter.lease_expires_at = None
    letter.delivery_count, letter.visible_at, letter.updated_at = 0, now, now
    letter.version += 1


async def _described(session: AsyncSession, letter: InboundMessageRow) -> LetterRouting:
    copies = await session.scalars(
        select(_Copy)
        .where(_Copy.message_id == letter.message_id)
        .order_by(_Copy.consumer)
        .execution_options(populate_existing=True)
    )
    decisions = await session.scalars(
        select(_Routing).where(_Routing.message_id == letter.message_id).order_by(_Routing.sequence)
    )
    return LetterRouting(
        message_id=letter.message_id,
        consumer=letter.consumer,
        copies=[
            LetterCopy(
                consumer=row.consumer, state=CopyState(row.state), delivery_count=row.delivery_count,
                offered_at=row.offered_at, lease_expires_at=row.lease_expires_at, last_rejection=row.last_rejection,
                acknowledged_at=row.acknowledged_at, reference=row.reference,
            )
            for row in copies
        ],
        decisions=[
            RoutingDecision(
                sequence=row.sequence, consumer=row.consumer, copies=row.copies, decided_at=row.decided_at,
                decided_by=row.decided_by, reason=row.reason,
                rules=[RoutingReason.model_validate(rule) for rule in row.rules],
            )
            for row in decisions
        ],
    )  # fmt: skip
