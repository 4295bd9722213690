"""Reads what is new in one open folder; one mail that cannot be read never stops the next."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from services.kep_relay.drivers.protocol import InboxSession, MailboxAccount, SecondFactorNeededError
from services.kep_relay.inbound.classify import MailKind
from services.kep_relay.inbound.precedence import Precedence
from services.kep_relay.inbound.rawmail import Place, RawMailStore, RawState
from services.kep_relay.second_factor.states import Door, SecondFactorStates
from services.kep_relay.tables import DrainProgressRow, InboundMessageRow, MailboxRow, RawMailRow
from shared.clock import Clock
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_LARGE = 1024 * 1024
"""A mail of more bytes goes from the provider to the disk in pieces, one at a time."""
_STORED_AT_ONCE = 16
_WAITING_BYTES = 4 * 1024 * 1024
_REFUSALS = 5
_BROKEN_LINKS = 20
"""After so many failures with one mail it is listed as quarantined instead."""
_MARK_AT_ONCE = 500


class FolderReader:
    """One folder during one session.

    What was read is known from ``raw_mails`` by (UIDVALIDITY, UID); the progress row only says from
    where to list. Another UIDVALIDITY makes every UID new: everything is read again and recognised
    by its content (kep.md 3.6). One process reads a folder at a time, so rows and progress are looked
    up when the session begins and at each rescan; in between, what was stored is remembered.
    ``suspects`` counts, over sessions, how often each UID could not be
    fetched: those come last, so that a mail that breaks the link every time holds up no other. While the
    provider wants a second factor, mails are listed and left where they are: nothing is wrong with them.
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
        save_seconds: float,
        mark_seen: bool,
        suspects: Counter[int],
        second_factors: SecondFactorStates,
        precedence: Precedence,
    ) -> None:
        self._account = account
        self._inbox = inbox
        self._database = database
        self._store = store
        self._clock = clock
        self._max_mail_bytes = max_mail_bytes
        self._rescan = timedelta(seconds=rescan_seconds)
        self._rescan_uids = rescan_uids
        self._save_pause = timedelta(seconds=save_seconds)
        self._mark_seen = mark_seen
        self.marks_wait = False
        """Whether mails are to be marked as seen that have not been read yet."""
        self._suspects = suspects
        self._second_factors = second_factors
        self._precedence = precedence
        self._complete: int | None = None
        self._known: set[int] = set()
        """Stored UIDs above ``_complete``."""
        self._rescanned_at = self._saved_at = datetime.min.replace(tzinfo=UTC)

    async def read_new(self) -> int:
        """Store every mail that is not stored yet; returns how many. Raises ``DomainError`` when the link breaks."""
        first = self._complete is None
        if self._complete is None:
            self._complete, self._rescanned_at = await self._progress()
        begun = self._clock.now()
        rescan = begun - self._rescanned_at >= self._rescan
        start = max(0, self._complete - self._rescan_uids) if rescan else self._complete
        listed = await self._inbox.list_new(start)
        if listed and (first or rescan):
            self._known = await self._stored_after(start)
        stored, failed = await self._fetch_behind_door([uid for uid in listed if uid not in self._known])
        if self._mark_seen:
            await self._mark_stored()
        whole = [uid for uid in listed if not failed or uid < min(failed)]
        self._complete = max([self._complete, *whole])
        self._known = {uid for uid in self._known if uid > self._complete}
        if rescan:
            self._rescanned_at = begun
        if first or rescan or begun - self._saved_at >= self._save_pause:
            await self._save()
            self._saved_at = begun
        return stored

    async def _progress(self) -> tuple[int, datetime]:
        never = datetime.min.replace(tzinfo=UTC)
        async with self._database.autocommit() as session:
            row = await session.get(DrainProgressRow, (self._account.mailbox_id, self._account.inbox_folder))
        if row is None:
            return 0, never
        if row.uidvalidity != self._inbox.uidvalidity:
            log.warning("uidvalidity_changed", mailbox=self._account.mailbox_id)
            return 0, never
        return row.complete_uid, row.rescanned_at

    async def _stored_after(self, uid: int) -> set[int]:
        async with self._database.autocommit() as session:
            found = await session.scalars(
                select(RawMailRow.uid).where(
                    RawMailRow.mailbox_id == self._account.mailbox_id,
                    RawMailRow.folder == self._account.inbox_folder,
                    RawMailRow.uidvalidity == self._inbox.uidvalidity,
                    RawMailRow.uid > uid,
                )
            )
            return set(found)

    async def _fetch_behind_door(self, uids: list[int]) -> tuple[int, list[int]]:
        """Fetch unless messages are known to be withheld; then all of them count as not fetched yet."""
        door = await self._second_factors.door(self._account) if uids else Door.OPEN
        if door is Door.CLOSED:
            return 0, uids
        with self._precedence.storing(len(uids)):
            stored, failed = await self._fetch(uids)
        if door is Door.AJAR and stored and not failed:
            await self._second_factors.passed(self._account)
        return stored, failed

    async def _fetch(self, uids: list[int]) -> tuple[int, list[int]]:
        """Fetch one after the other; meanwhile those fetched before are made durable, together."""
        failed: list[int] = []
        storing = _Storing(self._store)
        order = sorted(uids, key=lambda uid: (self._suspects[uid], uid))
        try:
            for place, uid in enumerate(order):
                asked_at = self._clock.now()
                try:
                    fetched = await self._fetch_one(uid, storing)
                except SecondFactorNeededError as error:
                    await self._second_factors.need(self._account, reason=error.detail, asked_at=asked_at)
                    failed += order[place:]
                    break
                except DomainError as error:
                    if error.code is ErrorCode.DURABILITY_UNAVAILABLE:
                        raise
                    if not await self._spare(uid, error):
                        failed.append(uid)
                        continue
                else:
                    # Not above: what storing an earlier mail raises says nothing about this one.
                    await storing.add(fetched)
                self._known.add(uid)
        finally:
            # Also after a broken link: what was fetched is kept.
            await storing.finish()
        return storing.stored, failed

    async def _fetch_one(self, uid: int, storing: _Storing) -> tuple[Place, bytes] | None:
        """A mail that is to be stored; a large one is stored already."""
        size = await self._inbox.size(uid)
        place = self._place(uid)
        if size is None or size <= _LARGE:
            return place, await self._inbox.fetch(uid, limit=self._max_mail_bytes)
        storing.stored += await self._store.keep(place, self._inbox.pieces(uid, limit=self._max_mail_bytes))
        return None

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
        r"""Set ``\Seen`` for what is stored durably: under the read policy ``on_store``.

        Once it has been read as well: a verification mail of DETSİS is for a person, who is to find it unread.
        """
        async with self._database.reading() as session:
            rows = (
                await session.execute(
                    select(RawMailRow.raw_mail_id, RawMailRow.uid, RawMailRow.state)
                    .where(
                        RawMailRow.mailbox_id == self._account.mailbox_id,
                        RawMailRow.folder == self._account.inbox_folder,
                        RawMailRow.uidvalidity == self._inbox.uidvalidity,
                        RawMailRow.sha256.is_not(None),
                        RawMailRow.kind.is_distinct_from(MailKind.DETSIS_VERIFICATION.value),
                        RawMailRow.seen_at.is_(None),
                    )
                    .limit(_MARK_AT_ONCE)
                )
            ).all()
        self.marks_wait = any(state == RawState.STORED for _id, _uid, state in rows)
        marked: list[UUID] = []
        try:
            for raw_mail_id, uid, state in rows:
                if state == RawState.STORED:
                    continue
                await self._inbox.mark_seen(uid)
                marked.append(raw_mail_id)
        finally:
            if marked:
                await self._note_marked(marked)

    async def _note_marked(self, raw_mail_ids: Sequence[UUID]) -> None:
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                update(RawMailRow).where(RawMailRow.raw_mail_id.in_(raw_mail_ids)).values(seen_at=now)
            )
            await work.session.execute(
                update(InboundMessageRow)
                .where(
                    InboundMessageRow.raw_mail_id.in_(raw_mail_ids),
                    InboundMessageRow.provider_acknowledged_at.is_(None),
                )
                .values(provider_acknowledged_at=now, acknowledge_at=None)
            )

    async def _save(self) -> None:
        """Write down how far the folder was read, and that it was."""
        values = {
            "uidvalidity": self._inbox.uidvalidity,
            "complete_uid": self._complete,
            "rescanned_at": self._rescanned_at,
        }
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                insert(DrainProgressRow)
                .values(mailbox_id=self._account.mailbox_id, folder=self._account.inbox_folder, **values)
                .on_conflict_do_update(index_elements=["mailbox_id", "folder"], set_=values)
            )
            await work.session.execute(
                update(MailboxRow)
                .where(MailboxRow.mailbox_id == self._account.mailbox_id)
                .values(last_successful_poll_at=self._clock.now(), last_poll_fault=None)
                .execution_options(synchronize_session=False)
            )

    def _place(self, uid: int) -> Place:
        account = self._account
        return Place(
            account.mailbox_id, account.institution_no, account.address, account.inbox_folder,
            self._inbox.uidvalidity, uid,
        )  # fmt: skip


class _Storing:
    """Makes fetched mails durable behind the fetching, as many in one transaction as have come in meanwhile."""

    def __init__(self, store: RawMailStore) -> None:
        self._store = store
        self._waiting: list[tuple[Place, bytes]] = []
        self._task: asyncio.Task[int] | None = None
        self.stored = 0

    async def add(self, mail: tuple[Place, bytes] | None) -> None:
        """Raises what storing an earlier mail raised."""
        if mail is not None:
            self._waiting.append(mail)
        full = len(self._waiting) >= _STORED_AT_ONCE or sum(len(raw) for _, raw in self._waiting) >= _WAITING_BYTES
        if self._task is None or self._task.done() or full:
            await self._next()

    async def finish(self) -> None:
        """Store what waits, unless storing has failed already: then all of it is fetched again."""
        await self._next()
        await self._next()

    async def _next(self) -> None:
        running, self._task = self._task, None
        if running is not None:
            self.stored += await running
        if self._waiting:
            mails, self._waiting = self._waiting, []
            self._task = asyncio.create_task(self._store.keep_all(mails))
