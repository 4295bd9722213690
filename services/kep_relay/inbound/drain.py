"""Reads every active mailbox whose lease this process holds, and stores what is new (kep.md 7.38, 7.39)."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import select, update

from services.kep_relay.drivers.protocol import InboxSession, KepDriver, LoginRefusedError, MailboxAccount
from services.kep_relay.inbound.deletion import ProviderDeletion
from services.kep_relay.inbound.folder import FolderReader
from services.kep_relay.inbound.precedence import Precedence
from services.kep_relay.inbound.rawmail import RawMailStore
from services.kep_relay.instance import Instance
from services.kep_relay.mailboxes import Mailboxes, mailbox_lease, stop_account
from services.kep_relay.second_factor.states import SecondFactorStates
from services.kep_relay.tables import MailboxRow
from shared.clock import Clock
from shared.contracts.mailboxes import ReadPolicy
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_SAVE_SECONDS = 5.0
_MARK_SECONDS = 2.0
"""How soon a mail that has just been stored is looked at again, to mark it as seen once it has been read."""
"""How often a busy mailbox's row says anew that it was read just now."""


@dataclass(frozen=True)
class DrainTimes:
    """Limits and pauses in seconds."""

    lease: float
    look: float
    reconnect_pauses: Sequence[float]
    rescan: float
    rescan_uids: int
    further_folders: float = 300.0
    """Between two looks into the folders beside the inbox."""


