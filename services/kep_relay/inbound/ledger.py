"""The incoming side of the ledger: every mail taken in that is a letter or a case for a person is somewhere.

Accepted is counted in ``raw_mails``, the rest in ``inbound_messages``. A letter is in flight only if
something will move it on: a job, a lease that ends, or an EBYS that may lease it.
"""

from __future__ import annotations

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.inbound.classify import MailKind
from services.kep_relay.inbound.rawmail import RawState
from services.kep_relay.tables import InboundMessageRow, RawMailRow
from shared.contracts.outbound import LedgerSide
from shared.domain.message import INBOUND_TERMINAL, InboundState

_Row = InboundMessageRow
_TERMINAL = tuple(state.value for state in INBOUND_TERMINAL)
_MOVES_ON = or_(
    and_(_Row.state == InboundState.PARSED, _Row.verify_at.is_not(None)),
    _Row.state == InboundState.AVAILABLE,
    and_(_Row.state == InboundState.LEASED, _Row.lease_expires_at.is_not(None)),
)


async def inbound_side(session: AsyncSession) -> LedgerSide:
    """Counted per mail."""
    pending = RawMailRow.state == RawState.STORED
    becomes_letter = or_(
        pending,
        RawMailRow.state == RawState.QUARANTINED,
        and_(RawMailRow.state == RawState.INGESTED, RawMailRow.kind != MailKind.EVIDENCE),
    )
    accepted, waiting, oldest_waiting = (
        await session.execute(
            select(
                func.count().filter(becomes_letter),
                func.count().filter(pending & RawMailRow.next_attempt_at.is_not(None)),
                func.min(RawMailRow.received_at).filter(pending),
            ).select_from(RawMailRow)
        )
    ).one()
    terminal, moving, oldest_letter = (
        await session.execute(
            select(
                func.count().filter(_Row.state.in_(_TERMINAL)),
                func.count().filter(_MOVES_ON),
                func.min(_Row.received_at).filter(_Row.state.not_in(_TERMINAL)),
            ).select_from(_Row)
        )
    ).one()
    oldest = [moment for moment in (oldest_waiting, oldest_letter) if moment is not None]
    return LedgerSide(
        accepted=accepted,
        terminal=terminal,
        in_flight=waiting + moving,
        imbalance=accepted - terminal - waiting - moving,
        oldest_in_flight_at=min(oldest, default=None),
    )
