from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aioimaplib import aioimaplib

from services.kep_relay.drivers.protocol import MailboxAccount
from services.kep_relay.drivers.smtp_imap import imap
from services.kep_relay.drivers.smtp_imap.imap import ImapReading, ImapTiming, _folder
from services.kep_relay.drivers.smtp_imap.imap_link import ImapLink
from services.sandbox.faults import Fault
from services.sandbox.pki.identity import Identity
from services.sandbox.world import ListenerPlan
from shared.errors import DomainError, ErrorCode
from tests.unit.kep_relay_inbound.conftest import AccountOf, make_account
from tests.unit.sandbox_kephs.conftest import A, B, Kephs, StartProviders, eventually

READING = ImapReading(ImapTiming(connect_seconds=5, command_seconds=5, fetch_seconds=5))
LIMIT = 1024 * 1024


async def code_of(waiting: Awaitable[object]) -> ErrorCode:
    with pytest.raises(DomainError) as caught:
        await waiting
    return caught.value.code


async def append(kephs: Kephs, *mails: bytes, account: str = A, folder: str = "INBOX") -> None:
    client = await kephs.imap(account)
    for mail in mails:
        assert (await client.append(mail, mailbox=folder))[0] == "OK"


async def test_reads_mails_byte_for_byte(kephs: Kephs, account_of: AccountOf) -> None:
    letters = [kephs.letter(subject=f"Şubat {number}") for number in range(3)]
    for letter in letters:
        await kephs.submit(letter)
    await eventually(lambda: len(kephs.providers.messages(B)) == 3)
    stored = {mail.uid: mail.sha256 for mail in kephs.providers.messages(B)}
    async with READING.open_inbox(account_of(B)) as inbox:
        assert inbox.uidvalidity > 0
        assert await inbox.list_new(0) == sorted(stored)
        for uid, sha256 in stored.items():
            assert hashlib.sha256(await inbox.fetch(uid, limit=LIMIT)).hexdigest() == sha256
        assert await inbox.list_new(max(stored)) == []
        assert await inbox.list_new(max(stored) + 50) == []
    assert not any(mail.seen for mail in kephs.providers.messages(B))


async def test_odd_contents_survive(kephs: Kephs, account_of: AccountOf) -> None:
    """Unbalanced brackets, lines that look like answers, NUL and 8-bit: all of it is data."""
    mails = [
        b"Subject: ((((\r\n\r\n)\r\n) (( \r\n",
        b"A: b\r\n\r\n* 1 FETCH (UID 1 RFC822.SIZE 5)\r\nAAAA1 OK done\r\n* BYE\r\n{12}\r\n",
        b"A: b\r\n\r\n" + bytes(range(1, 256)) * 30 + b"\r\n",
        b"A: b\r\n\r\nlast line has no end",
    ]
    await append(kephs, *mails)
    async with READING.open_inbox(account_of(A)) as inbox:
        uids = await inbox.list_new(0)
        assert [await inbox.fetch(uid, limit=LIMIT) for uid in uids] == mails


async def test_size_limit_is_asked_before_anything_is_loaded(kephs: Kephs, account_of: AccountOf) -> None:
    small, large = b"A: b\r\n\r\nsmall\r\n", b"A: b\r\n\r\n" + b"x" * 5000
    await append(kephs, large, small)
    async with READING.open_inbox(account_of(A)) as inbox:
        first, second = await inbox.list_new(0)
        assert await code_of(inbox.fetch(first, limit=5000)) == ErrorCode.TOO_LARGE
        assert await inbox.fetch(second, limit=5000) == small
        assert await inbox.fetch(first, limit=len(large)) == large


