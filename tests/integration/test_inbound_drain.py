"""Mailboxes are read completely, once, by one process, whatever the provider does."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text, update

from services.kep_relay.drivers.protocol import (
    Envelope,
    InboxSession,
    LoginRefusedError,
    MailboxAccount,
    SubmissionOutcome,
)
from services.kep_relay.tables import MailboxRow
from shared.errors import DomainError, ErrorCode
from tests.support.inbound import SENDER_NO, Inbound, running_inbound, scripted_signer, until
from tests.support.mails import dispatch, evidence_mail, evidence_xml, letter


class MemoryInbox:
    """A KEP driver whose inbox is a dictionary; behaves badly on order."""

    def __init__(self) -> None:
        self.mails: dict[int, bytes] = {}
        self.uidvalidity = 1
        self.seen: set[int] = set()
        self.fetched: Counter[int] = Counter()
        self.sessions = 0
        self.open_now = 0
        self.most_open = 0
        self.refused_login = False
        self.down = False
        self.faults: dict[int, ErrorCode] = {}
        self.hidden: set[int] = set()
        """UIDs that do not show up yet although higher ones do."""
        self.changed = asyncio.Event()
        self.stuck_at: int | None = None
        """This UID is not handed out before ``going_on``."""
        self.going_on = asyncio.Event()

    def add(self, *mails: bytes) -> None:
        for mail in mails:
            self.mails[max(self.mails, default=0) + 1] = mail
        self.changed.set()

    @asynccontextmanager
    async def open_inbox(self, mailbox: MailboxAccount) -> AsyncIterator[InboxSession]:
        if self.refused_login:
            raise LoginRefusedError("the provider refused the login")
        if self.down:
            raise DomainError(ErrorCode.PROVIDER_UNAVAILABLE, "down")
        self.sessions += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            yield _Session(self)
        finally:
            self.open_now -= 1

    async def submit(
        self, mailbox: MailboxAccount, envelope: Envelope, content: object, *, size: int
    ) -> SubmissionOutcome:
        raise NotImplementedError

    async def find_sent(self, mailbox: MailboxAccount, *, message_id_header: str, rem_id: str) -> bool:
        return False

    async def probe(self, mailbox: MailboxAccount) -> None:
        return None

    async def aclose(self) -> None:
        return None


class _Session:
    def __init__(self, inbox: MemoryInbox) -> None:
        self._inbox = inbox
        self.uidvalidity = inbox.uidvalidity

    def _check(self) -> None:
        if self._inbox.down or self.uidvalidity != self._inbox.uidvalidity:
            raise DomainError(ErrorCode.PROVIDER_UNAVAILABLE, "link lost")

    async def list_new(self, after_uid: int) -> Sequence[int]:
        self._check()
        self._inbox.changed.clear()
        return sorted(uid for uid in self._inbox.mails if uid > after_uid and uid not in self._inbox.hidden)

    async def fetch(self, uid: int, *, limit: int) -> bytes:
        self._check()
        if uid == self._inbox.stuck_at:
            await self._inbox.going_on.wait()
        self._inbox.fetched[uid] += 1
        if uid in self._inbox.faults:
            raise DomainError(self._inbox.faults[uid], "as ordered")
        mail = self._inbox.mails[uid]
        if len(mail) > limit:
            raise DomainError(ErrorCode.TOO_LARGE, f"the mail has {len(mail)} bytes")
        return mail

    async def size(self, uid: int) -> int | None:
        self._check()
        return len(self._inbox.mails[uid]) if uid in self._inbox.mails else None

    async def pieces(self, uid: int, *, limit: int) -> AsyncIterator[bytes]:
        mail = await self.fetch(uid, limit=limit)
        for start in range(0, len(mail), 100_000):
            self._check()
            yield mail[start : start + 100_000]

    async def mark_seen(self, uid: int) -> None:
        self._check()
        self._inbox.seen.add(uid)

    async def wait_for_change(self, timeout_seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._inbox.changed.wait()


def a_letter(number: int, size: int = 0) -> bytes:
    content = b"PK\x03\x04" + number.to_bytes(4, "big") + bytes(size)
    return dispatch(letter((f"{number}.eyp", content), message_id=f"<letter-{number}@a>"))


@pytest.fixture
def inbox() -> MemoryInbox:
    return MemoryInbox()


@pytest.fixture
async def relay(
    database_url: str, tmp_path: Path, inbox: MemoryInbox, request: pytest.FixtureRequest
) -> AsyncIterator[Inbound]:
    changes = {"rescan_seconds": 1} | getattr(request, "param", {})
    async with (
        scripted_signer() as (_signer, url),
        running_inbound(database_url, tmp_path, signer_url=url, driver=inbox, **changes) as inbound,
    ):
        await inbound.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        yield inbound


async def available(inbound: Inbound, number: int) -> None:
    async def enough() -> bool:
        return sum(row.state == "available" for row in await inbound.letters()) == number

    await until(enough)


async def stored(inbound: Inbound, number: int) -> None:
    async def enough() -> bool:
        return len(await inbound.raw_mails()) == number

    await until(enough)


async def test_raw_bytes_are_kept_exactly_and_read_once(relay: Inbound, inbox: MemoryInbox) -> None:
    inbox.add(*(a_letter(number) for number in range(20)))
    async with relay.at_work():
        await available(relay, 20)
        inbox.add(a_letter(20))
        await available(relay, 21)
    for row in await relay.raw_mails():
        assert row.sha256 is not None
        assert await relay.deps.blobs.get(row.sha256, limit=100_000) == inbox.mails[row.uid]
        assert row.state == "ingested"
    assert set(inbox.fetched.values()) == {1}
    assert inbox.sessions == 1
    assert inbox.seen == set()
    assert await relay.ledger_imbalance() == 0
    assert (await relay.mailbox("a-1")).last_successful_poll_at is not None


@pytest.mark.parametrize("relay", [{"storing_first_seconds": 60}], indirect=True)
async def test_what_lies_at_the_provider_is_stored_before_stored_mails_are_read(
    relay: Inbound, inbox: MemoryInbox
) -> None:
    inbox.add(*(a_letter(number) for number in range(30)))
    inbox.stuck_at = 29
    async with relay.at_work():
        await until(lambda: _jobs_in_hand(relay))
        await asyncio.sleep(0.3)
        assert {row.state for row in await relay.raw_mails()} == {"stored"}
        inbox.going_on.set()
        await available(relay, 30)


@pytest.mark.parametrize("relay", [{"storing_first_seconds": 0.2}], indirect=True)
async def test_stored_mails_are_read_in_time_however_long_storing_takes(relay: Inbound, inbox: MemoryInbox) -> None:
    inbox.add(*(a_letter(number) for number in range(30)))
    inbox.stuck_at = 29

    async def some_are_read() -> bool:
        return any(row.state == "ingested" for row in await relay.raw_mails())

    async with relay.at_work():
        await until(some_are_read)
        assert inbox.fetched[29] == 0
        inbox.going_on.set()
        await available(relay, 30)


async def test_of_a_batch_only_what_is_new_is_added_and_read(relay: Inbound) -> None:
    """Another process may have stored a part of it a moment ago."""
    assert await relay.store_all({1: a_letter(1), 2: a_letter(2)}) == 2
    assert await relay.store_all({2: a_letter(2), 3: a_letter(3)}) == 1
    assert await relay.store_all({1: a_letter(1), 3: a_letter(3)}) == 0
    assert [row.uid for row in await relay.raw_mails()] == [1, 2, 3]
    async with relay.deps.database.reading() as session:
        names = (await session.scalars(text("SELECT queueing_lock FROM procrastinate_jobs"))).all()
    assert sorted(names) == sorted(f"kep_relay.ingest:{row.raw_mail_id}" for row in await relay.raw_mails())
    await relay.run_jobs()
    assert [row.state for row in await relay.letters()] == ["available"] * 3


async def _jobs_in_hand(relay: Inbound) -> bool:
    async with relay.deps.database.reading() as session:
        return bool(await session.scalar(text("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'")))


async def test_another_uidvalidity_reads_all_again_and_recognises_it(relay: Inbound, inbox: MemoryInbox) -> None:
    inbox.add(a_letter(1), a_letter(2), evidence_mail(evidence_xml(10)))
    async with relay.at_work():
        await stored(relay, 3)
        await available(relay, 2)
        inbox.uidvalidity = 77
        inbox.mails = dict(enumerate(reversed([*inbox.mails.values(), a_letter(3)]), 1))
        inbox.changed.set()
        await stored(relay, 7)
        await available(relay, 3)

        async def all_read() -> bool:
            return all(row.state != "stored" for row in await relay.raw_mails())

        await until(all_read)
    rows = await relay.raw_mails()
    assert Counter(row.state for row in rows) == {"ingested": 4, "duplicate": 3}
    assert len(await relay.evidence()) == 1
    first = {row.sha256: row.message_id for row in rows if row.uidvalidity == 1}
    again = {row.sha256: row.message_id for row in rows if row.uidvalidity == 77 and row.sha256 in first}
    assert first == again
    assert await relay.ledger_imbalance() == 0


async def test_mail_that_appears_late_below_others_is_found(relay: Inbound, inbox: MemoryInbox) -> None:
    inbox.add(a_letter(1), a_letter(2), a_letter(3))
    inbox.hidden = {2}
    async with relay.at_work():
        await stored(relay, 2)
        inbox.hidden = set()
        await stored(relay, 3)


@pytest.mark.parametrize("fault", [ErrorCode.PROVIDER_REFUSED, ErrorCode.PROVIDER_UNAVAILABLE])
async def test_mail_that_cannot_be_fetched_stops_no_other(relay: Inbound, inbox: MemoryInbox, fault: ErrorCode) -> None:
    inbox.add(a_letter(1), a_letter(2), a_letter(3))
    inbox.faults = {1: fault}
    async with relay.at_work():
        await available(relay, 2)
        inbox.add(a_letter(4))
        await available(relay, 3)

        async def listed() -> bool:
            return any(row.state == "quarantined" for row in await relay.letters())

        if fault is ErrorCode.PROVIDER_REFUSED:
            await until(listed)
        else:
            inbox.faults = {}
            await available(relay, 4)
    assert await relay.ledger_imbalance() == 0


@pytest.mark.parametrize("relay", [{"max_mail_bytes": 70_000}], indirect=True)
async def test_oversize_mail_is_listed_and_not_loaded(relay: Inbound, inbox: MemoryInbox) -> None:
    inbox.add(a_letter(1, 90_000), a_letter(2))
    async with relay.at_work():
        await available(relay, 1)
        await stored(relay, 2)
    (big,) = [row for row in await relay.letters() if row.state == "quarantined"]
    assert (big.reason_code, big.raw_sha256) == ("too-large", None)
    assert inbox.fetched[1] == 1
    assert await relay.ledger_imbalance() == 0
    answer = await relay.http.get(f"/inbound-messages/{big.message_id}/raw", params={"institution": SENDER_NO})
    assert answer.status_code == 404


async def test_broken_mails_never_stop_the_next(relay: Inbound, inbox: MemoryInbox) -> None:
    inbox.add(
        b"", b"\x00\xff" * 100, b"Content-Type: multipart/mixed\r\n\r\nx", b"Subject: \xde\xdd\x00\r\n\r\n", a_letter(1)
    )
    async with relay.at_work():
        await available(relay, 1)

        async def all_read() -> bool:
            return Counter(row.state for row in await relay.raw_mails())["stored"] == 0

        await until(all_read)
    rows = await relay.raw_mails()
    for row in rows:
        assert row.sha256 == hashlib.sha256(inbox.mails[row.uid]).hexdigest()
    assert sum(row.state == "quarantined" for row in await relay.letters()) == 4
    assert await relay.ledger_imbalance() == 0


async def test_refused_login_stops_the_account_until_its_configuration_changes(
    relay: Inbound, inbox: MemoryInbox
) -> None:
    inbox.refused_login = True
    inbox.add(a_letter(1))

    async def is_stopped() -> bool:
        return (await relay.mailbox("a-1")).stopped_at is not None

    async with relay.at_work():
        await until(is_stopped)
        inbox.refused_login = False
        await asyncio.sleep(0.3)
        assert inbox.sessions == 0
        await relay.put_mailbox(
            "a-1", SENDER_NO, "a@hs98.kep.tr", password="new", imap={"host": "127.0.0.1", "port": 1}
        )
        await available(relay, 1)


async def test_provider_that_was_down_is_read_afterwards(relay: Inbound, inbox: MemoryInbox) -> None:
    inbox.down = True

    async def noticed() -> bool:
        return (await relay.mailbox("a-1")).last_poll_fault == "down"

    async with relay.at_work():
        await until(noticed)
        inbox.add(a_letter(1))
        inbox.down = False
        await available(relay, 1)
        assert (await relay.mailbox("a-1")).last_poll_fault is None


async def test_new_and_deactivated_mailboxes_are_noticed(relay: Inbound, inbox: MemoryInbox) -> None:
    async with relay.at_work():

        async def open_sessions(number: int) -> None:
            async def reached() -> bool:
                return inbox.open_now == number

            await until(reached)

        await open_sessions(1)
        await relay.put_mailbox("b-1", 10000002, "b@hs99.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        await open_sessions(2)
        async with relay.deps.database.unit_of_work() as work:
            await work.session.execute(update(MailboxRow).values(active=False))
        await open_sessions(0)

        async def given_back() -> bool:
            return (await relay.mailbox("a-1")).leased_by is None

        await until(given_back)


@pytest.mark.parametrize("relay", [{}], indirect=True)
async def test_read_policy_on_store_tells_the_provider_at_once(relay: Inbound, inbox: MemoryInbox) -> None:
    await relay.put_mailbox(
        "a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1}, read_policy="on_store"
    )
    inbox.add(a_letter(1), a_letter(2))
    async with relay.at_work():
        await available(relay, 2)

        async def told() -> bool:
            return all(row.provider_acknowledged_at for row in await relay.letters())

        await until(told)
    assert inbox.seen == {1, 2}


@pytest.mark.parametrize("relay", [{"detsis_verification_senders": ["detsis@hs01.kep.tr"]}], indirect=True)
async def test_read_policy_on_store_leaves_verification_mails_for_a_person(relay: Inbound, inbox: MemoryInbox) -> None:
    await relay.put_mailbox(
        "a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1}, read_policy="on_store"
    )
    inbox.add(dispatch(letter(sender="detsis@hs01.kep.tr")), a_letter(1))

    async def marked() -> bool:
        return number in inbox.seen

    async with relay.at_work():
        for number in (2, 3):  # the mails before it had their turn when the last one is marked
            await until(marked)
            inbox.add(a_letter(number))
    assert 1 not in inbox.seen


async def test_two_processes_drain_one_mailbox_alternately_never_together(
    database_url: str, tmp_path: Path, inbox: MemoryInbox
) -> None:
    async with AsyncExitStack() as stack:
        _signer, url = await stack.enter_async_context(scripted_signer())
        secret_keys = Fernet.generate_key().decode()
        first, second = [
            await stack.enter_async_context(
                running_inbound(database_url, tmp_path, signer_url=url, driver=inbox, secret_keys=secret_keys)
            )
            for _ in range(2)
        ]
        await first.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        async with second.at_work(sweeping=False):
            async with first.at_work():
                inbox.add(*(a_letter(number) for number in range(10)))
                await available(first, 10)
                assert inbox.most_open == 1
            inbox.add(a_letter(10))
            await available(second, 11)
    assert inbox.most_open == 1
    assert set(inbox.fetched.values()) == {1}
