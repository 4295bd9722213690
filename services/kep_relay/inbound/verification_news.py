"""Tells detsis_sync that a verification mail came, so that its registration goes on: one round of the leading process.

Row first, as everywhere: what is to be told stands in ``announce_at`` until detsis_sync has written it down.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select, update

from services.kep_relay.inbound.verification_mails import envelopes
from services.kep_relay.tables import InboundMessageRow, VerificationMailRow
from shared.clock import Clock
from shared.contracts.directory.registrations import VerificationNotice
from shared.db.session import Database
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_AT_ONCE = 100
_PAUSE = timedelta(seconds=30)
_UNJUDGED_PAUSE = timedelta(seconds=5)


class VerificationAnnouncements:
    """One pass is idempotent: detsis_sync knows a mail by its id."""

    def __init__(
        self, database: Database, announce: Callable[[VerificationNotice], Awaitable[None]], clock: Clock
    ) -> None:
        self._database = database
        self._announce = announce
        self._clock = clock

    async def sweep(self) -> None:
        """Tell what is due; when detsis_sync is away, again after a pause. Raises when the database is away."""
        async with self._database.reading() as session:
            due = (
                await session.execute(
                    select(VerificationMailRow, InboundMessageRow.mailbox_address)
                    .join(InboundMessageRow, InboundMessageRow.message_id == VerificationMailRow.message_id)
                    .where(VerificationMailRow.announce_at <= self._clock.now())
                    .order_by(VerificationMailRow.announce_at)
                    .limit(_AT_ONCE)
                )
            ).all()
            verdicts = await envelopes(session, [row.message_id for row, _address in due])
        for row, address in due:
            verdict = verdicts.get(row.message_id)
            if verdict is None or verdict is Conclusion.FAILED:
                # Not judged yet: later. Forged: nobody is to be told that DETSİS has written.
                await self._again(row.message_id, self._clock.now() + _UNJUDGED_PAUSE if verdict is None else None)
                continue
            notice = VerificationNotice(
                institution_no=row.institution_no,
                kep_address=address,
                message_id=row.message_id,
                received_at=row.received_at,
            )
            next_try = None
            try:
                await self._announce(notice)
            except DomainError as error:
                if error.code is ErrorCode.DURABILITY_UNAVAILABLE:
                    raise
                next_try = self._clock.now() + _PAUSE
                log.warning("verification_mail_not_announced", message_id=str(row.message_id), reason=error.detail)
            await self._again(row.message_id, next_try)
            if next_try is not None:
                return

    async def _again(self, message_id: UUID, moment: datetime | None) -> None:
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                update(VerificationMailRow)
                .where(VerificationMailRow.message_id == message_id)
                .values(announce_at=moment)
            )
