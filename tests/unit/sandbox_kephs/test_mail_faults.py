"""Switches of SMTP and IMAP that cut conversations at every stage, and what is stored then."""

from __future__ import annotations

import asyncio

import aiosmtplib
import pytest
from aioimaplib import aioimaplib

from services.sandbox.faults import Fault
from tests.unit.sandbox_kephs.conftest import PASSWORD, A, B, Kephs, eventually

BROKEN = (aiosmtplib.SMTPException, OSError)


@pytest.mark.parametrize("stage", ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "content"])
async def test_half_an_answer_at_every_stage_of_smtp(kephs: Kephs, stage: str) -> None:
    """Only at the last the message is stored, and exactly once; the next attempt works."""
    kephs.faults.order(Fault("smtp.cut_answer", {"stage": stage}, count=1))
    letter = kephs.letter()
    with pytest.raises(BROKEN):
        await kephs.submit(letter)
    assert kephs.faults.in_force() == ()
    assert len(kephs.providers.messages(A, "Sent")) == (stage == "content")
    other = kephs.letter()
    await kephs.submit(other)
    await kephs.codes(other, 10, 20, 40)


async def test_a_reset_while_the_message_arrives_stores_nothing(kephs: Kephs) -> None:
    kephs.faults.order(Fault("smtp.drop_in_content", count=1))
    with pytest.raises(BROKEN):
        await kephs.submit(kephs.letter(attachment=bytes(1_000_000)))
    assert kephs.providers.messages(A, "Sent") == []


async def test_a_removed_agent_is_rejected_by_evidence(kephs: Kephs) -> None:
    kephs.faults.order(Fault("submission.agent_removed", {"account": A}, count=1))
    letter = kephs.letter()
    await kephs.submit(letter)
    (evidence,) = await kephs.codes(letter, 11)
    assert b"InvalidSenderSignature" in evidence.xml


async def opened(kephs: Kephs) -> aioimaplib.IMAP4_SSL:
    """B's mailbox with one letter in it."""
    letter = kephs.letter(attachment=bytes(100_000))
    await kephs.submit(letter)
    await eventually(lambda: len(kephs.delivered(letter)) == 1)
    client = await kephs.imap(B)
    await client.select("INBOX")
    return client


async def raw_imap(kephs: Kephs) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """B's mailbox without a library, which would hold back what it cannot read to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", kephs.providers.ports["hs99"].imap, ssl=kephs.tls)
    for number, command in enumerate((f"LOGIN {B} {PASSWORD}", "SELECT INBOX")):
        writer.write(f"t{number} {command}\r\n".encode())
        while not (await reader.readline()).startswith(b"t%d OK" % number):
            pass
    return reader, writer


async def test_an_endless_literal_goes_on_until_the_client_hangs_up(kephs: Kephs) -> None:
    client = await opened(kephs)
    kephs.faults.order(Fault("imap.endless_literal", {"account": B}, count=1))
    uid = kephs.providers.messages(B)[0].uid
    assert (await client.uid("fetch", str(uid), "(UID RFC822.SIZE)"))[0] == "OK", "no literal, no lie"
    reader, writer = await raw_imap(kephs)
    writer.write(f"t9 UID FETCH {uid} BODY.PEEK[]\r\n".encode())
    assert b"{4294967296}" in await reader.readline()
    for _ in range(100):
        assert len(await reader.readexactly(50_000)) == 50_000, "far beyond the mail's size"
    writer.transport.abort()
    whole = await client.uid("fetch", str(uid), "BODY.PEEK[]")
    assert len(bytes(whole[1][1])) == kephs.providers.messages(B)[0].size


async def test_a_literal_that_breaks_off(kephs: Kephs) -> None:
    await opened(kephs)
    kephs.faults.order(Fault("imap.broken_literal", count=1))
    mail = kephs.providers.messages(B)[0]
    reader, writer = await raw_imap(kephs)
    writer.write(f"t9 UID FETCH {mail.uid} BODY.PEEK[]\r\n".encode())
    assert b"{%d}" % mail.size in await reader.readline()
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(mail.size)
    writer.transport.abort()


async def test_a_folder_with_another_uidvalidity(kephs: Kephs) -> None:
    """The same mails under other UIDs; new ones come behind them."""
    client = await opened(kephs)
    before = kephs.providers.messages(B)[0]
    first = next(line for line in (await client.select("INBOX"))[1] if b"UIDVALIDITY" in line)
    kephs.faults.order(Fault("imap.new_uidvalidity", {"account": B}, count=1))
    second = next(line for line in (await client.select("INBOX"))[1] if b"UIDVALIDITY" in line)
    assert first != second
    (after,) = kephs.providers.messages(B)
    assert (after.sha256, after.uid == before.uid) == (before.sha256, False)
    assert (await client.uid_search("ALL", charset=None))[1][0] == str(after.uid).encode()
    letter = kephs.letter()
    await kephs.submit(letter)
    await eventually(lambda: len(kephs.delivered(letter)) == 1)
    assert kephs.delivered(letter)[0].uid > after.uid
