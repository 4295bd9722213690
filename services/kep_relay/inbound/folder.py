"""Reads what is new in one open folder; one mail that cannot be read never stops the next."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from services.kep_relay.drivers.protocol import InboxSession, MailboxAccount
from services.kep_relay.inbound.rawmail import Place, RawMailStore
from services.kep_relay.tables import DrainProgressRow, InboundMessageRow, RawMailRow
from shared.clock import Clock
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_STORING_AT_ONCE = 4
_REFUSALS = 5
_BROKEN_LINKS = 20
"""After so many failures with one mail it is listed as quarantined instead."""
_MARK_AT_ONCE = 500


class FolderReader:
    """One folder during one session.

    What was read is known from ``raw_mails`` by (UIDVALIDITY, UID); the progress row only says from
    where to list. Another UIDVALIDITY makes every UID new: everything is read again and recognised
    by its content (kep.md 3.6). ``suspects`` counts, over sessions, how often each UID could not be
    fetched: those come last, so that a mail that breaks the link every time holds up no other.
    """

    def __init__(
        self,
        account: MailboxAccount,
        inbox: InboxSession,
        database: Database,
        store: RawMailStore,
        clock: Clock,
        *,
        max_mail_bytes: int,
        rescan_seconds: float,
        rescan_uids: int,
        mark_seen: bool,
        suspects: Counter[int],
    ) -> None:
        self._account = account
        self._inbox = inbox
        self._database = database
        self._store = store
        self._clock = clock
        self._max_mail_bytes = max_mail_bytes
        self._rescan = timedelta(seconds=rescan_seconds)
        self._rescan_uids = rescan_uids
        self._mark_seen = mark_seen
        self._suspects = suspects

    async def read_new(self) -> int:
        """Store every mail that is not stored yet; returns how many. Raises ``DomainError`` when the link breaks."""
        complete, rescan = await self._progress()
        start = max(0, complete - self._rescan_uids) if rescan else complete
        listed = await self._inbox.list_new(start)
        known = await self._known(start) if listed else set()
        missing = [uid for uid in listed if uid not in known]
        stored, failed = await self._fetch(missing)
        if self._mark_seen:
            await self._mark_stored()
        whole = [uid for uid in listed if not failed or uid < min(failed)]
        await self._save(max([complete, *whole]), rescanned=rescan)
        return stored

    async def _progress(self) -> tuple[int, bool]:
        async with self._database.reading() as session:
            row = await session.get(DrainProgressRow, (self._account.mailbox_id, self._account.inbox_folder))
        if row is None:
            return 0, True
        if row.uidvalidity != self._inbox.uidvalidity:
            log.warning("uidvalidity_changed", mailbox=self._account.mailbox_id)
            return 0, True
        return row.complete_uid, self._clock.now() - row.rescanned_at >= self._rescan

    async def _known(self, after_uid: int) -> set[int]:
        async with self._database.reading() as session:
            found = await session.scalars(
                select(RawMailRow.uid).where(
                    RawMailRow.mailbox_id == self._account.mailbox_id,
                    RawMailRow.folder == self._account.inbox_folder,
                    RawMailRow.uidvalidity == self._inbox.uidvalidity,
                    RawMailRow.uid > after_uid,
                )
            )
            return set(found)

    async def _fetch(self, uids: list[int]) -> tuple[int, list[int]]:
        """Fetch one after the other while earlier ones are being made durable."""
        storing: set[asyncio.Task[bool]] = set()
        stored = 0
        failed: list[int] = []
        try:
            for uid in sorted(uids, key=lambda uid: (self._suspects[uid], uid)):
                try:
                    raw = await self._inbox.fetch(uid, limit=self._max_mail_bytes)
                except DomainError as error:
                    if not await self._spare(uid, error):
                        failed.append(uid)
                    continue
                storing.add(asyncio.create_task(self._store.keep(self._place(uid), raw)))
                if len(storing) >= _STORING_AT_ONCE:
                    done, storing = await asyncio.wait(storing, return_when=asyncio.FIRST_COMPLETED)
                    stored += sum(task.result() for task in done)
        finally:
            # Also after a broken link: what was fetched is kept.
            results = await asyncio.gather(*storing, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
            stored += result
        return stored, failed

    async def _spare(self, uid: int, error: DomainError) -> bool:
        """Deal with a mail that could not be fetched; False if it is to be tried again next time."""
        if error.code is ErrorCode.NOT_FOUND:
            return True
        if error.code is ErrorCode.TOO_LARGE:
            await self._store.note_unloadable(
                self._place(uid), size=self._max_mail_bytes + 1, reason_code=error.code, reason=error.detail
            )
            return True
        self._suspects[uid] += 1
        log.warning("mail_not_fetched", mailbox=self._account.mailbox_id, uid=uid, reason=error.detail)
        refused = error.code is ErrorCode.PROVIDER_REFUSED
        if self._suspects[uid] >= (_REFUSALS if refused else _BROKEN_LINKS):
            await self._store.note_unloadable(self._place(uid), size=0, reason_code=error.code, reason=error.detail)
            return True
        if not refused:
            raise error
        return False

    async def _mark_stored(self) -> None:
        r"""Set ``\Seen`` for what is stored durably: under the read policy ``on_store``."""
        async with self._database.reading() as session:
            rows = (
                await session.execute(
                    select(RawMailRow.raw_mail_id, RawMailRow.uid)
                    .where(
                        RawMailRow.mailbox_id == self._account.mailbox_id,
                        RawMailRow.folder == self._account.inbox_folder,
                        RawMailRow.uidvalidity == self._inbox.uidvalidity,
                        RawMailRow.sha256.is_not(None),
                        RawMailRow.seen_at.is_(None),
                    )
                    .limit(_MARK_AT_ONCE)
                )
            ).all()
        for raw_mail_id, uid in rows:
            await self._inbox.mark_seen(uid)
            now = self._clock.now()
            async with self._database.unit_of_work() as work:
                await work.session.execute(
                    update(RawMailRow).where(RawMailRow.raw_mail_id == raw_mail_id).values(seen_at=now)
                )
                await work.session.execute(
                    update(InboundMessageRow)
                    .where(
                        InboundMessageRow.raw_mail_id == raw_mail_id,
                        InboundMessageRow.provider_acknowledged_at.is_(None),
                    )
                    .values(provider_acknowledged_at=now, acknowledge_at=None)
                )

    async def _save(self, complete_uid: int, *, rescanned: bool) -> None:
        now = self._clock.now()
        values = {"uidvalidity": self._inbox.uidvalidity, "complete_uid": complete_uid}
        changed = values | {"rescanned_at": now} if rescanned else values
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                insert(DrainProgressRow)
                .values(
                    mailbox_id=self._account.mailbox_id, folder=self._account.inbox_folder, rescanned_at=now, **values
                )
                .on_conflict_do_update(index_elements=["mailbox_id", "folder"], set_=changed)
            )

    def _place(self, uid: int) -> Place:
        account = self._account
        return Place(
            account.mailbox_id, account.institution_no, account.address, account.inbox_folder,
            self._inbox.uidvalidity, uid,
        )  # fmt: skip
