"""A mailbox without credit: its letters keep their order and wait behind the first one (kep.md 7.7).

The letter that the provider refused is the one that is tried again; younger ones of the same mailbox are
blocked without troubling the provider. Once one is taken, all that waited are due at once, oldest first.
The rows say all of this, so that it holds for every process and after a restart.
"""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy import select, update

from services.kep_relay.outbound.moves import LetterInHand
from services.kep_relay.tables import OutboundMessageRow, OutboundRecipientRow
from shared.clock import Clock
from shared.db.session import Database
from shared.domain.message import OutboundState
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_LOOK_AGAIN_SECONDS = 2.0
"""How long a mailbox without waiting letters is not looked at again: what other processes find out is seen then."""
_Row = OutboundRecipientRow


class CreditQueue:
    """Who may be tried at a provider that refuses for want of credit."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._short: set[str] = set()
        self._clear_until: dict[str, float] = {}

    async def behind_another(self, letter: LetterInHand) -> bool:
        """Whether an older message of the same mailbox waits for credit."""
        mailbox_id, now = letter.mailbox.mailbox_id, asyncio.get_running_loop().time()
        short = mailbox_id in self._short or letter.recipient.reason_code == ErrorCode.KEP_CREDIT_EXHAUSTED
        if not short and now < self._clear_until.get(mailbox_id, 0.0):
            return False
        # The one that is tried just now keeps its reason until the provider has answered.
        states = [OutboundState.BLOCKED, OutboundState.SUBMITTING]
        if short:
            # What is looked at again is queued for a moment, with its reason; only then is that looked for.
            states.append(OutboundState.QUEUED)
        async with self._database.autocommit() as session:
            older = await session.scalar(
                select(_Row.recipient_id)
                .join(OutboundMessageRow, OutboundMessageRow.message_id == _Row.message_id)
                .where(
                    _Row.state.in_(states),
                    _Row.reason_code == ErrorCode.KEP_CREDIT_EXHAUSTED,
                    _Row.recipient_id < letter.recipient_id,
                    OutboundMessageRow.mailbox_id == mailbox_id,
                )
                .limit(1)
            )
        if older is not None:
            self._short.add(mailbox_id)
            return True
        if not short:
            self._clear_until[mailbox_id] = now + _LOOK_AGAIN_SECONDS
        return False

    def refused(self, mailbox_id: str) -> None:
        """The provider said that there is no credit."""
        self._short.add(mailbox_id)
        self._clear_until.pop(mailbox_id, None)

    async def taken(self, letter: LetterInHand) -> None:
        """The provider took a message: if it had waited for credit, the others need not any more. Never raises."""
        mailbox_id = letter.mailbox.mailbox_id
        self._short.discard(mailbox_id)
        if letter.recipient.reason_code != ErrorCode.KEP_CREDIT_EXHAUSTED:
            return
        try:
            await self._release(mailbox_id)
        except DomainError as error:
            log.warning("credit_not_told", mailbox=mailbox_id, reason=error.detail)

    async def _release(self, mailbox_id: str) -> None:
        of_mailbox = select(OutboundMessageRow.message_id).where(OutboundMessageRow.mailbox_id == mailbox_id)
        async with self._database.autocommit() as session:
            waiting = await session.execute(
                update(_Row)
                .where(
                    _Row.state == OutboundState.BLOCKED,
                    _Row.reason_code == ErrorCode.KEP_CREDIT_EXHAUSTED,
                    _Row.message_id.in_(of_mailbox),
                )
                # Without the reason nobody stands behind them any more; a new refusal writes it again.
                .values(
                    next_attempt_at=self._clock.now(), reason_code=None, reason=None, setbacks=0,
                    version=_Row.version + 1,
                )
                .returning(_Row.recipient_id)
                .execution_options(synchronize_session=False)
            )  # fmt: skip
            log.info("credit_again", mailbox=mailbox_id, released=len(waiting.all()))