async def test_large_mails_come_in_pieces(kephs: Kephs, account_of: AccountOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "_PIECE", 1000)
    mails = [b"A: b\r\n\r\n" + b"x" * (size - 8) for size in (8, 999, 1000, 1001, 3000, 4321)]
    await append(kephs, *mails)
    async with READING.open_inbox(account_of(A)) as inbox:
        for uid, mail in zip(await inbox.list_new(0), mails, strict=True):
            pieces = [piece async for piece in inbox.pieces(uid, limit=LIMIT)]
            assert b"".join(pieces) == mail
            assert max(map(len, pieces)) <= 1000

        async def read(uid: int, limit: int) -> None:
            async for _ in inbox.pieces(uid, limit=limit):
                pass

        assert await code_of(read(6, 4320)) == ErrorCode.TOO_LARGE
        assert await code_of(read(77, LIMIT)) == ErrorCode.NOT_FOUND


async def test_vanished_mail_is_not_found(kephs: Kephs, account_of: AccountOf) -> None:
    await append(kephs, b"A: b\r\n\r\nx\r\n")
    async with READING.open_inbox(account_of(A)) as inbox:
        assert await code_of(inbox.fetch(77, limit=LIMIT)) == ErrorCode.NOT_FOUND
        assert await inbox.fetch(1, limit=LIMIT)


async def test_seen_is_set_and_proves_reading(kephs: Kephs, account_of: AccountOf) -> None:
    letter = kephs.letter()
    await kephs.submit(letter)
    await eventually(lambda: len(kephs.providers.messages(B)) == 1)
    async with READING.open_inbox(account_of(B)) as inbox:
        await inbox.mark_seen(1)
        await inbox.mark_seen(4711)
    await kephs.codes(letter, 10, 20, 40, 60)


async def test_idle_wakes_for_new_mail_and_for_nothing_else(kephs: Kephs, account_of: AccountOf) -> None:
    async with READING.open_inbox(account_of(A)) as inbox:
        assert await inbox.list_new(0) == []
        loop = asyncio.get_running_loop()
        started = loop.time()
        await inbox.wait_for_change(0.2)
        assert loop.time() - started >= 0.19
        waiting = asyncio.create_task(inbox.wait_for_change(10))
        await asyncio.sleep(0.05)
        await kephs.submit(kephs.letter())
        await asyncio.wait_for(waiting, 3)
        assert 1 in await inbox.list_new(0)


async def test_arrival_between_two_commands_is_not_slept_over(kephs: Kephs, account_of: AccountOf) -> None:
    async with READING.open_inbox(account_of(A)) as inbox:
        await inbox.list_new(0)
        await append(kephs, b"A: b\r\n\r\nx\r\n")
        await inbox.mark_seen(4711)  # the answer to this brings the EXISTS
        await asyncio.wait_for(inbox.wait_for_change(10), 2)


async def test_find_sent_by_either_identifier(kephs: Kephs, account_of: AccountOf) -> None:
    letter = kephs.letter()
    await kephs.submit(letter)
    account = account_of(A)
    assert await READING.find_sent(account, message_id_header=letter.message_id, rem_id="absent-" + "0" * 30)
    assert not await READING.find_sent(account, message_id_header="<nothing@x>", rem_id="absent-" + "0" * 30)
    await append(kephs, b"X-TR-REM-iletiID: 7f3c9d\r\n\r\nx\r\n", folder="Sent")
    assert await READING.find_sent(account, message_id_header='<no"thing@x>', rem_id="7f3c9d")


async def test_refused_login_is_not_unavailability(kephs: Kephs, account_of: AccountOf) -> None:
    account = account_of(A, password='wrong "pass\\word')
    with pytest.raises(DomainError) as caught:
        await READING.probe(account)
    assert caught.value.code == ErrorCode.MAILBOX_NOT_READY
    assert "wrong" not in str(caught.value)


async def test_server_that_is_away_or_refuses(kephs: Kephs, account_of: AccountOf) -> None:
    assert await code_of(READING.probe(account_of(A, port=1))) == ErrorCode.PROVIDER_UNAVAILABLE
    kephs.faults.order(Fault("imap.refuse_connection", {"provider": "hs98"}, count=1))
    assert await code_of(READING.probe(account_of(A))) == ErrorCode.PROVIDER_UNAVAILABLE
    await READING.probe(account_of(A))


