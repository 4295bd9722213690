"""What a provider keeps across restarts: folders, mails, issued evidence and work still to do, in one SQLite file.

Everything runs on the event loop's thread; a transaction is a fraction of a millisecond. It outlives the
process, however that ends; only a machine that loses its power may lose the last moments.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from services.sandbox.kephs.plan import IssuedEvidence

INBOX = "INBOX"
SENT = "Sent"
TRANSIT = ".transit"
"""Where letters wait between relay and delivery; never listed."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS folders (
    account TEXT NOT NULL, name TEXT NOT NULL, uid_validity INTEGER NOT NULL, next_uid INTEGER NOT NULL,
    PRIMARY KEY (account, name));
CREATE TABLE IF NOT EXISTS mails (
    account TEXT NOT NULL, folder TEXT NOT NULL, uid INTEGER NOT NULL, kind TEXT NOT NULL, message_id TEXT NOT NULL,
    original_message_id TEXT NOT NULL, original_sha256 TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    flags TEXT NOT NULL, received_at TEXT NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (account, folder, uid));
CREATE INDEX IF NOT EXISTS mails_by_message_id ON mails (account, folder, message_id);
CREATE TABLE IF NOT EXISTS evidence (
    position INTEGER PRIMARY KEY, identifier TEXT NOT NULL UNIQUE, code INTEGER NOT NULL, evidence_type TEXT NOT NULL,
    issuer TEXT NOT NULL, original_message_id TEXT NOT NULL, dispatch_id TEXT NOT NULL, sender TEXT NOT NULL,
    recipients TEXT NOT NULL, issued_at TEXT NOT NULL, xml BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS evidence_by_message_id ON evidence (original_message_id);
CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY, due_at TEXT NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS tasks_by_due ON tasks (due_at, id);
CREATE TABLE IF NOT EXISTS relayed (message_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS told (
    position INTEGER PRIMARY KEY, account TEXT NOT NULL, identifier TEXT NOT NULL, original_message_id TEXT NOT NULL,
    xml BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS told_by_message_id ON told (account, original_message_id);
CREATE INDEX IF NOT EXISTS told_by_identifier ON told (account, identifier);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_MAIL_COLUMNS = (
    "account, folder, uid, kind, message_id, original_message_id, original_sha256, sha256, size, flags, received_at"
)


_EVIDENCE_COLUMNS = (
    "identifier, code, evidence_type, issuer, original_message_id, dispatch_id, sender, recipients, issued_at, xml"
)


@dataclass(frozen=True)
class MailRow:
    r"""One mail without its content. ``flags`` are IMAP flags such as ``\Seen``."""

    account: str
    folder: str
    uid: int
    kind: str
    message_id: str
    original_message_id: str
    original_sha256: str
    sha256: str
    size: int
    flags: frozenset[str]
    received_at: datetime


@dataclass(frozen=True)
class TaskRow:
    """Work to do once ``due_at`` has come."""

    id: int
    due_at: datetime
    kind: str
    payload: str


class MailStore:
    """The file and the two hooks that tell others what a committed transaction added."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)
        self._added: list[MailRow] = []
        self._tasks_added = False
        self.on_mail: Callable[[MailRow], None] = lambda _: None
        self.on_task: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; kept once the block has ended. The hooks run after that. Do not nest or await inside."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            self._added, self._tasks_added = [], False
            raise
        self._connection.execute("COMMIT")
        (added, self._added), (tasks_added, self._tasks_added) = (self._added, []), (self._tasks_added, False)
        for mail in added:
            self.on_mail(mail)
        if tasks_added:
            self.on_task()

    # Folders

    def folders(self, account: str) -> list[str]:
        """The names of the account's folders."""
        rows = self._connection.execute("SELECT name FROM folders WHERE account = ? ORDER BY name", (account,))
        return [name for (name,) in rows if name != TRANSIT]

    def ensure_folder(self, account: str, name: str, created_at: datetime) -> int:
        """Create the folder unless it exists; return its UIDVALIDITY. A new one never repeats an old value."""
        row = self._connection.execute("SELECT max(uid_validity) FROM folders").fetchone()
        uid_validity = max(int(created_at.timestamp()), (row[0] or 0) + 1)
        self._connection.execute("INSERT OR IGNORE INTO folders VALUES (?, ?, ?, 1)", (account, name, uid_validity))
        return self.folder_state(account, name)[0]

    def folder_state(self, account: str, name: str) -> tuple[int, int]:
        """UIDVALIDITY and next UID. Raises ``KeyError`` for a folder that does not exist."""
        row = self._connection.execute(
            "SELECT uid_validity, next_uid FROM folders WHERE account = ? AND name = ?", (account, name)
        ).fetchone()
        if row is None:
            raise KeyError(name)
        return row[0], row[1]

    def renew_folder(self, account: str, name: str, now: datetime) -> None:
        """Give a folder another UIDVALIDITY and its mails other UIDs, as after a restored backup."""
        with self.transaction():
            newest = self._connection.execute("SELECT max(uid_validity) FROM folders").fetchone()[0]
            key = (account, name)
            shift = self.folder_state(account, name)[1]
            # downwards first, because a UID that is still taken would clash
            self._connection.execute("UPDATE mails SET uid = -uid WHERE account = ? AND folder = ?", key)
            self._connection.execute("UPDATE mails SET uid = ? - uid WHERE account = ? AND folder = ?", (shift, *key))
            self._connection.execute(
                "UPDATE folders SET uid_validity = ?, next_uid = ? WHERE account = ? AND name = ?",
                (max(int(now.timestamp()), newest + 1), 2 * shift, *key),
            )

    def drop_folder(self, account: str, name: str) -> None:
        """Delete a folder with everything in it."""
        with self.transaction():
            self._connection.execute("DELETE FROM mails WHERE account = ? AND folder = ?", (account, name))
            self._connection.execute("DELETE FROM folders WHERE account = ? AND name = ?", (account, name))

    # Mails

    def add_mail(
        self,
        account: str,
        folder: str,
        content: bytes,
        *,
        kind: str,
        message_id: str,
        received_at: datetime,
        original_message_id: str = "",
        original_sha256: str = "",
        flags: frozenset[str] = frozenset(),
    ) -> MailRow:
        """Store a mail under the folder's next UID; call it inside ``transaction``."""
        self.ensure_folder(account, folder, received_at)
        uid = self.folder_state(account, folder)[1]
        row = MailRow(
            account, folder, uid, kind, message_id, original_message_id, original_sha256,
            sha256(content).hexdigest(), len(content), flags, received_at,
        )  # fmt: skip
        self._connection.execute(
            "UPDATE folders SET next_uid = ? WHERE account = ? AND name = ?", (uid + 1, account, folder)
        )
        self._connection.execute(
            f"INSERT INTO mails ({_MAIL_COLUMNS}, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                account, folder, uid, kind, message_id, original_message_id, original_sha256, row.sha256, row.size,
                _pack(flags), received_at.isoformat(), content,
            ),
        )  # fmt: skip
        self._added.append(row)
        return row

    def count(self, account: str, folder: str) -> int:
        """How many mails the folder holds."""
        condition = "account = ? AND folder = ?"
        row = self._connection.execute(f"SELECT count(*) FROM mails WHERE {condition}", (account, folder)).fetchone()  # noqa: S608
        return int(row[0])

    def mails(self, account: str, folder: str, *, after_uid: int = 0, limit: int = -1) -> list[MailRow]:
        """The folder's mails by UID, without content; all of them with a ``limit`` below 0."""
        rows = self._connection.execute(
            f"SELECT {_MAIL_COLUMNS} FROM mails WHERE account = ? AND folder = ? AND uid > ?"  # noqa: S608
            " ORDER BY uid LIMIT ?",
            (account, folder, after_uid, limit),
        )
        return [_mail_row(row) for row in rows]

    def mail_called(self, account: str, folder: str, message_id: str) -> MailRow | None:
        """The first mail of the folder with this Message-ID."""
        return self._first("account = ? AND folder = ? AND message_id = ?", account, folder, message_id)

    def mail_numbered(self, account: str, folder: str, uid: int) -> MailRow | None:
        """The mail of the folder with this UID."""
        return self._first("account = ? AND folder = ? AND uid = ?", account, folder, uid)

    def _first(self, condition: str, *values: object) -> MailRow | None:
        row = self._connection.execute(
            f"SELECT {_MAIL_COLUMNS} FROM mails WHERE {condition} ORDER BY uid LIMIT 1",  # noqa: S608
            values,
        ).fetchone()
        return None if row is None else _mail_row(row)

    def used(self, account: str) -> int:
        """Octets of all mails of an account."""
        row = self._connection.execute(
            "SELECT ifnull(sum(size), 0) FROM mails WHERE account = ?", (account,)
        ).fetchone()
        return int(row[0])

    def content(self, account: str, folder: str, uid: int) -> bytes:
        """The mail's bytes. Raises ``KeyError`` if it is gone."""
        row = self._connection.execute(
            "SELECT content FROM mails WHERE account = ? AND folder = ? AND uid = ?", (account, folder, uid)
        ).fetchone()
        if row is None:
            raise KeyError(uid)
        content: bytes = row[0]
        return content

    def set_flags(self, account: str, folder: str, uid: int, flags: frozenset[str]) -> None:
        """Replace a mail's flags."""
        self._connection.execute(
            "UPDATE mails SET flags = ? WHERE account = ? AND folder = ? AND uid = ?",
            (_pack(flags), account, folder, uid),
        )

    def delete_mail(self, account: str, folder: str, uid: int) -> None:
        """Forget a mail; its UID is not used again."""
        self._connection.execute(
            "DELETE FROM mails WHERE account = ? AND folder = ? AND uid = ?", (account, folder, uid)
        )

    def first_relay_of(self, message_id: str) -> bool:
        """Remember a relayed envelope; False if it had come before (its sender lost our answer and tried again)."""
        cursor = self._connection.execute("INSERT OR IGNORE INTO relayed VALUES (?)", (message_id,))
        return cursor.rowcount == 1

    # Evidence

    def add_evidence(self, evidence: IssuedEvidence) -> None:
        """Keep what was issued; call it inside ``transaction``."""
        self._connection.execute(
            f"INSERT INTO evidence ({_EVIDENCE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                evidence.identifier, evidence.code, evidence.evidence_type, evidence.issuer,
                evidence.original_message_id, evidence.dispatch_id, evidence.sender, " ".join(evidence.recipients),
                evidence.issued_at.isoformat(), evidence.xml,
            ),
        )  # fmt: skip

    def evidence_about(self, original_message_id: str) -> list[IssuedEvidence]:
        """What was issued about the letter with this Message-ID, oldest first."""
        return self._evidence("original_message_id = ?", original_message_id)

    def evidence_called(self, identifier: str) -> IssuedEvidence:
        """The piece with this identifier. Raises ``KeyError``."""
        found = self._evidence("identifier = ?", identifier)
        if not found:
            raise KeyError(identifier)
        return found[0]

    def newest_evidence(self, limit: int) -> list[IssuedEvidence]:
        """The last pieces issued, oldest first."""
        return self._evidence("position > (SELECT ifnull(max(position), 0) FROM evidence) - ?", limit)

    def _evidence(self, condition: str, value: object) -> list[IssuedEvidence]:
        rows = self._connection.execute(
            f"SELECT {_EVIDENCE_COLUMNS} FROM evidence WHERE {condition} ORDER BY position",  # noqa: S608
            (value,),
        )
        return [
            IssuedEvidence(*(*row[:7], tuple(row[7].split()), datetime.fromisoformat(row[8]), row[9])) for row in rows
        ]

    def tell(self, account: str, identifier: str, original_message_id: str, document: bytes) -> None:
        """Note that this evidence has come to the letter's sender; twice if it came twice."""
        self._connection.execute(
            "INSERT INTO told (account, identifier, original_message_id, xml) VALUES (?, ?, ?, ?)",
            (account, identifier, original_message_id, document),
        )

    def told_about(self, account: str, original_message_id: str) -> list[bytes]:
        """The evidence documents that have come to this account about this letter, in the order they came."""
        rows = self._connection.execute(
            "SELECT xml FROM told WHERE account = ? AND original_message_id = ? ORDER BY position",
            (account, original_message_id),
        )
        return [document for (document,) in rows]

    def told(self, account: str, identifier: str) -> bytes:
        """One evidence document that has come to this account. Raises ``KeyError``."""
        row = self._connection.execute(
            "SELECT xml FROM told WHERE account = ? AND identifier = ? LIMIT 1", (account, identifier)
        ).fetchone()
        if row is None:
            raise KeyError(identifier)
        document: bytes = row[0]
        return document

    # What is remembered by name

    def remembered(self, name: str) -> str | None:
        """What was kept under this name."""
        row = self._connection.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, name: str, value: str) -> None:
        """Keep it under this name, instead of what was there."""
        self._connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, value))

    # Work

    def add_task(self, kind: str, payload: str, due_at: datetime) -> None:
        """Note work; call it inside ``transaction``."""
        self._connection.execute(
            "INSERT INTO tasks (due_at, kind, payload) VALUES (?, ?, ?)", (_moment(due_at), kind, payload)
        )
        self._tasks_added = True

    def next_task(self) -> TaskRow | None:
        """The task that is due first, whether or not its time has come."""
        row = self._connection.execute(
            "SELECT id, due_at, kind, payload FROM tasks ORDER BY due_at, id LIMIT 1"
        ).fetchone()
        return None if row is None else TaskRow(row[0], datetime.fromisoformat(row[1]), row[2], row[3])

    def tasks(self) -> int:
        """How much is noted."""
        return int(self._connection.execute("SELECT count(*) FROM tasks").fetchone()[0])

    def postpone(self, task_id: int, due_at: datetime, payload: str) -> None:
        """Do a task later, perhaps with another payload."""
        self._connection.execute(
            "UPDATE tasks SET due_at = ?, payload = ? WHERE id = ?", (_moment(due_at), payload, task_id)
        )

    def finish(self, task_id: int) -> None:
        """Forget a task that is done."""
        self._connection.execute("DELETE FROM tasks WHERE id = ?", (task_id,))


def _mail_row(row: tuple[Any, ...]) -> MailRow:
    return MailRow(*(*row[:9], frozenset(row[9].split()), datetime.fromisoformat(row[10])))


def _pack(flags: frozenset[str]) -> str:
    return " ".join(sorted(flags))


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
