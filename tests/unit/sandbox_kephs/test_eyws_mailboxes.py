"""One mailbox, several ways to it: what goes in over one is read over the others, and outlives a restart."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiosmtplib
from aioimaplib import aioimaplib

from services.sandbox.kephs import LoginPolicy
from tests.support.eyws_provider import A, B, EywsProviders, WrittenLetter, eventually, running_providers
from tests.unit.sandbox_kephs.eyws_calls import Caller
from tests.unit.sandbox_kephs.eyws_fixtures import Callers, callers, eyws

__all__ = ["callers", "eyws"]


def trusting(eyws: EywsProviders) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(eyws.ca_file))


async def send_by_smtp(eyws: EywsProviders, letter: WrittenLetter) -> None:
    account = eyws.accounts[A]
    client = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=eyws.ports["hs98"].smtp, use_tls=True, tls_context=trusting(eyws), timeout=60
    )
    async with client:
        await client.login(A, account.password)
        await client.sendmail(A, [B], letter.raw)


async def test_sent_by_smtp_read_by_eyws(eyws: EywsProviders, callers: Callers) -> None:
    letter = eyws.letter(reference="by-smtp")
    await send_by_smtp(eyws, letter)
    mail = await eyws.delivered(letter)
    sent = await callers()("PaketSorgula", ("dizin", "INBOX.Sent"))
    assert (sent.texts("kepId"), sent.text("turId")) == ([letter.message_id], "by-smtp")
    original = await callers(B)("Indir", ("kepId", mail.message_id), ("ePart", "ORGM"))
    assert original.binaries("ePaket") == [letter.raw]
    await callers(B)("AlindiOnay", ("kepId", mail.message_id))
    await eyws.issued(letter, 10, 20, 40, 60)
    await eventually(lambda: eyws.providers.unfinished() == 0)
    listed = await callers()("PaketDelilSorgula", ("kepId", letter.message_id))
    assert sorted(map(str, listed.texts("delilTurId"))) == ["10", "20", "40", "60"]


async def test_sent_by_eyws_read_by_imap(eyws: EywsProviders, callers: Callers) -> None:
    """A mail that somebody moves in the webmail is found in the other folder, under its own Message-ID."""
    letter = eyws.letter()
    await callers()("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))
    mail = await eyws.delivered(letter)
    client = aioimaplib.IMAP4_SSL("127.0.0.1", eyws.ports["hs99"].imap, timeout=60, ssl_context=trusting(eyws))
    await client.wait_hello_from_server()
    await client.login(B, eyws.accounts[B].password)
    await client.select("INBOX")
    _, lines = await client.uid("fetch", str(mail.uid), "BODY.PEEK[]")
    assert bytes(lines[1]) == eyws.providers.content(B, "INBOX", mail.uid)
    await client.create("Evrak")
    await client.uid("move", str(mail.uid), "Evrak")
    client.protocol.transport.abort()
    caller = callers(B)
    assert (await caller.flat("DizinSorgula")).texts("return") == ["INBOX", "INBOX.Evrak", "INBOX.Sent"]
    assert (await caller("PaketSorgula")).texts("kepId") == [None]
    assert (await caller("PaketSorgula", ("dizin", "INBOX.Evrak"))).texts("kepId") == [mail.message_id]
    moved = await caller("Indir", ("kepId", mail.message_id), ("ePart", "ORGM"), ("dizin", "INBOX.Evrak"))
    assert moved.binaries("ePaket") == [letter.raw]


async def test_standing_mails_and_evidence_survive_a_restart(tmp_path: Path) -> None:
    async with running_providers(tmp_path) as first:
        letter = first.letter()
        caller = Caller(first.accounts[A])
        await caller("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))
        await first.issued(letter, 10, 20, 40)
        await eventually(lambda: first.providers.unfinished() == 0)
        before = (await caller("PaketDelilSorgula", ("kepId", letter.message_id))).body
        first.providers.change_standing(B, policy=LoginPolicy.OTP, locks_after=7)
        await caller.aclose()
    async with running_providers(tmp_path) as second:
        caller = Caller(second.accounts[A])
        assert (await caller("PaketDelilSorgula", ("kepId", letter.message_id))).body == before
        assert (await caller.flat("KontorSorgula")).text("miktar") == "999999"
        standing = second.providers.standing(B)
        assert (standing.policy, standing.locks_after) == (LoginPolicy.OTP, 7)
        await caller.aclose()


async def test_many_calls_at_once_are_each_answered(eyws: EywsProviders, callers: Callers) -> None:
    letters = [eyws.letter(recipient="nodelil@hs99.kep.tr") for _ in range(20)]
    caller = callers()
    answers = await asyncio.gather(
        *(caller("Yukle", ("ePaket", one.raw), ("ePaketTur", "EYazisma")) for one in letters)
    )
    assert [one.text("kepId") for one in answers] == [one.message_id for one in letters]
    assert sorted(mail.message_id for mail in eyws.mails(A, "Sent")) == sorted(one.message_id for one in letters)
    assert eyws.providers.standing(A).credit == 1_000_000 - 20