async def test_certificate_of_a_stranger_is_refused(kephs: Kephs, account_of: AccountOf) -> None:
    account = account_of(A, ca_file=None)
    with pytest.raises(DomainError, match="not trusted"):
        await READING.probe(account)


async def test_connection_lost_while_idling(kephs: Kephs, account_of: AccountOf) -> None:
    async def idle_until_dropped() -> None:
        async with READING.open_inbox(account_of(A)) as inbox:
            await inbox.list_new(0)
            kephs.faults.order(Fault("imap.drop", {"account": A}, count=1))
            waiting = asyncio.create_task(inbox.wait_for_change(20))
            await asyncio.sleep(0.05)
            await kephs.submit(kephs.letter())
            await asyncio.wait_for(waiting, 5)
            await inbox.list_new(0)

    assert await code_of(idle_until_dropped()) == ErrorCode.PROVIDER_UNAVAILABLE


async def test_starttls(start: StartProviders, root: Identity, tmp_path: Path) -> None:
    async with start(imap=ListenerPlan(0, "starttls")) as kephs:
        account = make_account(kephs, root, tmp_path)(A, tls="starttls")
        await append_over(account, b"A: b\r\n\r\nx\r\n")
        async with READING.open_inbox(account) as inbox:
            assert await inbox.fetch(1, limit=LIMIT) == b"A: b\r\n\r\nx\r\n"


async def append_over(account: MailboxAccount, mail: bytes) -> None:
    async with READING._link(account) as link:
        assert (await link.client.append(mail))[0] == "OK"


# A server of our own that misbehaves

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def hostile(talk: Talk) -> AsyncIterator[ImapLink]:
    """A link to a server in clear that is polite up to the login and then ``talk``s."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        for _ in range(3):
            tag, _, rest = (await reader.readline()).partition(b" ")
            if rest.startswith(b"CAPABILITY"):
                writer.write(b"* CAPABILITY IMAP4rev1 IDLE\r\n")
            writer.write(tag + b" OK done\r\n")
        await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link: ImapLink | None = None
    try:
        from services.kep_relay.drivers.smtp_imap import imap_link

        port = server.sockets[0].getsockname()[1]
        client = imap_link._Client("127.0.0.1", port, timeout=2, ssl_context=None)
        link = ImapLink(client, command_seconds=2)
        await link.wait(client.wait_hello_from_server(), "greeting")
        await link._log_in("a", "b")
        await link.wait(client.protocol.capability(), "CAPABILITY")
        yield link
    finally:
        if link is not None:
            link.abort()
        server.close()


async def test_thousands_of_lines_at_once_are_no_recursion() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tag = (await reader.readline()).partition(b" ")[0]
        writer.write(b"* 1 EXPUNGE\r\n" * 20_000 + tag + b" OK done\r\n")

    async with hostile(talk) as link:
        await link.run(link.client.noop(), "NOOP")


async def test_endless_literal_is_cut() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"* 1 FETCH (UID 1 BODY[]<0> {999999999}\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(bytes(1024 * 1024))
                await writer.drain()

    async with hostile(talk) as link:
        link.client.protocol.state = aioimaplib.SELECTED
        with pytest.raises(DomainError) as caught:
            await link.run(link.client.uid("fetch", "1", "(BODY.PEEK[])"), "FETCH", content_bytes=1000)
    assert caught.value.code == ErrorCode.PROVIDER_UNAVAILABLE


@pytest.mark.parametrize(
    "answer", [b"* 1 FETCH (UID 1 {99999999999999999999}\r\n", b"X9 OK done\r\n", b"\x00\xff\r\n\r\n", b""]
)
async def test_nonsense_is_unavailability(answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)

    async with hostile(talk) as link:
        assert await code_of(link.run(link.client.noop(), "NOOP")) == ErrorCode.PROVIDER_UNAVAILABLE


def test_folder_names_in_modified_utf_7() -> None:
    assert _folder("INBOX.Sent") == '"INBOX.Sent"'
    assert _folder("Gönderilmiş & eski") == '"G&APY-nderilmi&AV8- &- eski"'
    assert _folder('a"b') == '"a\\"b"'
