"""Messages of an account as the service lists and hands them out (kep.md 2.4, 2.7)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy

from services.sandbox.kephs import wire
from services.sandbox.kephs.envelope import open_envelope
from services.sandbox.kephs.evidence import EvidenceFacts, read_evidence
from services.sandbox.kephs.eyws.refusals import RefusalCode, RefusedCall
from services.sandbox.kephs.mailboxes import Mailboxes
from services.sandbox.kephs.smime import Entity, MailRejectedError, parse_entity
from services.sandbox.kephs.store import INBOX, MailRow
from shared.domain.identifiers import bare_message_id

_MOST_REMEMBERED = 20_000


@dataclass(frozen=True)
class ListedMessage:
    """One message of a folder."""

    message_id: str
    """Of the stored message, with angle brackets: the provider's own for what came in an envelope."""
    original_message_id: str
    number: int
    sender: str
    sender_address: str
    subject: str
    kind: str
    """Value of ``wire.MESSAGE_KIND``; empty for evidence."""
    reference: str
    """Value of ``wire.MESSAGE_REFERENCE``."""


@dataclass(frozen=True)
class Handed:
    """One file that is handed out."""

    content: bytes
    media_type: str = "application/octet-stream"
    name: str = ""


class MessageShelf:
    """The folders of one provider's accounts, as the service sees them. Addresses are in lower case."""

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes
        self._store = mailboxes.store
        self._described: OrderedDict[str, ListedMessage] = OrderedDict()

    def folders(self, account: str) -> list[str]:
        """``INBOX`` first; others stand below it with a dot between."""
        names = self._store.folders(account)
        return [INBOX, *(f"{INBOX}.{name}" for name in names if name != INBOX)]

    def listed(
        self, account: str, folder: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[ListedMessage]:
        """The messages that came between two moments, oldest first. Raises ``RefusedCall`` for an unknown folder."""
        rows = self._store.mails(account, self._stored_name(account, folder))
        return [
            self._describe(row)
            for row in rows
            if (since is None or since <= row.received_at) and (until is None or row.received_at <= until)
        ]

    def find(self, account: str, folder: str, message_id: str | None, number: int | None) -> MailRow | None:
        """By Message-ID, else by number. Raises ``RefusedCall`` for an unknown folder."""
        name = self._stored_name(account, folder)
        if message_id:
            return self._store.mail_called(account, name, message_id)
        return None if number is None else self._store.mail_numbered(account, name, number)

    def another(self, row: MailRow) -> Handed:
        """Another message of the same account, or the same with another Message-ID if there is only one."""
        others = [
            other
            for folder in self._store.folders(row.account)
            for other in self._store.mails(row.account, folder)
            if other.message_id != row.message_id
        ]
        others.sort(key=lambda other: other.folder != row.folder)
        if others:
            return self.whole(others[0])
        return Handed(self.whole(row).content.replace(row.message_id.encode(), b"<another@sandbox.invalid>"))

    def whole(self, row: MailRow) -> Handed:
        """The message as it is stored, the provider's envelope included."""
        return Handed(self._store.content(row.account, row.folder, row.uid))

    def original(self, row: MailRow) -> Handed:
        """The sender's own message."""
        content = self._store.content(row.account, row.folder, row.uid)
        return Handed(_original(content) or content)

    def attachments(self, row: MailRow) -> list[Handed]:
        """The files in the sender's own message, its signature included."""
        message = message_from_bytes(self.original(row).content, policy=policy.default)
        found = []
        for part in message.walk():
            if part.is_multipart() or not part.get_filename():
                continue
            content = part.get_payload(decode=True)
            if isinstance(content, bytes):
                found.append(Handed(content, part.get_content_type(), part.get_filename() or ""))
        return found

    def mark_taken(self, row: MailRow) -> None:
        r"""As ``STORE \Seen`` does; evidence 60 follows for a letter in the INBOX."""
        self._mailboxes.folder(row.account, row.folder).mark_seen(row.uid)

    async def delete(self, row: MailRow) -> None:
        """Forget the message."""
        await self._mailboxes.folder(row.account, row.folder).delete([row.uid])

    def evidence(self, account: str, message_id: str) -> list[EvidenceFacts]:
        """What has come about a letter, in the order it came."""
        return [read_evidence(document) for document in self._told(account, message_id)]

    def evidence_file(self, account: str, identifier: str) -> bytes:
        """The signed document. Raises ``RefusedCall``."""
        try:
            return self._store.told(account, identifier)
        except KeyError:
            raise RefusedCall(RefusalCode.NO_SUCH_EVIDENCE) from None

    def _told(self, account: str, message_id: str) -> Sequence[bytes]:
        return [document for document in self._store.told_about(account, message_id) if document]

    def _stored_name(self, account: str, folder: str) -> str:
        names = self._store.folders(account)
        name = INBOX if folder == INBOX else folder.removeprefix(f"{INBOX}.")
        if name not in names or (name != INBOX and name == folder):
            raise RefusedCall(RefusalCode.NO_SUCH_FOLDER, folder[:60])
        return name

    def _describe(self, row: MailRow) -> ListedMessage:
        key = f"{row.account} {row.folder} {row.uid} {row.message_id}"
        known = self._described.get(key)
        if known is None:
            known = _description(row, self._store.content(row.account, row.folder, row.uid))
            self._described[key] = known
            if len(self._described) > _MOST_REMEMBERED:
                self._described.popitem(last=False)
        return known


def _original(content: bytes) -> bytes | None:
    try:
        return open_envelope(content).original
    except MailRejectedError:
        return None


def _description(row: MailRow, content: bytes) -> ListedMessage:
    try:
        headers = parse_entity(_original(content) or content)
    except MailRejectedError:
        headers = Entity(message_from_bytes(b""), b"")
    addresses = headers.addresses("From")
    original_id = row.original_message_id or row.message_id
    return ListedMessage(
        message_id=row.message_id,
        original_message_id=f"<{bare_message_id(original_id)}>" if original_id else "",
        number=row.uid,
        sender=headers.text("From"),
        sender_address=addresses[0] if addresses else "",
        subject=headers.text("Subject"),
        kind=headers.text(wire.MESSAGE_KIND),
        reference=headers.text(wire.MESSAGE_REFERENCE),
    )
