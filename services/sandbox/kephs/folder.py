"""One mailbox folder for pymap: an index in memory, contents read from the store when they are asked for."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from hashlib import sha1

from pymap.backend.mailbox import MailboxDataInterface
from pymap.bytes import Writeable
from pymap.concurrent import Event, Subsystem
from pymap.flags import FlagOp
from pymap.interfaces.message import CachedMessage
from pymap.mailbox import MailboxSnapshot
from pymap.message import BaseLoadedMessage, BaseMessage
from pymap.mime import MessageContent
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials import FetchRequirement, ObjectId
from pymap.parsing.specials.flag import Flag, Seen
from pymap.selected import SelectedMailbox, SelectedSet

from services.sandbox.kephs.plan import Timeline
from services.sandbox.kephs.smime import parse_entity
from services.sandbox.kephs.store import INBOX, MailRow, MailStore


class StoredMessage(BaseMessage):
    """A mail's UID, flags and dates; ``row`` knows the rest but the content."""

    __slots__ = ("recent", "row", "store")

    def __init__(self, row: MailRow, store: MailStore, *, recent: bool = False, expunged: bool = False) -> None:
        flags = [Flag(flag.encode()) for flag in row.flags]
        super().__init__(
            row.uid, row.received_at, flags, expunged=expunged, email_id=ObjectId(b"M" + row.sha256[:32].encode())
        )
        self.row = row
        self.store = store
        self.recent = recent

    async def load_content(self, requirement: FetchRequirement) -> LoadedMail:
        """Give access to the content; it is read only if used."""
        return LoadedMail(self, requirement, None)


class LoadedMail(BaseLoadedMessage):
    """Content on demand. The whole body and the size are served without parsing the MIME structure."""

    __slots__ = ("_raw", "_row", "_store")

    def __init__(self, message: StoredMessage, requirement: FetchRequirement, content: MessageContent | None) -> None:
        super().__init__(message, requirement, content)
        self._row = message.row
        self._store = message.store
        self._raw: bytes | None = None

    @property
    def raw(self) -> bytes:
        """The mail's own bytes; empty if it was deleted meanwhile."""
        if self._raw is None:
            try:
                self._raw = self._store.content(self._row.account, self._row.folder, self._row.uid)
            except KeyError:
                self._raw = b""
        return self._raw

    @property
    def content(self) -> MessageContent:
        """The parsed MIME structure."""
        if self._content is None:
            self._content = MessageContent.parse(self.raw)
        return self._content

    def __bytes__(self) -> bytes:
        return self.raw

    def get_header(self, name: bytes) -> Sequence[str]:
        """Header values for SEARCH."""
        if name.upper() == b"MESSAGE-ID":
            return [self._row.message_id]
        return [str(value) for value in parse_entity(self.raw).headers.get_all(name.decode("ascii", "replace"), [])]

    def get_body(self, section: Sequence[int] | None = None, binary: bool = False) -> Writeable:
        """The whole mail as it was stored, or a part of it."""
        if not section and not binary:
            return Writeable.wrap(self.raw)
        return super().get_body(section, binary)

    def get_size(self, section: Sequence[int] | None = None) -> int:
        """Octets."""
        return super().get_size(section) if section else self._row.size


