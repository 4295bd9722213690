"""When each account's provider was last spoken to: for readiness, written seldom."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy import update

from services.kep_relay.tables import MailboxRow
from shared.clock import Clock
from shared.db.session import Database
from shared.errors import DomainError

log = structlog.get_logger(__name__)


class Sightings:
    """Remembers in the mailbox's row that submission worked, or why it did not.

    An unchanged answer is written every ``interval_seconds`` at most: the row is shared by all
    submissions of the account.
    """

    def __init__(self, database: Database, clock: Clock, *, interval_seconds: float = 10.0) -> None:
        self._database = database
        self._clock = clock
        self._interval = interval_seconds
        self._written: dict[str, tuple[str | None, float]] = {}

    async def seen(self, mailbox_id: str, *, fault: str | None) -> None:
        """The provider was reached (``fault`` None) or could not be, and why. Never raises."""
        now = asyncio.get_running_loop().time()
        last_fault, last_at = self._written.get(mailbox_id, (None, float("-inf")))
        if last_fault == fault and now - last_at < self._interval:
            return
        self._written[mailbox_id] = (fault, now)
        changed: dict[str, object] = {"last_submission_fault": None if fault is None else fault[:500]}
        if fault is None:
            changed["last_submission_at"] = self._clock.now()
        try:
            async with self._database.autocommit() as session:
                await session.execute(
                    update(MailboxRow)
                    .where(MailboxRow.mailbox_id == mailbox_id)
                    .values(**changed)
                    .execution_options(synchronize_session=False)
                )
        except DomainError as error:
            log.info("sighting_not_written", mailbox=mailbox_id, reason=error.detail)
