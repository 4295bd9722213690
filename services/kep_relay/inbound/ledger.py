"""The incoming side of the ledger: every mail taken in that is a letter or a case for a person is somewhere.

Accepted is counted in ``raw_mails``, the rest in ``inbound_messages``. A letter is in flight only if
something will move it on: a job, a lease that ends, or an EBYS that may lease it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.inbound.classify import MailKind
from services.kep_relay.inbound.rawmail import RawState
from services.kep_relay.tables import InboundMessageRow, RawMailRow
from services.kep_relay.tally import StateCount, sides
from shared.contracts.outbound import LedgerSide, UnfinishedLetter
from shared.domain.message import INBOUND_TERMINAL, InboundState

_Row = InboundMessageRow
_TERMINAL = frozenset(state.value for state in INBOUND_TERMINAL)
_MOVES_ON = or_(
    and_(_Row.state == InboundState.PARSED, _Row.verify_at.is_not(None)),
    _Row.state == InboundState.AVAILABLE,
    and_(_Row.state == InboundState.LEASED, _Row.lease_expires_at.is_not(None)),
)
_PENDING = RawMailRow.state == RawState.STORED
_WILL_BE_READ = RawMailRow.next_attempt_at.is_not(None)


class InboundLedger:
    """``LedgerSource`` of what comes in, counted per mail."""

    async def count(self, session: AsyncSession) -> Mapping[int, LedgerSide]:
        """Each institution's mails, counted; those not read yet under ``stored``."""
        becomes_letter = or_(
            _PENDING,
            RawMailRow.state == RawState.QUARANTINED,
            and_(RawMailRow.state == RawState.INGESTED, RawMailRow.kind != MailKind.EVIDENCE),
        )
        mails = (
            await session.execute(
                select(
                    RawMailRow.institution_no,
                    func.count().filter(becomes_letter),
                    func.count().filter(_PENDING),
                    func.count().filter(_PENDING & _WILL_BE_READ),
                    func.min(RawMailRow.received_at).filter(_PENDING),
                ).group_by(RawMailRow.institution_no)
            )
        ).all()
        letters = await session.execute(
            select(
                _Row.institution_no,
                _Row.state,
                func.count(),
                func.count().filter(_MOVES_ON),
                func.min(_Row.received_at),
            ).group_by(_Row.institution_no, _Row.state)
        )
        waiting = [
            StateCount(number, InboundState.STORED.value, pending, moving, oldest)
            for number, _accepted, pending, moving, oldest in mails
            if pending
        ]
        return sides(
            {number: accepted for number, accepted, *_rest in mails},
            [*waiting, *(StateCount(*row) for row in letters)],
            terminal=_TERMINAL,
        )

    async def unfinished(self, session: AsyncSession, *, stuck: bool, limit: int) -> Sequence[UnfinishedLetter]:
        """Mails and letters not at their end, oldest first; ``stuck``: only those that nothing will move on."""

        def which(unfinished: ColumnElement[bool], moves_on: ColumnElement[bool]) -> ColumnElement[bool]:
            return and_(unfinished, not_(moves_on)) if stuck else unfinished

        mails = await session.scalars(
            select(RawMailRow)
            .where(which(_PENDING, _WILL_BE_READ))
            .order_by(RawMailRow.received_at, RawMailRow.raw_mail_id)
            .limit(limit)
        )
        letters = await session.scalars(
            select(_Row)
            .where(which(_Row.state.not_in(tuple(_TERMINAL)), _MOVES_ON))
            .order_by(_Row.received_at, _Row.message_id)
            .limit(limit)
        )
        found = [
            UnfinishedLetter(
                message_id=None, institution_no=row.institution_no, state=row.state, since=row.received_at,
                reason_code=row.reason_code, reason=row.reason, next_step_at=row.next_attempt_at,
            )
            for row in mails
        ]  # fmt: skip
        found += [
            UnfinishedLetter(
                message_id=row.message_id, institution_no=row.institution_no, state=row.state, since=row.received_at,
                reason_code=row.reason_code, reason=row.reason, next_step_at=_next_step(row),
            )
            for row in letters
        ]  # fmt: skip
        return sorted(found, key=lambda item: item.since)[:limit]


def _next_step(row: InboundMessageRow) -> datetime | None:
    return row.lease_expires_at if row.state == InboundState.LEASED else row.verify_at
