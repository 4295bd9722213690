"""The IMAP half of the driver: reading the inbox, and looking for a message in the Sent folder."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aioimaplib import aioimaplib

from services.kep_relay.drivers.protocol import MailboxAccount
from services.kep_relay.drivers.smtp_imap.imap_link import ImapLink
from services.kep_relay.drivers.smtp_imap.tls import client_context
from services.kep_relay.drivers.smtp_imap.wire import MESSAGE_REFERENCE
from shared.errors import DomainError, ErrorCode

_SIZES_AT_ONCE = 16
"""A server may have to read each mail for its size; meanwhile those fetched before are being stored."""
_PIECE = 2 * 1024 * 1024
_RFC2177_LIMIT = 25 * 60.0
_FALLBACK_PAUSE = 15.0
_UID = re.compile(rb"\bUID (\d+)", re.IGNORECASE)
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)", re.IGNORECASE)
_UIDVALIDITY = re.compile(rb"\[UIDVALIDITY (\d+)\]", re.IGNORECASE)
_BODY = re.compile(rb"BODY\[\](?:<\d+>)? ", re.IGNORECASE)
_QUOTED_BODY = re.compile(rb'BODY\[\](?:<\d+>)? "((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_NUMBERS = re.compile(rb"[0-9 ]*")


@dataclass(frozen=True)
class ImapTiming:
    """Limits in seconds."""

    connect_seconds: float = 10
    command_seconds: float = 60
    fetch_seconds: float = 600
    """For one whole mail."""


class ImapReading:
    """Opens mailboxes over IMAP; one connection for each use."""

    def __init__(self, timing: ImapTiming | None = None, *, legacy_tls: Collection[str] = ()) -> None:
        self._timing = timing or ImapTiming()
        self._legacy_tls = frozenset(legacy_tls)

    @asynccontextmanager
    async def open_inbox(self, mailbox: MailboxAccount) -> AsyncIterator[ImapInbox]:
        """The mailbox's inbox.

        Raises ``LoginRefusedError``, PROVIDER_REFUSED when the folder cannot be
        opened, PROVIDER_UNAVAILABLE otherwise.
        """
        async with self._link(mailbox) as link:
            yield await ImapInbox.select(link, mailbox.inbox_folder, fetch_seconds=self._timing.fetch_seconds)

    async def find_sent(self, mailbox: MailboxAccount, *, message_id_header: str, rem_id: str) -> bool:
        """Whether the Sent folder holds a message with this Message-ID or this X-TR-REM-iletiID.

        Raises ``DomainError`` when it cannot be asked: that is not a "no". Servers compare header
        texts as substrings, which is why both values are long and random.
        """
        async with self._link(mailbox) as link:
            await link.run(link.client.select(_folder(mailbox.sent_folder)), "SELECT")
            for header, value in (("Message-ID", message_id_header), (MESSAGE_REFERENCE, rem_id)):
                if await _search(link, f"HEADER {header} {aioimaplib.quoted(value)}"):
                    return True
        return False

    async def probe(self, mailbox: MailboxAccount) -> None:
        """Log in and open the inbox; raise ``DomainError`` if that does not work."""
        async with self.open_inbox(mailbox):
            pass

    @asynccontextmanager
    async def _link(self, mailbox: MailboxAccount) -> AsyncIterator[ImapLink]:
        link = await ImapLink.connect(
            mailbox.imap_server,
            await client_context(mailbox.imap_server, self._legacy_tls),
            username=mailbox.username,
            password=mailbox.password.get_secret_value(),
            connect_seconds=self._timing.connect_seconds,
            command_seconds=self._timing.command_seconds,
        )
        try:
            yield link
        except BaseException:
            link.abort()
            raise
        await link.log_out()


class ImapInbox:
    """A selected folder; see ``InboxSession`` for what the methods promise."""

    def __init__(self, link: ImapLink, uidvalidity: int, fetch_seconds: float) -> None:
        self._link = link
        self._uidvalidity = uidvalidity
        self._fetch_seconds = fetch_seconds
        self._listed: list[int] = []
        self._sizes: dict[int, int] = {}

    @classmethod
    async def select(cls, link: ImapLink, folder: str, *, fetch_seconds: float) -> ImapInbox:
        """Open the folder for reading and for setting flags."""
        lines = await link.run(link.client.select(_folder(folder)), "SELECT")
        found = (_UIDVALIDITY.search(bytes(line)) for line in lines)
        number = next((int(match.group(1)) for match in found if match), None)
        if number is None:
            raise DomainError(
                ErrorCode.PROVIDER_REFUSED, "IMAP: the folder has no UIDVALIDITY, so mail cannot be told apart"
            )
        return cls(link, number, fetch_seconds)

    @property
    def uidvalidity(self) -> int:
        """The folder's incarnation."""
        return self._uidvalidity

    async def list_new(self, after_uid: int) -> Sequence[int]:
        """UIDs greater than ``after_uid``, ascending."""
        self._link.changed.clear()
        # "n:*" always includes the last message, even below n (RFC 3501 6.4.8).
        found = await _search(self._link, f"UID {after_uid + 1}:*")
        self._listed = sorted(uid for uid in found if uid > after_uid)
        self._sizes.clear()
        return list(self._listed)

    async def fetch(self, uid: int, *, limit: int) -> bytes:
        """The mail as stored. NOT_FOUND when it is gone, TOO_LARGE beyond ``limit`` bytes."""
        size = await self.size(uid)
        if size is None:
            raise DomainError(ErrorCode.NOT_FOUND, "the mail is no longer in the folder")
        if size > limit:
            raise DomainError(ErrorCode.TOO_LARGE, f"the mail has {size} bytes")
        # Servers are known to announce too small a size: one byte more than allowed is asked for, never all.
        content = await self._section(uid, 0, limit + 1)
        if len(content) > limit:
            raise DomainError(ErrorCode.TOO_LARGE, f"the mail has more than {limit} bytes")
        return content

    async def pieces(self, uid: int, *, limit: int) -> AsyncIterator[bytes]:
        """The mail as stored, in order; raises as ``fetch`` does, at the latest behind the last piece."""
        size, position = await self.size(uid), 0
        if size is None:
            raise DomainError(ErrorCode.NOT_FOUND, "the mail is no longer in the folder")
        while True:
            content = await self._section(uid, position, _PIECE)
            position += len(content)
            if max(position, size) > limit:
                raise DomainError(ErrorCode.TOO_LARGE, f"the mail has more than {limit} bytes")
            if content:
                yield content
            # A short piece is the last one only if it brings what was announced; an empty one always is.
            if not content or (len(content) < _PIECE and position >= size):
                return

    async def _section(self, uid: int, start: int, length: int) -> bytes:
        command = self._link.client.uid("fetch", str(uid), f"(UID BODY.PEEK[]<{start}.{length}>)")
        lines = await self._link.run(command, "FETCH", seconds=self._fetch_seconds, content_bytes=length)
        content = _body(lines)
        if content is None:
            raise DomainError(ErrorCode.NOT_FOUND, "the mail is no longer in the folder")
        return content

    async def mark_seen(self, uid: int) -> None:
        r"""Set ``\Seen``; a mail that is gone is no error."""
        await self._link.run(self._link.client.uid("store", str(uid), "+FLAGS.SILENT", r"(\Seen)"), "STORE")

    async def delete(self, uid: int) -> None:
        """Remove one mail for good; one that is gone is no error.

        Raises PROVIDER_REFUSED without UIDPLUS: then only everything that anybody marked could be removed.
        """
        if not self._link.client.has_capability("UIDPLUS"):
            raise DomainError(ErrorCode.PROVIDER_REFUSED, "IMAP: the server cannot remove a single mail (no UIDPLUS)")
        await self._link.run(self._link.client.uid("store", str(uid), "+FLAGS.SILENT", r"(\Deleted)"), "STORE")
        await self._link.run(self._link.client.uid("expunge", str(uid)), "EXPUNGE")

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """Return when the server tells of new mail since the last listing, or when the time is over."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while not self._link.changed.is_set():
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return
            if self._link.client.has_capability("IDLE"):
                await self._idle(min(left, _RFC2177_LIMIT))
            else:
                await self._pause(min(left, _FALLBACK_PAUSE))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._link.changed.wait()
        await self._link.run(self._link.client.noop(), "NOOP")

    async def _idle(self, seconds: float) -> None:
        client = self._link.client
        ended = await self._link.wait(client.idle_start(timeout=seconds + 60), "IDLE")
        with contextlib.suppress(TimeoutError):
            await self._link.wait(self._change(seconds), "IDLE", seconds=seconds + 30)
        client.idle_done()
        await self._link.run(ended, "DONE")
        while not client.protocol.idle_queue.empty():
            client.protocol.idle_queue.get_nowait()

    async def _change(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._link.changed.wait()

    async def size(self, uid: int) -> int | None:
        """The announced size; None when the mail is gone."""
        if uid not in self._sizes:
            start = self._listed.index(uid) if uid in self._listed else None
            wanted = [uid] if start is None else self._listed[start : start + _SIZES_AT_ONCE]
            command = self._link.client.uid("fetch", ",".join(map(str, wanted)), "(UID RFC822.SIZE)")
            for line in await self._link.run(command, "FETCH"):
                number, size = _UID.search(bytes(line)), _SIZE.search(bytes(line))
                if number and size:
                    self._sizes[int(number.group(1))] = int(size.group(1))
        return self._sizes.get(uid)


async def _search(link: ImapLink, criteria: str) -> list[int]:
    lines = await link.run(link.client.uid_search(criteria, charset=None), "SEARCH")
    numbers = [bytes(line) for line in lines[:-1] if _NUMBERS.fullmatch(bytes(line))]
    return [int(number) for line in numbers for number in line.split()]


def _body(lines: Sequence[bytes | bytearray]) -> bytes | None:
    for line, following in zip(lines, [*lines[1:], b""], strict=True):
        if isinstance(line, bytearray) or not _BODY.search(line):
            continue
        if isinstance(following, bytearray):
            return bytes(following)
        quoted = _QUOTED_BODY.search(line)
        return None if quoted is None else re.sub(rb"\\(.)", rb"\1", quoted.group(1))
    return None


def _folder(name: str) -> str:
    """The folder's name as IMAP quotes it: modified UTF-7 (RFC 3501 5.1.3)."""
    encoded: list[str] = []
    waiting: list[str] = []

    def flush() -> None:
        if waiting:
            coded = base64.b64encode("".join(waiting).encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
            encoded.append(f"&{coded}-")
            waiting.clear()

    for char in name:
        if " " <= char <= "~":
            flush()
            encoded.append("&-" if char == "&" else char)
        else:
            waiting.append(char)
    flush()
    quoted: str = aioimaplib.quoted("".join(encoded))
    return quoted
