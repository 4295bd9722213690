r"""The job ``kep_relay.acknowledge``: set \Seen at the provider for letters the EBYS has confirmed.

One session does for all letters of the mailbox that wait for it. The provider may issue evidence 60
for each, which is why nothing else in this service marks a mail as seen under the policy ``on_ack``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import select, update

from services.kep_relay.drivers.protocol import InboxSession, KepDriver, LoginRefusedError
from services.kep_relay.mailboxes import Mailboxes, stop_account
from services.kep_relay.tables import DrainProgressRow, InboundMessageRow, MailboxRow, RawMailRow
from shared.clock import Clock
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_AT_ONCE = 200
_PAUSE = timedelta(seconds=15)


class ProviderAcknowledgement:
    """Tells providers that letters were taken."""

    def __init__(self, database: Database, mailboxes: Mailboxes, driver: KepDriver, clock: Clock) -> None:
        self._database = database
        self._mailboxes = mailboxes
        self._driver = driver
        self._clock = clock

    async def run(self, message_id: str) -> None:
        """The job. A provider that is away is tried again by the sweeper; the letter stays consumed."""
        async with self._database.reading() as session:
            letter = await session.get(InboundMessageRow, UUID(message_id))
            mailbox = None if letter is None else await session.get(MailboxRow, letter.mailbox_id)
            if mailbox is None or mailbox.stopped_at is not None:
                return
            waiting = (
                await session.scalars(
                    select(InboundMessageRow.message_id)
                    .where(
                        InboundMessageRow.mailbox_id == mailbox.mailbox_id,
                        InboundMessageRow.acknowledge_at <= self._clock.now(),
                    )
                    .order_by(InboundMessageRow.acknowledge_at)
                    .limit(_AT_ONCE)
                )
            ).all()
        if not waiting:
            return
        try:
            async with self._driver.open_inbox(self._mailboxes.account(mailbox)) as inbox:
                for waiting_id in waiting:
                    try:
                        await self._mark(inbox, mailbox, waiting_id)
                    except DomainError as error:
                        if error.code is not ErrorCode.PROVIDER_REFUSED:
                            raise
                        # Something about this one mail: the others get their turn.
                        await self._put_off(mailbox, [waiting_id], error)
        except DomainError as error:
            if error.code is ErrorCode.DURABILITY_UNAVAILABLE:
                raise
            log.warning("provider_not_told", mailbox=mailbox.mailbox_id, code=error.code, reason=error.detail)
            await self._put_off(mailbox, list(waiting), error)

    async def _mark(self, inbox: InboxSession, mailbox: MailboxRow, message_id: UUID) -> None:
        """Every copy of the letter in this incarnation of the folder; of an older one nothing is left to mark.

        A new incarnation is waited for until it has been read: before that the copy in it is not known.
        """
        async with self._database.reading() as session:
            uids = (
                await session.scalars(
                    select(RawMailRow.uid).where(
                        RawMailRow.message_id == message_id,
                        RawMailRow.mailbox_id == mailbox.mailbox_id,
                        RawMailRow.folder == mailbox.inbox_folder,
                        RawMailRow.uidvalidity == inbox.uidvalidity,
                    )
                )
            ).all()
            progress = await session.get(DrainProgressRow, (mailbox.mailbox_id, mailbox.inbox_folder))
        if not uids and (progress is None or progress.uidvalidity != inbox.uidvalidity):
            raise DomainError(ErrorCode.PROVIDER_REFUSED, "the folder is new and has not been read yet")
        for uid in uids:
            await inbox.mark_seen(uid)
        if not uids:
            await self._mark_elsewhere(mailbox, message_id)
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                update(InboundMessageRow)
                .where(InboundMessageRow.message_id == message_id)
                .values(provider_acknowledged_at=now, acknowledge_at=None, updated_at=now)
                .execution_options(synchronize_session=False)
            )
            await work.session.execute(
                update(RawMailRow)
                .where(RawMailRow.message_id == message_id, RawMailRow.uidvalidity == inbox.uidvalidity)
                .values(seen_at=now)
                .execution_options(synchronize_session=False)
            )

    async def _mark_elsewhere(self, mailbox: MailboxRow, message_id: UUID) -> None:
        """The copies in further folders, for a letter that is not in the inbox; a folder that is gone has none."""
        async with self._database.reading() as session:
            found = (
                await session.execute(
                    select(RawMailRow.folder, RawMailRow.uidvalidity, RawMailRow.uid).where(
                        RawMailRow.message_id == message_id,
                        RawMailRow.mailbox_id == mailbox.mailbox_id,
                        RawMailRow.folder != mailbox.inbox_folder,
                        RawMailRow.seen_at.is_(None),
                    )
                )
            ).all()
        account = self._mailboxes.account(mailbox)
        for folder in sorted({row.folder for row in found}):
            try:
                async with self._driver.open_inbox(replace(account, inbox_folder=folder)) as further:
                    for row in found:
                        if (row.folder, row.uidvalidity) == (folder, further.uidvalidity):
                            await further.mark_seen(row.uid)
            except DomainError as error:
                if error.code is not ErrorCode.PROVIDER_REFUSED:
                    raise
                log.info("folder_not_marked", mailbox=mailbox.mailbox_id, folder=folder, reason=error.detail)

    async def _put_off(self, mailbox: MailboxRow, message_ids: list[UUID], error: DomainError) -> None:
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                update(InboundMessageRow)
                .where(InboundMessageRow.message_id.in_(message_ids), InboundMessageRow.acknowledge_at.is_not(None))
                .values(acknowledge_at=self._clock.now() + _PAUSE)
                .execution_options(synchronize_session=False)
            )
            if isinstance(error, LoginRefusedError):
                await stop_account(
                    work, mailbox.mailbox_id, revision=mailbox.revision, clock=self._clock, code=error.code,
                    reason=error.detail,
                )  # fmt: skip