class Drain:
    """One task per mailbox; which mailboxes there are is looked up again every few seconds."""

    def __init__(
        self,
        *,
        database: Database,
        mailboxes: Mailboxes,
        driver: KepDriver,
        store: RawMailStore,
        instance: Instance,
        clock: Clock,
        times: DrainTimes,
        max_mail_bytes: int,
        further_folders: Sequence[str] = (),
        second_factors: SecondFactorStates,
        deletion: ProviderDeletion,
        precedence: Precedence,
    ) -> None:
        self._database = database
        self._mailboxes = mailboxes
        self._driver = driver
        self._store = store
        self._instance = instance
        self._clock = clock
        self._times = times
        self._max_mail_bytes = max_mail_bytes
        self._second_factors = second_factors
        self._deletion = deletion
        self._precedence = precedence
        self._running: dict[str, tuple[int, asyncio.Task[None]]] = {}
        self._setbacks: dict[str, tuple[int, float]] = {}
        self._suspects: defaultdict[tuple[str, str, int], Counter[int]] = defaultdict(Counter)
        self._further_folders = tuple(further_folders)
        self._further_at: dict[str, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; then every session is closed at once (what is stored is stored)."""
        try:
            while not stop.is_set():
                with contextlib.suppress(DomainError):  # the database is away: what runs goes on as it can
                    await self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._times.look):
                        await stop.wait()
        finally:
            await self._end(list(self._running))

    async def _look(self) -> None:
        async with self._database.reading() as session:
            rows = (
                await session.scalars(
                    select(MailboxRow).where(MailboxRow.active.is_(True), MailboxRow.stopped_at.is_(None))
                )
            ).all()
        wanted = {row.mailbox_id: row for row in rows} if self._instance.may_begin() else {}
        outdated = [
            mailbox_id
            for mailbox_id, (revision, task) in self._running.items()
            if task.done() or mailbox_id not in wanted or wanted[mailbox_id].revision != revision
        ]
        await self._end(outdated)
        now = asyncio.get_running_loop().time()
        for mailbox_id, row in wanted.items():
            if mailbox_id not in self._running and self._setbacks.get(mailbox_id, (0, 0.0))[1] <= now:
                task = asyncio.create_task(self._drain(row), name=f"drain {mailbox_id}")
                self._running[mailbox_id] = (row.revision, task)

    async def _end(self, mailbox_ids: Sequence[str]) -> None:
        tasks = [self._running.pop(mailbox_id)[1] for mailbox_id in mailbox_ids]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                log.error("drain_failed", exc_info=result)

    async def _drain(self, row: MailboxRow) -> None:
        """Hold the lease and read until the session breaks; ``_look`` then begins anew after a pause."""
        mailbox_id = row.mailbox_id
        try:
            async with mailbox_lease(
                self._database,
                mailbox_id,
                revision=row.revision,
                instance_id=self._instance.instance_id,
                clock=self._clock,
                ttl_seconds=self._times.lease,
            ) as lease:
                if lease is not None:
                    await _unless(lease.lost, lambda: self._session(row))
        except DomainError as error:
            await self._setback(row, error)
        except asyncio.CancelledError:
            raise
        except Exception:
            self._pause(mailbox_id)
            raise

    async def _session(self, row: MailboxRow) -> None:
        account = self._mailboxes.account(row)
        async with self._driver.open_inbox(account) as inbox:
            reader = self._reader(row, account, inbox)
            while True:
                await reader.read_new()
                self._setbacks.pop(row.mailbox_id, None)
                await self._deletion.clean(account, inbox)
                await self._read_further_folders(row, account)
                pause = row.poll_interval_seconds
                await inbox.wait_for_change(min(pause, _MARK_SECONDS) if reader.marks_wait else pause)

    def _reader(self, row: MailboxRow, account: MailboxAccount, inbox: InboxSession) -> FolderReader:
        return FolderReader(
            account, inbox, self._database, self._store, self._clock,
            max_mail_bytes=self._max_mail_bytes, rescan_seconds=self._times.rescan,
            rescan_uids=self._times.rescan_uids, save_seconds=min(_SAVE_SECONDS, row.poll_interval_seconds),
            mark_seen=row.read_policy == ReadPolicy.ON_STORE,
            suspects=self._suspects[row.mailbox_id, account.inbox_folder, inbox.uidvalidity],
            second_factors=self._second_factors, precedence=self._precedence,
        )  # fmt: skip

    async def _read_further_folders(self, row: MailboxRow, account: MailboxAccount) -> None:
        """Mail that somebody moved in the webmail before it was read here (kep.md 7.18).

        A folder that the account does not have, or that cannot be read now, keeps the inbox from nothing.
        """
        now = asyncio.get_running_loop().time()
        if now < self._further_at.get(row.mailbox_id, 0.0):
            return
        self._further_at[row.mailbox_id] = now + self._times.further_folders
        for folder in self._further_folders:
            if folder in {account.inbox_folder, account.sent_folder}:
                continue
            further = replace(account, inbox_folder=folder)
            try:
                async with self._driver.open_inbox(further) as session:
                    await self._reader(row, further, session).read_new()
            except DomainError as error:
                if isinstance(error, LoginRefusedError) or error.code is ErrorCode.DURABILITY_UNAVAILABLE:
                    raise
                log.info("folder_not_read", mailbox=row.mailbox_id, folder=folder, reason=error.detail)

    async def _setback(self, row: MailboxRow, error: DomainError) -> None:
        self._pause(row.mailbox_id)
        log.warning("mailbox_not_read", mailbox=row.mailbox_id, code=error.code, reason=error.detail)
        with contextlib.suppress(DomainError):
            async with self._database.unit_of_work() as work:
                await work.session.execute(
                    update(MailboxRow)
                    .where(MailboxRow.mailbox_id == row.mailbox_id)
                    .values(last_poll_fault=error.detail[:500])
                    .execution_options(synchronize_session=False)
                )
                if isinstance(error, LoginRefusedError):
                    await stop_account(
                        work, row.mailbox_id, revision=row.revision, clock=self._clock,
                        code=error.code, reason=error.detail,
                    )  # fmt: skip

    def _pause(self, mailbox_id: str) -> None:
        number = self._setbacks.get(mailbox_id, (0, 0.0))[0]
        pauses = self._times.reconnect_pauses
        until = asyncio.get_running_loop().time() + pauses[min(number, len(pauses) - 1)]
        self._setbacks[mailbox_id] = (number + 1, until)


async def _unless(lost: asyncio.Event, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do ``work`` until it ends or ``lost`` is set, whichever comes first."""
    working, losing = asyncio.create_task(work()), asyncio.create_task(lost.wait())
    try:
        await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, losing):
            task.cancel()
        await asyncio.gather(working, losing, return_exceptions=True)
