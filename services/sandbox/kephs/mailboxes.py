"""The folders of one provider's accounts, and what a logged-in IMAP client may do with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextvars import ContextVar

from pymap.backend.mailbox import MailboxSetInterface
from pymap.backend.session import BaseSession
from pymap.concurrent import Event
from pymap.config import IMAPConfig
from pymap.flags import FlagOp
from pymap.listtree import ListTree
from pymap.mailbox import MailboxSnapshot
from pymap.parsing.specials import Flag, ObjectId, SearchKey, SequenceSet
from pymap.selected import SelectedMailbox

from services.sandbox.kephs.folder import Folder, StoredMessage
from services.sandbox.kephs.plan import Timeline
from services.sandbox.kephs.store import INBOX, MailRow, MailStore

current_connection: ContextVar[asyncio.StreamWriter] = ContextVar("kep_imap_connection")
"""The connection whose command is being carried out."""


class Mailboxes:
    """The folders of one provider's accounts, opened when first used and then kept up to date."""

    def __init__(self, store: MailStore, clock: Timeline, on_seen: Callable[[str, str, int], None]) -> None:
        self.store = store
        self.clock = clock
        self._on_seen = on_seen
        self._open: dict[tuple[str, str], Folder] = {}
        store.on_mail = self._announce

    def folder(self, account: str, name: str) -> Folder:
        """The folder. Raises ``KeyError`` if the account has none of that name."""
        folder = self._open.get((account, name))
        if folder is None:
            folder = Folder(account, name, self.store, self.clock, self._on_seen)
            self._open[account, name] = folder
        return folder

    def forget(self, account: str, name: str) -> None:
        """Delete a folder."""
        self._open.pop((account, name), None)
        self.store.drop_folder(account, name)

    def renew(self, account: str, name: str) -> None:
        """Another UIDVALIDITY and other UIDs. Raises ``KeyError``."""
        self.folder(account, name)
        self._open.pop((account, name))
        self.store.renew_folder(account, name, self.clock.now())

    def _announce(self, row: MailRow) -> None:
        folder = self._open.get((row.account, row.folder))
        if folder is not None:
            folder.announce(row)


class FolderSet(MailboxSetInterface[Folder]):
    """The folders of one account; all count as subscribed."""

    def __init__(self, account: str, mailboxes: Mailboxes) -> None:
        self._account = account
        self._mailboxes = mailboxes

    @property
    def delimiter(self) -> str:
        """Between the levels of a folder's name."""
        return "/"

    async def set_subscribed(self, name: str, subscribed: bool) -> None:
        """Accepted and ignored."""

    async def list_subscribed(self) -> ListTree:
        """All folders."""
        return await self.list_mailboxes()

    async def list_mailboxes(self) -> ListTree:
        """All folders."""
        return ListTree(self.delimiter).update(INBOX, *self._mailboxes.store.folders(self._account))

    async def get_mailbox(self, name: str) -> Folder:
        """One folder. Raises ``KeyError``."""
        return self._mailboxes.folder(self._account, INBOX if name.upper() == INBOX else name)

    async def add_mailbox(self, name: str) -> ObjectId:
        """Create a folder. Raises ``ValueError`` if it exists or its name is reserved."""
        if name.startswith(".") or name in self._mailboxes.store.folders(self._account):
            raise ValueError(name)
        with self._mailboxes.store.transaction():
            self._mailboxes.store.ensure_folder(self._account, name, self._mailboxes.clock.now())
        return self._mailboxes.folder(self._account, name).mailbox_id

    async def delete_mailbox(self, name: str) -> None:
        """Delete a folder. Raises ``KeyError``."""
        self._mailboxes.folder(self._account, name)
        self._mailboxes.forget(self._account, name)

    async def rename_mailbox(self, before: str, after: str) -> None:  # noqa: ARG002
        """Not offered."""
        raise ValueError(after)


class AccountSession(BaseSession[StoredMessage]):
    """What a logged-in client may do; every step with a selected folder first asks whether to hang up."""

    def __init__(
        self,
        account: str,
        config: IMAPConfig,
        mailboxes: Mailboxes,
        drops: Callable[[], bool],
        renews: Callable[[], bool],
    ) -> None:
        super().__init__(account)
        self._account = account
        self._config = config
        self._mailboxes = mailboxes
        self._renews = renews
        self._folders = FolderSet(account, mailboxes)
        self._drops = drops

    @property
    def config(self) -> IMAPConfig:
        """The server's settings."""
        return self._config

    @property
    def mailbox_set(self) -> FolderSet:
        """The account's folders."""
        return self._folders

    def _hang_up_if_ordered(self) -> None:
        if self._drops():
            current_connection.get().transport.abort()
            raise ConnectionResetError("ordered")

    async def select_mailbox(
        self,
        name: str,
        readonly: bool = False,
    ) -> tuple[MailboxSnapshot, SelectedMailbox]:
        """SELECT, EXAMINE."""
        self._hang_up_if_ordered()
        if self._renews():
            self._mailboxes.renew(self._account, INBOX if name.upper() == INBOX else name)
        return await super().select_mailbox(name, readonly)

    async def check_mailbox(
        self, selected: SelectedMailbox, *, wait_on: Event | None = None, housekeeping: bool = False
    ) -> SelectedMailbox:
        """NOOP, CHECK and the waiting of IDLE."""
        updated = await super().check_mailbox(selected, wait_on=wait_on, housekeeping=housekeeping)
        self._hang_up_if_ordered()
        return updated

    async def fetch_messages(
        self,
        selected: SelectedMailbox,
        sequence_set: SequenceSet,
        set_seen: bool,
    ) -> tuple[Iterable[tuple[int, StoredMessage]], SelectedMailbox]:
        """FETCH."""
        self._hang_up_if_ordered()
        return await super().fetch_messages(selected, sequence_set, set_seen)

    async def search_mailbox(
        self, selected: SelectedMailbox, keys: frozenset[SearchKey]
    ) -> tuple[Iterable[tuple[int, StoredMessage]], SelectedMailbox]:
        """SEARCH."""
        self._hang_up_if_ordered()
        return await super().search_mailbox(selected, keys)

    async def update_flags(
        self,
        selected: SelectedMailbox,
        sequence_set: SequenceSet,
        flag_set: frozenset[Flag],
        mode: FlagOp = FlagOp.REPLACE,
    ) -> tuple[Iterable[tuple[int, StoredMessage]], SelectedMailbox]:
        """STORE."""
        self._hang_up_if_ordered()
        return await super().update_flags(selected, sequence_set, flag_set, mode)
