"""Whether any letter is unaccounted for: accepted = terminal + in flight, always.

Accepted letters are counted in the append-only history, the rest in the rows: two sources that were
written by different statements. A letter is in flight only if something will move it on; one that
nothing will ever move again is an imbalance, even though its row exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import and_, any_, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.dependencies import CountLedger
from services.kep_relay.metrics import RelayMetrics
from services.kep_relay.outbound.history import EventKind
from services.kep_relay.outbound.sweep import OVERDUE
from services.kep_relay.tables import InboundMessageRow, MailboxRow, OutboundEventRow, OutboundRecipientRow
from shared.clock import Clock
from shared.contracts.outbound import Ledger, LedgerSide
from shared.db.session import Database
from shared.domain.message import AWAITING_EVIDENCE, OUTBOUND_TERMINAL, InboundState, OutboundState

_Recipient = OutboundRecipientRow

_HAS_NEXT_STEP = or_(
    # The sweeper makes a job for every queued letter.
    _Recipient.state == OutboundState.QUEUED,
    # It does so for these when their time has come, which must therefore be set …
    and_(
        _Recipient.state.in_((OutboundState.RETRY_WAIT, OutboundState.BLOCKED, OutboundState.OUTCOME_UNKNOWN)),
        _Recipient.next_attempt_at.is_not(None),
    ),
    # … for these when their process ends, which must therefore be known …
    and_(_Recipient.state == OutboundState.SUBMITTING, _Recipient.claimed_by.is_not(None)),
    # … and for these evidence comes, or the overdue flag.
    and_(_Recipient.state.in_(tuple(AWAITING_EVIDENCE)), _Recipient.submitted_at.is_not(None)),
)


async def outbound_side(session: AsyncSession) -> LedgerSide:
    """The outgoing side, counted per recipient."""
    accepted = await session.scalar(
        select(func.count()).select_from(OutboundEventRow).where(OutboundEventRow.kind == EventKind.HANDED_OVER)
    )
    terminal_states = tuple(OUTBOUND_TERMINAL)
    in_flight = and_(_Recipient.state.not_in(terminal_states), _HAS_NEXT_STEP)
    row = (
        await session.execute(
            select(
                func.count().filter(_Recipient.state.in_(terminal_states)),
                func.count().filter(in_flight),
                func.min(case((_Recipient.state.not_in(terminal_states), _Recipient.created_at))),
            )
        )
    ).one()
    terminal, moving, oldest = row[0], row[1], row[2]
    return LedgerSide(
        accepted=accepted or 0,
        terminal=terminal,
        in_flight=moving,
        imbalance=(accepted or 0) - terminal - moving,
        oldest_in_flight_at=oldest,
    )


async def empty_side(_session: AsyncSession) -> LedgerSide:
    """A side that holds nothing."""
    return LedgerSide(accepted=0, terminal=0, in_flight=0, imbalance=0)


class LedgerKeeper:
    """Counts on request, and sets the gauges for the leading process."""

    def __init__(self, database: Database, clock: Clock, metrics: RelayMetrics, *, inbound: CountLedger) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._inbound = inbound

    async def read(self) -> Ledger:
        """Both sides in one consistent view."""
        async with self._database.reading() as session:
            return await self._ledger(session)

    async def publish(self) -> None:
        """Set the gauges that are computed from the database."""
        async with self._database.reading() as session:
            ledger = await self._ledger(session)
            states = await _states(session)
            inbound_states = await _inbound_states(session)
            overdue = await session.scalar(
                select(func.count()).select_from(_Recipient).where(literal(OVERDUE) == any_(_Recipient.attention))
            )
            stopped = await session.scalar(
                select(func.count()).select_from(MailboxRow).where(MailboxRow.stopped_at.is_not(None))
            )
        metrics = self._metrics
        metrics.leader.set(1)
        for state in OutboundState:
            metrics.messages_in_state.labels("outbound", state.value).set(states.get(state.value, 0))
        for inbound_state in InboundState:
            number = inbound_states.get(inbound_state.value, 0)
            metrics.messages_in_state.labels("inbound", inbound_state.value).set(number)
        for direction, side in (("outbound", ledger.outbound), ("inbound", ledger.inbound)):
            metrics.ledger_imbalance.labels(direction).set(side.imbalance)
            metrics.oldest_age.labels(direction).set(_age(side.oldest_in_flight_at, ledger.checked_at))
        metrics.evidence_overdue.set(overdue or 0)
        metrics.mailboxes_stopped.set(stopped or 0)

    async def _ledger(self, session: AsyncSession) -> Ledger:
        outbound = await outbound_side(session)
        inbound = await self._inbound(session)
        return Ledger(outbound=outbound, inbound=inbound, checked_at=self._clock.now())


async def _states(session: AsyncSession) -> Mapping[str, int]:
    rows = await session.execute(select(_Recipient.state, func.count()).group_by(_Recipient.state))
    return {str(state): number for state, number in rows}


async def _inbound_states(session: AsyncSession) -> Mapping[str, int]:
    rows = await session.execute(select(InboundMessageRow.state, func.count()).group_by(InboundMessageRow.state))
    return {str(state): number for state, number in rows}


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