class Folder(MailboxDataInterface[StoredMessage]):
    """The messages of one folder and the order of their changes, by which sessions catch up."""

    def __init__(
        self, account: str, name: str, store: MailStore, clock: Timeline, on_seen: Callable[[str, str, int], None]
    ) -> None:
        self.account = account
        self.name = name
        self._store = store
        self._clock = clock
        self._on_seen = on_seen
        self._uid_validity = store.folder_state(account, name)[0]
        digest = sha1(f"{account}/{name}/{self._uid_validity}".encode(), usedforsecurity=False).hexdigest()
        self._mailbox_id = ObjectId(b"F" + digest.encode())
        self._selected_set = SelectedSet()
        self._updated = Subsystem.for_asyncio().new_event()
        self._messages = {row.uid: StoredMessage(row, store) for row in store.mails(account, name)}
        self._last_change = 0
        self._changes: dict[int, int] = {}
        """UID to the number of its last change, oldest change first; a UID without message was expunged."""

    def announce(self, row: MailRow) -> None:
        """Show a mail that the store has just got."""
        self._messages[row.uid] = StoredMessage(row, self._store, recent=True)
        self._note_change(row.uid)

    def _note_change(self, uid: int) -> None:
        self._last_change += 1
        self._changes.pop(uid, None)
        self._changes[uid] = self._last_change
        self._updated.set()
        self._updated.clear()

    @property
    def mailbox_id(self) -> ObjectId:
        """A stable identifier (RFC 8474)."""
        return self._mailbox_id

    @property
    def readonly(self) -> bool:
        """Never."""
        return False

    @property
    def uid_validity(self) -> int:
        """UIDVALIDITY."""
        return self._uid_validity

    @property
    def selected_set(self) -> SelectedSet:
        """Sessions that have the folder selected."""
        return self._selected_set

    async def update_selected(self, selected: SelectedMailbox, *, wait_on: Event | None = None) -> SelectedMailbox:
        """Bring a session up to date; with ``wait_on`` sleep until there is news or that event."""
        # Compared first: news that came while the last answer was written must not wait for the next change.
        if wait_on is not None and selected.mod_sequence == self._last_change:
            await wait_on.or_event(self._updated).wait()
        seen_change = selected.mod_sequence
        selected.mod_sequence = self._last_change
        if seen_change is None:
            selected.add_updates(list(self._messages.values()), [])
            return selected
        updated, expunged = [], []
        for uid, change in reversed(self._changes.items()):
            if change <= seen_change:
                break
            message = self._messages.get(uid)
            if message is None:
                expunged.append(uid)
            else:
                updated.append(message)
        selected.add_updates(updated, expunged)
        return selected

    async def append(self, append_msg: AppendMessage, *, recent: bool = False) -> StoredMessage:  # noqa: ARG002
        """Store a mail that a client brings (APPEND)."""
        content = bytes(append_msg.literal)
        with self._store.transaction():
            row = self._store.add_mail(
                self.account, self.name, content, kind="letter", message_id=parse_entity(content).text("Message-ID"),
                received_at=append_msg.when or self._clock.now(),
                flags=frozenset(bytes(flag).decode() for flag in append_msg.flag_set),
            )  # fmt: skip
        return self._messages[row.uid]

    async def copy(self, uid: int, destination: Folder, *, recent: bool = False) -> int | None:  # noqa: ARG002
        """Store the same mail in another folder."""
        message = self._messages.get(uid)
        if message is None:
            return None
        row = message.row
        with self._store.transaction():
            return self._store.add_mail(
                destination.account, destination.name, self._store.content(self.account, self.name, uid),
                kind=row.kind, message_id=row.message_id, received_at=row.received_at,
                original_message_id=row.original_message_id, original_sha256=row.original_sha256,
                flags=frozenset(bytes(flag).decode() for flag in message.permanent_flags),
            ).uid  # fmt: skip

    async def move(self, uid: int, destination: Folder, *, recent: bool = False) -> int | None:
        """Copy, then delete here."""
        moved = await self.copy(uid, destination, recent=recent)
        if moved is not None:
            await self.delete([uid])
        return moved

    async def get(self, uid: int, cached_msg: CachedMessage) -> StoredMessage:
        """The message, or its last known state marked as expunged."""
        message = self._messages.get(uid)
        if message is None:
            assert isinstance(cached_msg, StoredMessage)
            message = StoredMessage(cached_msg.row, self._store, expunged=True)
        return message

    async def update(
        self, uid: int, cached_msg: CachedMessage, flag_set: frozenset[Flag], mode: FlagOp
    ) -> StoredMessage:
        r"""Change flags. The first ``\Seen`` on a mail in the INBOX is told to the provider."""
        message = await self.get(uid, cached_msg)
        if not message.expunged:
            self._set_flags(message, frozenset(mode.apply(message.permanent_flags, flag_set)))
        return message

    def mark_seen(self, uid: int) -> None:
        r"""Add ``\Seen``, as a client would. Raises ``KeyError``."""
        message = self._messages[uid]
        self._set_flags(message, message.permanent_flags | {Seen})

    def _set_flags(self, message: StoredMessage, flags: frozenset[Flag]) -> None:
        before = message.permanent_flags
        if flags == before:
            return
        with self._store.transaction():
            names = frozenset(bytes(flag).decode() for flag in flags)
            self._store.set_flags(self.account, self.name, message.uid, names)
        message.permanent_flags = flags
        self._note_change(message.uid)
        if Seen in flags and Seen not in before and self.name == INBOX and message.row.kind == "letter":
            self._on_seen(self.account, self.name, message.uid)

    async def delete(self, uids: Iterable[int]) -> None:
        """Expunge."""
        for uid in uids:
            if self._messages.pop(uid, None) is not None:
                with self._store.transaction():
                    self._store.delete_mail(self.account, self.name, uid)
                self._note_change(uid)

    async def claim_recent(self, selected: SelectedMailbox) -> None:
        r"""Give this session the ``\Recent`` flag of what no session has seen yet."""
        for message in self._messages.values():
            if message.recent:
                message.recent = False
                selected.session_flags.add_recent(message.uid)

    async def cleanup(self) -> None:
        """Nothing to tidy."""

    async def messages(self) -> AsyncIterable[StoredMessage]:
        """All messages by UID."""
        for message in self._messages.values():
            yield message

    async def snapshot(self) -> MailboxSnapshot:
        """Counts and next UID."""
        unseen = [number for number, one in enumerate(self._messages.values(), 1) if Seen not in one.permanent_flags]
        return MailboxSnapshot(
            self.mailbox_id, self.readonly, self.uid_validity, self.permanent_flags, self.session_flags,
            len(self._messages), sum(one.recent for one in self._messages.values()), len(unseen),
            unseen[0] if unseen else None, self._store.folder_state(self.account, self.name)[1],
        )  # fmt: skip
