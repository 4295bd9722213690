"""Releases a mail that the virus scanner withheld, by a person's order: a false alarm, or one looked through by hand."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import select

from services.kep_relay.events import ThreatNews, tell
from services.kep_relay.inbound.classify import MailKind
from services.kep_relay.inbound.jobs import InboundJobs
from services.kep_relay.inbound.letter import reason_by_packages
from services.kep_relay.inbound.message_rows import REASON_OF_KIND
from services.kep_relay.inbound.queries import owned
from services.kep_relay.inbound.scanning import WITHHELD
from services.kep_relay.tables import InboundMessageRow, InboundPartRow
from shared.clock import Clock
from shared.contracts.events import EventType
from shared.contracts.inbound import Release
from shared.db.session import Database, UnitOfWork
from shared.domain.message import InboundState
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)


class Releases:
    """Releases mails; a letter is then judged anew and offered, by the job that does so with every letter."""

    def __init__(self, database: Database, jobs: InboundJobs, clock: Clock) -> None:
        self._database = database
        self._jobs = jobs
        self._clock = clock

    async def release(self, message_id: UUID, institutions: Sequence[int], body: Release) -> InboundMessageRow:
        """The mail, withheld no more: its content can be had, and a letter will be offered.

        What is a case for a person without the scanner's word as well stays one. Raises NOT_FOUND, STATE_CONFLICT
        for a mail that is not withheld.
        """
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            row = await owned(work.session, message_id, institutions, lock=True)
            withheld = row.reason_code
            if row.state != InboundState.QUARANTINED or withheld not in WITHHELD:
                raise DomainError(ErrorCode.STATE_CONFLICT, "the mail is not withheld because of the virus scanner")
            if row.kind == MailKind.LETTER:
                row.state, row.reason_code = InboundState.PARSED, await self._reason(work, message_id)
                row.verify_at = now
                await self._jobs.defer_verify(work, message_id)
            else:
                row.reason_code = REASON_OF_KIND[MailKind(row.kind)]
            row.reason = f"{row.reason}; released by {body.decided_by}: {body.reason}"
            row.updated_at = now
            row.version += 1
            log.warning("withheld_mail_released", message_id=str(message_id), reason_code=withheld)
            await tell(
                work, EventType.INBOUND_RELEASED, ThreatNews(withheld), institution_no=row.institution_no,
                message_id=message_id, at=now,
            )  # fmt: skip
        return row

    @staticmethod
    async def _reason(work: UnitOfWork, message_id: UUID) -> str | None:
        names = await work.session.scalars(
            select(InboundPartRow.filename).where(InboundPartRow.message_id == message_id, InboundPartRow.is_package)
        )
        return reason_by_packages(names.all())
