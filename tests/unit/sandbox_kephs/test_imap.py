from __future__ import annotations

import asyncio

import pytest
from aioimaplib import aioimaplib

from services.sandbox.faults import Fault
from services.sandbox.world import ListenerPlan
from tests.unit.sandbox_kephs.conftest import PASSWORD, A, B, Kephs, StartProviders, eventually


async def test_wrong_password(kephs: Kephs) -> None:
    port = kephs.providers.ports["hs98"].imap
    client = aioimaplib.IMAP4_SSL("127.0.0.1", port, timeout=60, ssl_context=kephs.tls)
    kephs.clients.append(client)
    await client.wait_hello_from_server()
    for username, password in ((A, "wrong"), ("nobody@hs98.kep.tr", PASSWORD), (B, PASSWORD)):
        result, lines = await client.login(username, password)
        assert result == "NO"
        assert b"AUTHENTICATIONFAILED" in lines[0]


async def test_idle_tells_of_new_mail(kephs: Kephs) -> None:
    """Every arrival wakes an idling client, also one that comes right after another."""
    client = await kephs.imap(A)
    await client.select("INBOX")
    idle = await client.idle_start(timeout=60)
    await kephs.submit(kephs.letter())
    seen: list[bytes] = []
    async with asyncio.timeout(60):
        while not any(b"3 EXISTS" in line for line in seen):
            seen += await client.wait_server_push()
    client.idle_done()
    await asyncio.wait_for(idle, 60)
    assert (await client.uid_search("UNSEEN", charset=None))[1][0] == b"1 2 3"


async def test_two_sessions_see_the_same_mailbox(kephs: Kephs) -> None:
    first, second = await kephs.imap(B), await kephs.imap(B)
    await first.select("INBOX")
    await second.select("INBOX")
    letter = kephs.letter()
    await kephs.submit(letter)
    await eventually(lambda: len(kephs.delivered(letter)) == 1)
    assert any(b"1 EXISTS" in line for line in (await first.noop())[1])
    await first.uid("store", "1", "+FLAGS", "(\\Seen \\Flagged)")
    result, lines = await second.uid("fetch", "1:*", "(FLAGS)")
    assert result == "OK"
    assert b"\\Seen" in lines[0]
    assert b"\\Flagged" in lines[0]


async def test_search_and_headers(kephs: Kephs) -> None:
    letters = [kephs.letter(subject=f"Konu {number}") for number in range(3)]
    for letter in letters:
        await kephs.submit(letter)
    await eventually(lambda: len(kephs.providers.messages(A)) == 9)
    client = await kephs.imap(A)
    await client.select("Sent")
    for uid, letter in enumerate(letters, 1):
        query = f'HEADER Message-ID "{letter.message_id}"'
        assert (await client.uid_search(query, charset=None))[1][0] == str(uid).encode()
    assert (await client.uid_search("UID 2:*", charset=None))[1][0] == b"2 3"
    result, lines = await client.uid("fetch", "2", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)] BODYSTRUCTURE ENVELOPE)")
    assert result == "OK"
    assert letters[1].message_id.encode() in b"".join(bytes(line) for line in lines)


async def test_folders_append_copy_and_expunge(kephs: Kephs) -> None:
    client = await kephs.imap(A)
    assert (await client.create("Arşiv".encode("utf-7").decode().replace("+", "&")))[0] == "OK"
    assert (await client.create("Archive"))[0] == "OK"
    result, _ = await client.append(
        b"Message-ID: <x@y>\r\nSubject: s\r\n\r\nbody\r\n", mailbox="Archive", flags="\\Seen"
    )
    assert result == "OK"
    (kept,) = kephs.providers.messages(A, "Archive")
    assert (kept.message_id, kept.seen, kept.uid) == ("<x@y>", True, 1)
    await client.select("Archive")
    await client.uid("copy", "1", "Sent")
    await client.uid("store", "1", "+FLAGS", "(\\Deleted)")
    assert (await client.expunge())[0] == "OK"
    assert kephs.providers.messages(A, "Archive") == []
    assert [mail.sha256 for mail in kephs.providers.messages(A, "Sent")] == [kept.sha256]
    names = b" ".join((await client.list('""', "*"))[1])
    assert b"INBOX" in names
    assert b"Sent" in names
    assert b".transit" not in names


async def test_reading_an_appended_mail_proves_nothing(kephs: Kephs) -> None:
    client = await kephs.imap(B)
    await client.append(b"Message-ID: <x@y>\r\n\r\nbody\r\n", mailbox="INBOX")
    await client.select("INBOX")
    await client.uid("store", "1", "+FLAGS", "(\\Seen)")
    await asyncio.sleep(0.05)
    assert kephs.providers.evidence() == []


async def test_ordered_refusal_of_connections(kephs: Kephs) -> None:
    kephs.faults.order(Fault("imap.refuse_connection", {"provider": "hs98"}, count=1))

    async def first_byte() -> bytes:
        reader, _ = await asyncio.open_connection("127.0.0.1", kephs.providers.ports["hs98"].imap, ssl=kephs.tls)
        return await reader.readexactly(1)

    with pytest.raises((OSError, EOFError)):
        await first_byte()
    assert await kephs.imap(A)


async def test_ordered_drop_in_the_middle(kephs: Kephs) -> None:
    client = await kephs.imap(A)
    await client.select("INBOX")
    await client.idle_start(timeout=60)
    kephs.faults.order(Fault("imap.drop", {"account": A}, count=1))
    letter = kephs.letter()
    await kephs.submit(letter)
    await eventually(client.protocol.transport.is_closing)
    await kephs.codes(letter, 10, 20, 40)


async def test_starttls(start: StartProviders) -> None:
    async with start(imap=ListenerPlan(0, "starttls")) as kephs:
        reader, writer = await asyncio.open_connection("127.0.0.1", kephs.providers.ports["hs98"].imap)
        assert b"STARTTLS" in await reader.readline()
        writer.write(b"1 STARTTLS\r\n")
        assert (await reader.readline()).startswith(b"1 OK")
        await writer.start_tls(kephs.tls, server_hostname="127.0.0.1")
        writer.write(f"2 LOGIN {A} {PASSWORD}\r\n".encode())
        assert (await reader.readline()).startswith(b"2 OK")
        writer.transport.abort()
