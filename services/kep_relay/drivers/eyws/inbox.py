"""A mailbox read over the SOAP service: lists by time, numbers of our own, content that is always compared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import IO

import structlog

from services.kep_relay.drivers.eyws import wire, wire_answers
from services.kep_relay.drivers.eyws.answer import spool
from services.kep_relay.drivers.eyws.content import names_itself
from services.kep_relay.drivers.eyws.desk import FAR_BACK, MOST_FOLDERS, EywsDesk
from services.kep_relay.drivers.eyws.numbers import NumberBook, Seen
from services.kep_relay.drivers.eyws.wire import Operation
from services.kep_relay.drivers.protocol import MailboxAccount, SecondFactorNeededError, SecurityIds
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_BACK = timedelta(hours=48)
_WIDE_EVERY = timedelta(hours=6)
_PIECE = 1024 * 1024
_UIDVALIDITY = 1
"""Numbers are ours and never change, so there is one incarnation for ever."""


class EywsInbox:
    """See ``InboxSession`` for what the methods promise; a number stands for the UID.

    A look asks for [now - 48 h, now + 24 h]; the first look of a session, one that begins further back
    than the last, and one every six hours ask for 30 days, and in all folders but that of sent mail: staff
    may have moved a message in the webmail (kep.md 2.9, 7.18, 7.27). The first look goes back further still
    when nobody looked for longer, such as into an account that was stopped.
    """

    def __init__(
        self, mailbox: MailboxAccount, desk: EywsDesk, numbers: NumberBook, security_ids: SecurityIds,
        doubts: dict[tuple[str, int], str],
    ) -> None:  # fmt: skip
        self._mailbox = mailbox
        self._doubts = doubts
        """The security id that a message was last refused with, over sessions."""
        self._desk = desk
        self._numbers = numbers
        self._security_ids = security_ids
        self._known: dict[str, tuple[int, str]] = {}
        self._wide_at: datetime | None = None
        self._last_after = 0
        self._here: tuple[int, IO[bytes], int] | None = None
        self._proven_id: str | None = None
        """A security id that a message was downloaded with."""

    @property
    def uidvalidity(self) -> int:
        """Always the same."""
        return _UIDVALIDITY

    async def list_new(self, after_uid: int) -> Sequence[int]:
        """Numbers above ``after_uid``: what is listed, and what was listed once and could not be had yet."""
        now = self._desk.clock.now()
        wide = self._wide_at is None or after_uid < self._last_after or now - self._wide_at >= _WIDE_EVERY
        listed = await self._look(wide=wide, back=await self._back(now) if wide else _BACK)
        self._last_after = after_uid
        if wide:
            self._wide_at = now
        waiting = await self._numbers.waiting(self._mailbox.mailbox_id, after_uid)
        return sorted({number for number in listed if number > after_uid} | set(waiting))

    async def _back(self, now: datetime) -> timedelta:
        """How far a wide look goes back."""
        before = await self._numbers.looked_at(self._mailbox.mailbox_id) if self._wide_at is None else None
        return FAR_BACK if before is None else max(FAR_BACK, now - before + _BACK)

    async def _look(self, *, wide: bool, back: timedelta) -> list[int]:
        inbox = self._mailbox.inbox_folder
        seen = await self._folder(inbox, back)
        if wide:
            names = await self._desk.folders(self._mailbox)
            if names:
                await self._desk.must_exist(self._mailbox, inbox, names)
            others = [name for name in names if name not in {inbox, self._mailbox.sent_folder}]
            for name in others[:MOST_FOLDERS]:
                seen += await self._folder(name, back, own=False)
        # A message in two folders or two windows is one; that in the inbox counts (kep.md 7.19).
        first: dict[str, Seen] = {}
        for one in seen:
            first.setdefault(one.message_id, one)
        fresh = [one for one in first.values() if self._known.get(one.message_id, (0, ""))[1] != one.folder]
        for message_id, number in (await self._numbers.enter(self._mailbox.mailbox_id, fresh)).items():
            self._known[message_id] = (number, first[message_id].folder)
        return [self._known[message_id][0] for message_id in first]

    async def _folder(self, name: str, back: timedelta, *, own: bool = True) -> list[Seen]:
        """Everything in a folder; ``own`` False leaves out what the account itself wrote, such as drafts."""
        entries, nameless = await self._desk.listed(self._mailbox, name, back)
        if nameless:
            log.error("listed_without_id", mailbox=self._mailbox.mailbox_id, count=nameless)
        address = self._mailbox.address.lower()
        return [
            Seen(entry.message_id, entry.original_id, name)
            for entry in entries
            if own or (entry.sender or "").strip().lower() != address
        ]

    async def size(self, uid: int) -> int | None:
        """Known only once the message is here, so this downloads it; ``fetch`` and ``pieces`` then use it up."""
        return (await self._download(uid))[1]

    async def fetch(self, uid: int, *, limit: int) -> bytes:
        """The message as it was handed out."""
        content, size = await self._download(uid)
        if size > limit:
            raise DomainError(ErrorCode.TOO_LARGE, f"the mail has {size} bytes")
        try:
            return content.read()
        finally:
            self._drop()

    async def pieces(self, uid: int, *, limit: int) -> AsyncIterator[bytes]:
        """The message as it was handed out, in pieces of 1 MiB."""
        content, size = await self._download(uid)
        if size > limit:
            raise DomainError(ErrorCode.TOO_LARGE, f"the mail has {size} bytes")
        try:
            while piece := content.read(_PIECE):
                yield piece
        finally:
            self._drop()

    async def mark_seen(self, uid: int) -> None:
        """Confirm the receipt; a message that is gone is no error."""
        await self._about(uid, Operation.CONFIRM)

    async def delete(self, uid: int) -> None:
        """Delete at the provider; a message that is gone is no error."""
        await self._about(uid, Operation.DELETE)

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """The service tells nothing by itself: this only waits."""
        await asyncio.sleep(timeout_seconds)

    def close(self) -> None:
        """Give back what lies on disk."""
        self._drop()

    async def _about(self, uid: int, operation: Operation) -> None:
        seen = await self._seen(uid)
        call = wire.about_message(operation, self._mailbox, seen.folder, seen.message_id)
        with suppress(_Gone):
            try:
                async with self._desk.asking(self._mailbox, call) as answer:
                    wire_answers.done(answer)
            except DomainError as error:
                if error.code is ErrorCode.NOT_FOUND:
                    raise _Gone from error
                raise

    async def _seen(self, uid: int) -> Seen:
        found = await self._numbers.find(self._mailbox.mailbox_id, uid)
        if found is None:
            raise DomainError(ErrorCode.NOT_FOUND, "no message has this number")
        return found

    async def _download(self, uid: int) -> tuple[IO[bytes], int]:
        """The complete message on disk, compared with what was asked for.

        Raises ``SecondFactorNeededError``; PROVIDER_REFUSED for content of another message, and for a message
        that is not handed out: the caller tries some more times and then shows it to a person.
        """
        if self._here is not None and self._here[0] == uid:
            self._here[1].seek(0)
            return self._here[1], self._here[2]
        self._drop()
        seen = await self._seen(uid)
        security_id = await self._security_id()
        call = wire.download(self._mailbox, seen.folder, seen.message_id, security_id)
        names = frozenset({seen.message_id} | ({seen.original_id} if seen.original_id else set()))
        try:
            async with self._desk.asking(self._mailbox, call, files=True) as answer:
                files = wire_answers.downloaded(answer)
                for content in files:
                    if await asyncio.to_thread(names_itself, content, names):
                        self._here = (uid, *await asyncio.to_thread(_copied, content))
                        break
        except DomainError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                refused = error.code is ErrorCode.PROVIDER_REFUSED
                if refused and self._may_be_the_second_factor(uid, security_id):
                    detail = f"the second factor may have run out: {error.detail}"
                    raise SecondFactorNeededError(detail) from error
                raise
            files = []
        if self._here is None:
            if files:
                log.error("wrong_content", mailbox=self._mailbox.mailbox_id, number=uid)
                raise DomainError(
                    ErrorCode.PROVIDER_REFUSED, "the provider handed out another message than the one asked for"
                )
            raise await self._not_there(uid, seen, security_id)
        self._proven_id = security_id
        self._doubts.pop((self._mailbox.mailbox_id, uid), None)
        await self._numbers.handed_out(self._mailbox.mailbox_id, uid)
        return self._here[1], self._here[2]

    async def _security_id(self) -> str:
        if self._mailbox.eyws_service.login == "password":
            return ""
        found = await self._security_ids(self._mailbox)
        if found is None:
            raise SecondFactorNeededError("messages are handed out only after a second factor, and none was given yet")
        return found.get_secret_value()

    def _may_be_the_second_factor(self, uid: int, security_id: str) -> bool:
        """A refusal with an id that never worked, or works no longer, most likely means the id (kep.md 2.5).

        A message that was refused with another one before is at fault itself: it would have a person asked for
        ever, and everything behind it wait.
        """
        if not security_id or security_id == self._proven_id:
            return False
        return self._doubts.setdefault((self._mailbox.mailbox_id, uid), security_id) == security_id

    async def _not_there(self, uid: int, seen: Seen, security_id: str) -> DomainError:
        """Nothing was handed out: not yet, for want of a second factor, or because the message is gone (kep.md 7.17)."""
        still = any(one.message_id == seen.message_id for one in await self._folder(seen.folder, FAR_BACK))
        if still and self._may_be_the_second_factor(uid, security_id):
            return SecondFactorNeededError(
                "the message is listed but not handed out: the second factor may have run out"
            )
        if still:
            return DomainError(
                ErrorCode.PROVIDER_REFUSED, "the message is listed, but the provider hands out nothing yet"
            )
        log.error("message_vanished", mailbox=self._mailbox.mailbox_id, folder=seen.folder)
        return DomainError(
            ErrorCode.PROVIDER_REFUSED,
            "the message was listed and is gone before it could be downloaded: somebody else deleted or moved it",
        )

    def _drop(self) -> None:
        if self._here is not None:
            self._here[1].close()
            self._here = None


class _Gone(Exception):  # noqa: N818 - not an error
    """The message is no longer at the provider."""


def _copied(source: IO[bytes]) -> tuple[IO[bytes], int]:
    target = spool()
    source.seek(0)
    while piece := source.read(_PIECE):
        target.write(piece)
    size = target.tell()
    target.seek(0)
    return target, size
