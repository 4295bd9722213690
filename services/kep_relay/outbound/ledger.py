"""The outgoing side of the ledger, counted per recipient.

Accepted is counted in the append-only history, the rest in the rows: two sources that were written by
different statements. A letter is in flight only if something will move it on; one that nothing will ever
move again is an imbalance, even though its row exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.outbound.history import EventKind
from services.kep_relay.tables import OutboundEventRow, OutboundMessageRow, OutboundRecipientRow
from services.kep_relay.tally import StateCount, sides
from shared.contracts.outbound import LedgerSide, UnfinishedLetter
from shared.domain.message import AWAITING_EVIDENCE, OUTBOUND_TERMINAL, OutboundState

_Recipient = OutboundRecipientRow
_TERMINAL = frozenset(state.value for state in OUTBOUND_TERMINAL)
_UNFINISHED = _Recipient.state.not_in(tuple(_TERMINAL))

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


class OutboundLedger:
    """``LedgerSource`` of what goes out."""

    async def count(self, session: AsyncSession) -> Mapping[int, LedgerSide]:
        """Each institution's recipients, counted."""
        accepted = await session.execute(
            select(OutboundMessageRow.institution_no, func.count())
            .join(OutboundEventRow, OutboundEventRow.message_id == OutboundMessageRow.message_id)
            .where(OutboundEventRow.kind == EventKind.HANDED_OVER)
            .group_by(OutboundMessageRow.institution_no)
        )
        rows = await session.execute(
            select(
                _Recipient.institution_no,
                _Recipient.state,
                func.count(),
                func.count().filter(_HAS_NEXT_STEP),
                func.min(_Recipient.created_at),
            ).group_by(_Recipient.institution_no, _Recipient.state)
        )
        return sides(
            {row[0]: row[1] for row in accepted},
            [StateCount(*row) for row in rows],
            terminal=_TERMINAL,
        )

    async def unfinished(self, session: AsyncSession, *, stuck: bool, limit: int) -> Sequence[UnfinishedLetter]:
        """Letters not at their end, oldest first; ``stuck``: only those that nothing will move on."""
        rows = await session.scalars(
            select(_Recipient)
            .where(_UNFINISHED, *([not_(_HAS_NEXT_STEP)] if stuck else []))
            .order_by(_Recipient.created_at, _Recipient.recipient_id)
            .limit(limit)
        )
        return [
            UnfinishedLetter(
                message_id=row.message_id, institution_no=row.institution_no, state=row.state, since=row.created_at,
                reason_code=row.reason_code, reason=row.reason, next_step_at=row.next_attempt_at,
            )
            for row in rows
        ]  # fmt: skip
