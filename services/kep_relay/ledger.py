"""Whether any letter is unaccounted for: accepted = terminal + in flight, always."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import any_, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.dependencies import LedgerSource
from services.kep_relay.metrics import RelayMetrics
from services.kep_relay.outbound.ledger import OutboundLedger
from services.kep_relay.outbound.sweep import OVERDUE
from services.kep_relay.tables import MailboxRow, OutboundRecipientRow
from services.kep_relay.tally import NOTHING, total
from shared.clock import Clock
from shared.contracts.outbound import InstitutionLedger, Ledger, LedgerSide, UnfinishedLetter
from shared.db.session import Database
from shared.domain.message import InboundState, OutboundState

MOST_STUCK = 20
"""So many letters of an imbalance are named."""


class NoLetters:
    """``LedgerSource`` of a side that holds nothing."""

    async def count(self, _session: AsyncSession) -> Mapping[int, LedgerSide]:
        """No institution."""
        return {}

    async def unfinished(
        self,
        _session: AsyncSession,
        *,
        stuck: bool,  # noqa: ARG002 - a part of the protocol
        limit: int,  # noqa: ARG002 - a part of the protocol
    ) -> Sequence[UnfinishedLetter]:
        """No letter."""
        return []


class LedgerKeeper:
    """Counts on request, and sets the gauges for the leading process."""

    def __init__(self, database: Database, clock: Clock, metrics: RelayMetrics, *, inbound: LedgerSource) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._outbound: LedgerSource = OutboundLedger()
        self._inbound = inbound

    async def read(self) -> Ledger:
        """Both sides in one consistent view, in all and by institution, with the oldest letter not at its end.

        Where something is unaccounted for, with up to ``MOST_STUCK`` letters that nothing will move on.
        """
        async with self._database.reading() as session:
            outbound, inbound = await self._outbound.count(session), await self._inbound.count(session)
            return Ledger(
                outbound=await _described(session, self._outbound, outbound),
                inbound=await _described(session, self._inbound, inbound),
                institutions=[
                    InstitutionLedger(
                        institution_no=number,
                        outbound=outbound.get(number, NOTHING),
                        inbound=inbound.get(number, NOTHING),
                    )
                    for number in sorted(outbound.keys() | inbound.keys())
                ],
                checked_at=self._clock.now(),
            )

    async def publish(self) -> None:
        """Set the gauges that are computed from the database."""
        async with self._database.reading() as session:
            outbound = total((await self._outbound.count(session)).values())
            inbound = total((await self._inbound.count(session)).values())
            overdue = await session.scalar(
                select(func.count())
                .select_from(OutboundRecipientRow)
                .where(literal(OVERDUE) == any_(OutboundRecipientRow.attention))
            )
            stopped = await session.scalar(
                select(func.count()).select_from(MailboxRow).where(MailboxRow.stopped_at.is_not(None))
            )
        metrics, now = self._metrics, self._clock.now()
        metrics.leader.set(1)
        for state in OutboundState:
            metrics.messages_in_state.labels("outbound", state.value).set(outbound.states.get(state.value, 0))
        for inbound_state in InboundState:
            number = inbound.states.get(inbound_state.value, 0)
            metrics.messages_in_state.labels("inbound", inbound_state.value).set(number)
        for direction, side in (("outbound", outbound), ("inbound", inbound)):
            metrics.ledger_imbalance.labels(direction).set(side.imbalance)
            metrics.oldest_age.labels(direction).set(_age(side.oldest_in_flight_at, now))
        metrics.evidence_overdue.set(overdue or 0)
        metrics.mailboxes_stopped.set(stopped or 0)


async def _described(session: AsyncSession, source: LedgerSource, parts: Mapping[int, LedgerSide]) -> LedgerSide:
    side = total(parts.values())
    oldest = await source.unfinished(session, stuck=False, limit=1)
    stuck = await source.unfinished(session, stuck=True, limit=MOST_STUCK) if side.imbalance else []
    return side.model_copy(update={"oldest": oldest[0] if oldest else None, "stuck": list(stuck)})


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
