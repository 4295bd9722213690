"""Mails put into a sandbox mailbox as they are, and what the relay made of them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from fastapi import FastAPI

from services.kep_relay.tables import InboundMessageRow, RawMailRow
from shared.contracts.directory import (
    AddressSource,
    ResolutionAnswer,
    ResolutionProblem,
    ResolutionRequest,
    ResolvedAddress,
)
from tests.support.failure_cases import Bench, ImapServer, Party, until
from tests.support.gateway import serving
from tests.support.mails import dispatch, letter
from tests.support.smtp_server import listening, tls_files_content

FINISHED = {"available", "quarantined", "sealed", "consumed"}


def plain_letter(*attachments: tuple[str, bytes], **fields: Any) -> bytes:
    """A REM dispatch around a letter whose Message-ID no other test uses."""
    return dispatch(letter(*attachments, **({"message_id": f"<{uuid4()}@kepgw.test>"} | fields)))


async def put(world: Bench, party: Party, *mails: bytes, folder: str = "INBOX") -> None:
    """Append the mails to a folder of the party's account, byte for byte, over IMAP."""
    client = await world.kephs.imap(party.address)
    for raw in mails:
        answer = await client.append(raw, mailbox=folder)
        assert answer.result == "OK", answer
    await client.logout()


async def read_mail(world: Bench, party: Party, raw: bytes) -> RawMailRow:
    """The row of the one mail put into a fresh mailbox, once it has been read."""
    await put(world, party, raw)

    async def done() -> RawMailRow | None:
        rows = await world.raw_mails(party)
        return rows[0] if rows and rows[0].state != "stored" else None

    row: RawMailRow = await until(done, "the mail to be read")
    return row


async def settled(world: Bench, party: Party, number: int = 1) -> list[InboundMessageRow]:
    """The party's letters once ``number`` of them are offered, registered, quarantined or sealed."""

    async def done() -> list[InboundMessageRow] | None:
        rows = [row for row in await world.arrived(party) if row.state in FINISHED]
        return rows if len(rows) >= number else None

    found: list[InboundMessageRow] = await until(done, f"{number} letters of {party.address}")
    assert len(found) == number
    return found


async def poll_fault(world: Bench, party: Party, *words: str) -> str:
    """Why the mailbox could not be read, once all ``words`` stand in it."""

    async def noted() -> str | None:
        fault = (await world.relay.mailbox(party.mailbox_id)).last_poll_fault
        return fault if fault and all(word in fault for word in words) else None

    fault: str = await until(noted, f"a poll fault with {words}")
    return fault


@dataclass
class Talker:
    """A server that says something to everybody who comes and hangs up."""

    port: int
    ca_file: Path
    visits: int = 0

    @property
    def address(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "ca_file": str(self.ca_file)}


@asynccontextmanager
async def talker(
    directory: Path, says: bytes, *, tls: bool, prepare: Callable[[ssl.SSLContext], None] | None = None
) -> AsyncIterator[Talker]:
    """It listens on a free port of 127.0.0.1; ``prepare`` changes its TLS context."""
    certificate, key = tls_files_content()
    files = directory / "talker.pem", directory / "talker.key"
    files[0].write_bytes(certificate)
    files[1].write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    if prepare is not None:
        prepare(context)
    made = Talker(0, files[0])

    async def connected(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.visits += 1
        with contextlib.suppress(ConnectionError):
            writer.write(says)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context if tls else None)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


@asynccontextmanager
async def directory_of(book: dict[int, str]) -> AsyncIterator[str]:
    """The resolutions of a directory that knows these addresses and no others; its base URL."""
    app = FastAPI()

    @app.post("/internal/v1/resolutions")
    async def resolve(request: ResolutionRequest) -> ResolutionAnswer:
        assert request.mode == "mirror", "no incoming letter costs DETSİS a call"
        return ResolutionAnswer(recipients=[_resolved(number, book.get(number)) for number in request.recipient_nos])

    async with serving(app) as url:
        yield url


def _resolved(number: int, address: str | None) -> ResolvedAddress:
    problem = None if address else ResolutionProblem.UNKNOWN
    return ResolvedAddress(
        detsis_no=number, address=address, problem=problem, source=AddressSource.MIRROR, rule="mirror", snapshot_id=1,
        resolved_at=datetime(2026, 11, 20, tzinfo=UTC),
    )  # fmt: skip


class LimitedImap(ImapServer):
    """A server that turns so many logins away for now, as one does that is asked too often."""

    limited: int = 0
    most_open: int = 0
    open_now: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            await super().serve(reader, writer)
        finally:
            self.open_now -= 1

    async def _answer(
        self, tag: bytes, command: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if command.upper().startswith(b"LOGIN") and self.limited:
            self.logins += 1
            self.limited -= 1
            writer.write(tag + b" NO [LIMIT] too many connections, try again later\r\n")
            return True
        return await super()._answer(tag, command, reader, writer)


@asynccontextmanager
async def served(server: ImapServer, directory: Path) -> AsyncIterator[None]:
    """Let a scripted IMAP server listen on a free port of 127.0.0.1 with TLS."""
    async with listening(directory, server.serve) as server.address:
        yield
