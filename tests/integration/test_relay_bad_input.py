"""Hostile mail and hostile mail servers: bounded in size, depth, memory; nothing lost, and the next mail is read."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from services.kep_relay.tables import InboundPartRow
from tests.support.database import fresh_database
from tests.support.delivering import plain_letter, poll_fault, put, served, settled
from tests.support.failure_cases import Bench, ImapServer, bench, imap_server, running, until
from tests.support.mails import dispatch, mail, multipart, part

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEBIBYTE = 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(database_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    with fresh_database(database_server) as url:
        async with bench(url, tmp_path_factory.mktemp("bad"), max_mail_bytes=8 * MEBIBYTE) as made:
            yield made


def _original(entity: bytes, **headers: str) -> bytes:
    fields = {
        "From": "<a@hs98.kep.tr>", "To": "<b@hs99.kep.tr>", "Message-ID": f"<{uuid4()}@kepgw.test>", "Subject": "Konu",
    }  # fmt: skip
    return dispatch(mail(fields | headers, entity))


def _deep() -> bytes:
    """A thousand multiparts in one another."""
    heads = [f'Content-Type: multipart/mixed; boundary="b{number}"\r\n\r\n--b{number}\r\n' for number in range(1000)]
    ends = [f"\r\n--b{number}--" for number in reversed(range(1000))]
    return _original(("".join(heads) + "\r\nx" + "".join(ends) + "\r\n").encode())


def _many_parts() -> bytes:
    return _original(multipart("mixed", [b"\r\nx"] * 100_000))


def _nested_messages() -> bytes:
    raw = b"Subject: x\r\n\r\nx\r\n"
    for number in range(500):
        raw = b"Subject: %d\r\nContent-Type: message/rfc822\r\n\r\n" % number + raw
    return _original(raw)


def _base64_of_base64() -> bytes:
    content = b"x" * 1000
    for _ in range(20):
        content = part("message/rfc822", content)
    return _original(content)


def _huge_headers() -> bytes:
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 900) for number in range(5000))
    return _original(b"\r\nx\r\n").replace(b"Subject: Konu", fields + b"Subject: Konu", 1)


def _one_huge_header() -> bytes:
    return _original(b"\r\nx\r\n").replace(b"Subject: Konu", b"Subject: " + b"k" * 2_000_000, 1)


def _many_attachments() -> bytes:
    parts = [part("application/pdf", b"%PDF", disposition=f'attachment; filename="{i}.pdf"') for i in range(10_000)]
    return _original(multipart("mixed", parts))


def _many_recipients() -> bytes:
    return _original(b"\r\nx\r\n", To=", ".join(f"<b{number}@hs99.kep.tr>" for number in range(20_000)))


BOMBS: dict[str, Callable[[], bytes]] = {
    "a thousand deep": _deep,
    "a hundred thousand parts": _many_parts,
    "five hundred messages in messages": _nested_messages,
    "base64 of base64": _base64_of_base64,
    "five thousand headers": _huge_headers,
    "a header of two megabytes": _one_huge_header,
    "ten thousand attachments": _many_attachments,
    "twenty thousand recipients": _many_recipients,
    "one line of four megabytes": lambda: _original(b"\r\n" + b"x" * 4_000_000),
    "only boundaries": lambda: _original(b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n" * 200_000),
    "comments in comments": lambda: _original(b"\r\nx", To="(" * 5000 + "<b@hs99.kep.tr>"),
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bomb_is_kept_whole_seen_by_somebody_and_bounded(world: Bench, tmp_path: Path, bomb: str) -> None:
    raw = BOMBS[bomb]()
    async with imap_server(tmp_path) as server:
        server.mails = {1: raw, 2: plain_letter(("a.pdf", b"%PDF"))}
        receiver = await world.party(active=False)
        await world.configure(receiver, imap=server.address)
        rows = await settled(world, receiver, 2)
        await world.configure(receiver, active=False)
    [kept, _after] = await world.raw_mails(receiver)
    assert kept.sha256 == hashlib.sha256(raw).hexdigest()
    assert (await world.relay.deps.blobs.size(kept.sha256)) == len(raw)
    async with world.relay.deps.database.reading() as session:
        parts = await session.scalar(
            select(func.count()).select_from(InboundPartRow).where(InboundPartRow.message_id == kept.message_id)
        )
    assert (parts or 0) <= 500
    one = await world.relay.http.get(f"/inbound-messages/{kept.message_id}", params={"institution": receiver.number})
    assert len(one.content) < 500_000
    assert {row.state for row in rows} <= {"available", "quarantined"}


@pytest.mark.timeout(400)
async def test_a_mail_of_40_megabytes_is_never_held_whole(database_url: str, tmp_path: Path) -> None:
    """From the server to the disk in pieces, and read from there: the memory taken does not grow with the mail.

    Nobody verifies here: the signer of these tests takes whole files into the memory that is measured.
    """
    attachment = base64.encodebytes(hashlib.shake_256(b"large").digest(29 * MEBIBYTE)).replace(b"\n", b"\r\n")
    holder = part("application/octet-stream", b"", disposition='attachment; filename="a.bin"')
    raw = _original(multipart("mixed", [holder.rstrip() + b"\r\n\r\n" + attachment]))
    del attachment
    assert len(raw) > 39 * MEBIBYTE
    async with bench(database_url, tmp_path, at_work=False) as world, imap_server(tmp_path) as server:
        receiver = await world.party(active=False)
        server.mails[1] = raw
        await world.configure(receiver, imap=server.address)
        async with replace(world, signer_url="http://127.0.0.1:9").another_relay() as relay:
            tracemalloc.start()
            try:
                async with running(relay):

                    async def read() -> bool:
                        return [row.state for row in await world.raw_mails(receiver)] == ["ingested"]

                    await until(read, "the mail to be read", seconds=240)
                _now, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        [kept] = await world.raw_mails(receiver)
        assert (kept.sha256, kept.size) == (hashlib.sha256(raw).hexdigest(), len(raw))
        assert [row.raw_size for row in await world.arrived(receiver)] == [len(raw)]
    assert peak < 30 * MEBIBYTE


async def test_a_mail_over_the_limit_is_listed_and_stays_where_it_is(world: Bench, tmp_path: Path) -> None:
    async with imap_server(tmp_path) as server:
        server.mails = {1: bytes(9 * MEBIBYTE), 2: plain_letter(("a.pdf", b"%PDF"))}
        receiver = await world.party(active=False)
        await world.configure(receiver, imap=server.address)
        rows = await settled(world, receiver, 2)
        assert sorted((row.state, row.reason_code) for row in rows) == [
            ("available", "no-package"), ("quarantined", "too-large"),
        ]  # fmt: skip
        await world.configure(receiver, active=False)


class _Endless(ImapServer):
    """Answers one command with something that does not end."""

    word: bytes = b""
    endless: bytes = b""
    """Said first, then repeated ``filler``."""
    filler: bytes = b"x" * 65536
    pause: float = 0.0
    sent: int = 0
    cured: bool = False

    async def _answer(
        self, tag: bytes, command: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if self.cured or self.word not in command.upper():
            return await super()._answer(tag, command, reader, writer)
        writer.write(self.endless)
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(self.filler)
                self.sent += len(self.filler)
                await writer.drain()
                await asyncio.sleep(self.pause)
        return False


@pytest.mark.parametrize(
    ("word", "endless", "filler"),
    [
        (b"BODY.PEEK", b"* 1 FETCH (UID 1 BODY[]<0> {4294967296}\r\n", b"x" * 65536),
        (b"BODY.PEEK", b"* 1 FETCH (UID 1 BODY[]<0> {999999999999999999999999}\r\n", b"x" * 65536),
        (b"SEARCH", b"* SEARCH ", b"1 " * 32768),
        (b"SEARCH", b"", b"* 1 EXISTS\r\n" * 4096),
        (b"SELECT", b"* OK ", b"y" * 65536),
        (b"CAPABILITY", b"* CAPABILITY ", b"X" * 65536),
    ],
    ids=["literal", "literal-absurd", "line", "lines", "select", "capability"],
)
async def test_an_endless_answer_is_cut(
    world: Bench, tmp_path: Path, word: bytes, endless: bytes, filler: bytes
) -> None:
    """The link is cut after a bounded number of bytes; nothing of it is stored, and what is right is read afterwards."""
    server = _Endless({}, mails={1: plain_letter(("a.pdf", b"%PDF"))})
    server.word, server.endless, server.filler = word, endless, filler
    async with served(server, tmp_path):
        receiver = await world.party(active=False)
        await world.configure(receiver, imap=server.address, poll_interval_seconds=0.2)
        await poll_fault(world, receiver, "IMAP")
        connections = max(1, server.logins)
        assert server.sent < (connections + 1) * 40 * MEBIBYTE
        assert await world.raw_mails(receiver) == []
        server.cured = True
        [row] = await settled(world, receiver)
        assert row.state == "available"
        await world.configure(receiver, active=False)


async def test_a_server_that_trickles_holds_up_nobody_else(world: Bench, tmp_path: Path) -> None:
    """One byte at a time, for as long as it likes: the other mailboxes are read, and stopping does not wait for it."""
    server = _Endless({}, mails={1: plain_letter(("a.pdf", b"%PDF"))})
    server.word, server.endless = b"BODY.PEEK", b"* 1 FETCH (UID 1 BODY[]<0> {1000}\r\n"
    server.filler, server.pause = b"x", 0.02
    async with served(server, tmp_path):
        slow, quick = await world.party(active=False), await world.party()
        await world.configure(slow, imap=server.address)
        await put(world, quick, plain_letter(("a.pdf", b"%PDF")))
        await settled(world, quick)
        assert await world.arrived(slow) == []
        server.cured = True
        await world.configure(slow, imap=server.address)
        await settled(world, slow)
        await world.configure(slow, active=False)
