"""The driver ``smtp_imap`` against Postfix and Dovecot: from submission to the drained mailbox, byte for byte."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from services.kep_relay.drivers.protocol import (
    Accepted,
    Blocked,
    Envelope,
    InboxSession,
    MailboxAccount,
    PermanentFailure,
    SubmissionOutcome,
    TemporaryFailure,
)
from services.kep_relay.drivers.smtp_imap.driver import SmtpImapDriver
from services.kep_relay.drivers.smtp_imap.imap import ImapReading, ImapTiming
from services.kep_relay.drivers.smtp_imap.smtp import SmtpSubmission, SmtpTimes
from services.kep_relay.outbound.compose import Letter, closing, headers
from services.kep_relay.outbound.content import signed_part
from shared.domain.identifiers import kep_address
from shared.errors import DomainError, ErrorCode
from tests.peers.conftest import DOMAIN, MailServers, with_password
from tests.support.peers import HOST
from tests.support.ports import free_port

pytestmark = [
    pytest.mark.peers,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(60),
]
LIMIT = 30_000_000


@dataclass(frozen=True)
class Mail:
    """A message as the driver takes it."""

    envelope: Envelope
    rem_id: str
    content: bytes

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.content), 10_000):
            yield self.content[start : start + 10_000]


@asynccontextmanager
async def new_driver() -> AsyncIterator[SmtpImapDriver]:
    driver = SmtpImapDriver(
        SmtpSubmission(SmtpTimes(connect=10, command=20, data=20), client_name="kep-gateway.invalid"),
        ImapReading(ImapTiming(connect_seconds=10, command_seconds=20, fetch_seconds=20)),
    )
    try:
        yield driver
    finally:
        await driver.aclose()


async def letter(sender: MailboxAccount, recipient: str, package: bytes = b"PK\x03\x04 package") -> Mail:
    """A KEP message as kep_relay composes it; nobody here looks at the signature."""
    message_id, rem_id = f"<{uuid4()}@kep-gateway.invalid>", str(uuid4())
    text = Letter(
        sender=sender.address,
        recipient=kep_address(recipient),
        subject="Şubat ayı yazısı",
        date=datetime(2026, 11, 20, 9, 0, tzinfo=UTC),
        message_id_header=message_id,
        rem_id=rem_id,
        filename="yazi.eyp",
    )

    async def read() -> AsyncIterator[bytes]:
        yield package

    parts = b"".join([part async for part in signed_part(text.filename, read())])
    content = headers(text) + parts + closing(text, hashlib.sha256(parts).digest())
    return Mail(Envelope(sender.address, kep_address(recipient), message_id), rem_id, content)


def raw(sender: MailboxAccount, recipient: str, body: bytes) -> Mail:
    """Any other content, which must survive the way all the same."""
    message_id = f"<{uuid4()}@kep-gateway.invalid>"
    top = f"From: <{sender.address}>\r\nTo: <{recipient}>\r\nMessage-ID: {message_id}\r\nDate: Fri, 20 Nov 2026 12:00:00 +0300\r\n\r\n"
    return Mail(Envelope(sender.address, kep_address(recipient), message_id), "none", top.encode() + body)


async def submit(driver: SmtpImapDriver, account: MailboxAccount, mail: Mail) -> SubmissionOutcome:
    return await driver.submit(account, mail.envelope, mail.chunks(), size=len(mail.content))


async def arrived(inbox: InboxSession, number: int, *, after_uid: int = 0) -> list[int]:
    """UIDs of the ``number`` mails after ``after_uid``, waited for by IDLE as the drain does."""
    async with asyncio.timeout(20):
        while len(uids := list(await inbox.list_new(after_uid))) < number:
            await inbox.wait_for_change(20)
    return uids


async def code_of(waiting: Awaitable[object]) -> ErrorCode:
    with pytest.raises(DomainError) as caught:
        await waiting
    return caught.value.code


def without_trace(received: bytes, sent: bytes) -> bytes:
    """``received`` less the trace headers that delivery puts on top (RFC 5321, 4.4)."""
    trace = received[: -len(sent)].decode("ascii")
    for line in trace.splitlines():
        assert line.startswith(("Return-Path:", "X-Original-To:", "Delivered-To:", "Received:", "\t", " ")), line
    return received[len(trace) :]


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
async def test_letter_goes_all_the_way(servers: MailServers, tls: str) -> None:
    implicit = tls == "implicit"
    smtp = servers.postfix.submission if implicit else servers.postfix.submission_starttls
    imap = servers.dovecot.imaps if implicit else servers.dovecot.imap_starttls
    sender, recipient = servers.account(smtp=smtp, imap=imap), servers.account(imap=imap)
    async with new_driver() as driver, driver.open_inbox(recipient) as inbox:
        await driver.probe(sender)
        mail = await letter(sender, recipient.address, bytes(range(256)) * 4000)
        outcome = await submit(driver, sender, mail)
        assert isinstance(outcome, Accepted)
        (uid,) = await arrived(inbox, 1)
        received = await inbox.fetch(uid, limit=LIMIT)
        assert without_trace(received, mail.content) == mail.content
        # Reading is not a sign of having taken it; only mark_seen is.
        assert "\\Seen" not in (await servers.dovecot.flags(recipient))[uid]
        await inbox.mark_seen(uid)
        assert "\\Seen" in (await servers.dovecot.flags(recipient))[uid]
        await inbox.mark_seen(uid + 100)
        assert await inbox.list_new(uid) == []
        await _until_sent(driver, sender, mail)


async def _until_sent(driver: SmtpImapDriver, sender: MailboxAccount, mail: Mail) -> None:
    header = mail.envelope.message_id_header
    async with asyncio.timeout(10):
        while not await driver.find_sent(sender, message_id_header=header, rem_id="no such id"):
            await asyncio.sleep(0.05)
    other = f"<{uuid4()}@kep-gateway.invalid>"
    assert await driver.find_sent(sender, message_id_header=other, rem_id=mail.rem_id)
    assert not await driver.find_sent(sender, message_id_header=other, rem_id=str(uuid4()))


async def test_odd_bytes_survive(servers: MailServers) -> None:
    sender, recipient = servers.account(), servers.account()
    bodies = [
        b".\r\n..\r\n.leading dots\r\n",
        "Türkçe gövde, sekiz bitlik: ğüşiöçİ\r\n".encode() * 50,
        b"x" * 9000 + b"\r\n",
        b"From the start of a line\r\n>From\r\n",
        b"* 1 FETCH (UID 1)\r\nA1 OK done\r\n{12}\r\n)\r\n",
    ]
    async with new_driver() as driver, driver.open_inbox(recipient) as inbox:
        mails = [raw(sender, recipient.address, body) for body in bodies]
        for mail in mails:
            assert isinstance(await submit(driver, sender, mail), Accepted)
        found = {}
        for uid in await arrived(inbox, len(mails)):
            content = await inbox.fetch(uid, limit=LIMIT)
            found[
                next(m.envelope.message_id_header for m in mails if m.envelope.message_id_header.encode() in content)
            ] = content
        for mail in mails:
            received = found[mail.envelope.message_id_header]
            assert without_trace(received, mail.content) == mail.content


async def test_many_at_once_arrive_once_each(servers: MailServers) -> None:
    sender, recipient = servers.account(), servers.account()
    async with new_driver() as driver, driver.open_inbox(recipient) as inbox:
        mails = [await letter(sender, recipient.address) for _ in range(24)]
        gate = asyncio.Semaphore(4)

        async def send(mail: Mail) -> SubmissionOutcome:
            async with gate:
                return await submit(driver, sender, mail)

        outcomes = await asyncio.gather(*map(send, mails))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        uids = await arrived(inbox, len(mails))
        contents = [await inbox.fetch(uid, limit=LIMIT) for uid in uids]
    for mail in mails:
        assert sum(mail.envelope.message_id_header.encode() in content for content in contents) == 1
    assert len(contents) == len(mails)


async def test_large_message(servers: MailServers) -> None:
    sender, recipient = servers.account(), servers.account()
    async with new_driver() as driver, driver.open_inbox(recipient) as inbox:
        mail = await letter(sender, recipient.address, bytes(range(256)) * 60_000)
        assert isinstance(await submit(driver, sender, mail), Accepted)
        (uid,) = await arrived(inbox, 1)
        assert await code_of(inbox.fetch(uid, limit=1_000_000)) == ErrorCode.TOO_LARGE
        received = await inbox.fetch(uid, limit=LIMIT)
        assert b"".join([piece async for piece in inbox.pieces(uid, limit=LIMIT)]) == received
    assert hashlib.sha256(without_trace(received, mail.content)).digest() == hashlib.sha256(mail.content).digest()


async def test_refusals_of_the_submission_server(servers: MailServers) -> None:
    sender, recipient = servers.account(), servers.account()
    async with new_driver() as driver:
        unknown = await submit(driver, sender, await letter(sender, f"yok@{DOMAIN}"))
        assert isinstance(unknown, PermanentFailure)
        assert unknown.reason_code == ErrorCode.PROVIDER_REFUSED
        foreign = await letter(sender, recipient.address)
        foreign = replace(foreign, envelope=replace(foreign.envelope, sender=recipient.address))
        refused = await submit(driver, sender, foreign)
        # Postfix checks the sender only once it hears the recipient, so this is the letter's refusal there.
        assert isinstance(refused, (Blocked, PermanentFailure))
        too_large = await submit(
            driver, sender, raw(sender, recipient.address, b"x" * 78 + b"\r\n" + b"y\r\n" * 10_000_100)
        )
        assert isinstance(too_large, PermanentFailure)
        assert too_large.reason_code == ErrorCode.TOO_LARGE
        # None of it spoils the account.
        assert isinstance(await submit(driver, sender, await letter(sender, recipient.address)), Accepted)


async def test_wrong_password_stops_the_account(servers: MailServers) -> None:
    account = with_password(servers.account(), "wrong")
    async with new_driver() as driver:
        mail = await letter(account, account.address)
        outcome = await submit(driver, account, mail)
        assert isinstance(outcome, Blocked)
        assert outcome.stop_account
        assert outcome.reason_code == ErrorCode.MAILBOX_NOT_READY
        assert (
            await code_of(driver.find_sent(account, message_id_header="<x@y>", rem_id="z"))
            == ErrorCode.MAILBOX_NOT_READY
        )


async def test_nobody_there_and_nobody_trusted(servers: MailServers) -> None:
    account = servers.account()
    gone = account.smtp.model_copy(update={"port": free_port()})
    distrusting = account.smtp.model_copy(update={"ca_file": None})
    async with new_driver() as driver:
        mail = await letter(account, account.address)
        for server in (gone, distrusting):
            outcome = await submit(driver, replace(account, mailbox_id=str(uuid4()), smtp=server), mail)
            assert isinstance(outcome, TemporaryFailure)
            assert outcome.unreachable
        for server in (
            account.imap.model_copy(update={"port": gone.port}),
            account.imap.model_copy(update={"ca_file": None}),
        ):
            looking = driver.find_sent(replace(account, imap=server), message_id_header="<x@y>", rem_id="z")
            assert await code_of(looking) == ErrorCode.PROVIDER_UNAVAILABLE
    assert gone.host == HOST


async def test_new_incarnation_of_a_folder(servers: MailServers) -> None:
    account = servers.account()
    dovecot = servers.dovecot
    await dovecot.save(account, b"Subject: 1\r\n\r\none\r\n")
    async with new_driver() as driver:
        async with driver.open_inbox(account) as inbox:
            before = inbox.uidvalidity
            assert len(await inbox.list_new(0)) == 1
        await dovecot.doveadm("mailbox", "update", "-u", account.address, "--uid-validity", str(before + 7), "INBOX")
        async with driver.open_inbox(account) as inbox:
            assert inbox.uidvalidity == before + 7
            (uid,) = await inbox.list_new(0)
            assert (await inbox.fetch(uid, limit=LIMIT)).endswith(b"one\r\n")


async def test_many_mails_and_vanished_ones(servers: MailServers) -> None:
    account = servers.account()
    maildir = servers.dovecot.ground.mail / account.address / "Maildir" / "new"
    await servers.dovecot.save(account, b"Subject: first\r\n\r\n0\r\n")
    for number in range(450):  # laid down as a delivery agent does; a process for each would take half a minute
        (maildir / f"1700000000.M{number}P1.peer").write_bytes(b"Subject: %d\n\n%d\n" % (number, number))
    async with new_driver() as driver, driver.open_inbox(account) as inbox:
        uids = await inbox.list_new(0)
        assert len(uids) == 451
        assert uids == sorted(uids)
        contents = [await inbox.fetch(uid, limit=1000) for uid in uids]
        assert len(set(contents)) == 451
        await servers.dovecot.doveadm("expunge", "-u", account.address, "mailbox", "INBOX", "uid", str(uids[5]))
        assert await code_of(inbox.fetch(uids[5], limit=1000)) == ErrorCode.NOT_FOUND
        assert await inbox.fetch(uids[6], limit=1000) == contents[6]
        assert await inbox.list_new(uids[-2]) == [uids[-1]]


async def test_sent_folder_with_a_turkish_name(servers: MailServers) -> None:
    account = replace(servers.account(), sent_folder="Gönderilmiş Öğeler")
    mail = await letter(account, account.address)
    await servers.dovecot.doveadm("mailbox", "create", "-u", account.address, account.sent_folder)
    await servers.dovecot.save(account, mail.content, account.sent_folder)
    async with new_driver() as driver:
        await _until_sent(driver, account, mail)


async def test_connection_cut_while_waiting(servers: MailServers) -> None:
    account = servers.account()
    async with new_driver() as driver:
        with pytest.raises(DomainError) as caught:
            async with driver.open_inbox(account) as inbox:
                waiting = asyncio.ensure_future(inbox.wait_for_change(30))
                async with asyncio.timeout(10):
                    while not waiting.done():
                        await servers.dovecot.kick(account)
                        await asyncio.wait({waiting}, timeout=0.2)
                await waiting
                # A polite BYE may also end the wait; then the next command tells.
                await inbox.list_new(0)
        assert caught.value.code == ErrorCode.PROVIDER_UNAVAILABLE
        async with driver.open_inbox(account) as inbox:
            assert await inbox.list_new(0) == []
