"""Two sandbox providers, a relay of the real parts on PostgreSQL, and as many institutions as a test wants.

Everything runs by itself on one clock that can be moved: drains, jobs, sweeps, life sign. Each test takes
institutions and accounts of its own, so one bench serves a whole module.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.fernet import Fernet
from sqlalchemy import select

from services.kep_relay.drivers.smtp_imap.driver import SmtpImapDriver
from services.kep_relay.drivers.smtp_imap.imap import ImapReading, ImapTiming
from services.kep_relay.drivers.smtp_imap.smtp import SmtpSubmission, SmtpTimes
from services.kep_relay.outbound import queries
from services.kep_relay.outbound.compose import Sign
from services.kep_relay.outbound.prepare import MakeSigner
from services.kep_relay.tables import EvidenceRow, InboundMessageRow, OutboundRecipientRow, RawMailRow
from services.sandbox.clock import ShiftedClock
from services.sandbox.faults import FaultBoard
from services.sandbox.kephs import Account, StoredMail, start_providers
from services.sandbox.kephs.cms import sign_detached
from services.sandbox.pki.identity import Identity
from shared.clock import SystemClock
from shared.contracts.outbound import OutboundEvent, OutboundMessage, RecipientStatus
from shared.domain.identifiers import new_id
from tests.support.inbound import Inbound, ScriptedSigner, running_inbound, scripted_signer
from tests.support.relay import PACKAGE, Register, submission
from tests.support.smtp_server import SubmissionServer, listening
from tests.unit.sandbox_kephs.conftest import PASSWORD, TIMING, Kephs, plans
from tests.unit.sandbox_kephs.pki import client_context, make_identity, make_root, server_context

PATIENCE = 60.0
QUICK: dict[str, Any] = {
    "retry_pauses_seconds": [0.2],
    "blocked_pauses_seconds": [0.3],
    "reconcile_pauses_seconds": [0.3],
    "sweep_interval_seconds": 0.2,
    "mailbox_look_seconds": 0.1,
    "reconnect_pauses_seconds": [0.1],
    "instance_ttl_seconds": 600,
    "secret_keys": Fernet.generate_key().decode(),
}
_RELAY_TIMES = SmtpTimes(connect=30, command=30, data=30, idle=0)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Party:
    """An institution with one KEP account, which the relay sends from and reads."""

    number: int
    mailbox_id: str
    address: str


@dataclass
class Bench:
    """What a test plays with."""

    kephs: Kephs
    relay: Inbound
    register: Register
    signer: ScriptedSigner
    authorities: Path
    database_url: str
    directory: Path
    signer_url: str

    @property
    def clock(self) -> ShiftedClock:
        return self.kephs.clock

    def server(self, address: str, kind: str) -> dict[str, Any]:
        ports = self.kephs.providers.ports[address.rpartition("@")[2].partition(".")[0]]
        return {"host": "127.0.0.1", "port": getattr(ports, kind), "ca_file": str(self.authorities)}

    @staticmethod
    def own_smtp(server: SubmissionServer) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": server.port, "ca_file": str(server.ca_file)}

    @staticmethod
    def nowhere() -> dict[str, Any]:
        """A server that nobody runs."""
        return {"host": "127.0.0.1", "port": 1}

    def another_relay(self, **changes: Any) -> AbstractAsyncContextManager[Inbound]:
        """A second process on the same database; nothing runs in it yet."""
        return relay_process(
            self.database_url, self.directory, self.signer_url, self.clock, self.register,
            self.kephs.identities["signer"], **changes,
        )  # fmt: skip

    async def party(
        self, *, at: str = "hs98", word: str = "kurum", relay: Inbound | None = None, **changes: Any
    ) -> Party:
        """A new institution whose account the provider knows and whose mailbox the relay has."""
        number = next(_numbers)
        address = f"{word}.{number}@{at}.kep.tr"
        self.kephs.providers.open_account(Account(address, address, PASSWORD))
        party = Party(10_010_000 + number, f"m-{number}", address)
        await self.configure(party, relay=relay, **changes)
        return party

    async def configure(self, party: Party, *, relay: Inbound | None = None, **changes: Any) -> None:
        fields: dict[str, Any] = {
            "password": PASSWORD, "smtp": self.server(party.address, "smtp"), "imap": self.server(party.address, "imap"),
            "poll_interval_seconds": 1,
        } | changes  # fmt: skip
        await (relay or self.relay).put_mailbox(party.mailbox_id, party.number, party.address, **fields)

    def recipient_no(self, address: str) -> int:
        """A DETSİS number that the register resolves to ``address``."""
        number = 20_010_000 + next(_numbers)
        self.register.addresses[number] = address
        return number

    async def hand_over(self, party: Party, *addresses: str, package: bytes = PACKAGE, **changes: Any) -> UUID:
        """A letter to these addresses, accepted as the gateway's would be."""
        stored = await self.relay.deps.blobs.put(package, limit=len(package))
        numbers = [self.recipient_no(address) for address in addresses]
        message_id = new_id()
        await self.relay.outbound.acceptance.accept(
            message_id, submission(stored.sha256, stored.size, numbers, institution_no=party.number, **changes)
        )
        return message_id

    async def letter(self, party: Party, message_id: UUID) -> OutboundMessage:
        async with self.relay.deps.database.reading() as session:
            return await queries.one_message(session, message_id, [party.number])

    async def only(self, party: Party, message_id: UUID) -> RecipientStatus:
        [recipient] = (await self.letter(party, message_id)).recipients
        return recipient

    async def history(self, party: Party, message_id: UUID) -> list[OutboundEvent]:
        async with self.relay.deps.database.reading() as session:
            return await queries.history(session, message_id, [party.number])

    async def reached(self, party: Party, message_id: UUID, *states: str) -> RecipientStatus:
        """The letter's only recipient once it is in one of ``states``."""

        async def there() -> RecipientStatus | None:
            recipient = await self.only(party, message_id)
            return recipient if recipient.state in states else None

        return await until(there, f"{states} of {message_id}")

    async def row(self, recipient_id: UUID) -> OutboundRecipientRow:
        return await self.relay.recipient(recipient_id)

    async def evidence_of(self, recipient_id: UUID) -> list[EvidenceRow]:
        async with self.relay.deps.database.reading() as session:
            found = select(EvidenceRow).where(EvidenceRow.recipient_id == recipient_id)
            return list(await session.scalars(found.order_by(EvidenceRow.evidence_id)))

    async def arrived(self, party: Party) -> list[InboundMessageRow]:
        """The letters in the party's queue, whatever their state."""
        async with self.relay.deps.database.reading() as session:
            found = select(InboundMessageRow).where(InboundMessageRow.mailbox_id == party.mailbox_id)
            return list(await session.scalars(found.order_by(InboundMessageRow.message_id)))

    async def raw_mails(self, party: Party) -> list[RawMailRow]:
        async with self.relay.deps.database.reading() as session:
            found = select(RawMailRow).where(RawMailRow.mailbox_id == party.mailbox_id)
            return list(await session.scalars(found.order_by(RawMailRow.folder, RawMailRow.uid)))

    def sent(self, party: Party) -> list[StoredMail]:
        """What the provider keeps as sent by the party."""
        return self.kephs.providers.messages(party.address, "Sent")

    def delivered(self, address: str, message_id_header: str | None = None) -> list[StoredMail]:
        """Letters in an account's INBOX, of this Message-ID if one is given."""
        mails = self.kephs.providers.messages(address)
        return [
            mail
            for mail in mails
            if mail.kind == "letter" and message_id_header in (None, mail.original_message_id)
        ]  # fmt: skip

    async def move_clock(self, **delta: float) -> None:
        """Let time pass, for the providers and the relay alike."""
        self.clock.move_to(self.clock.shift + timedelta(**delta))
        await self.relay.deps.instance.renew()

    def metric(self, name: str, **labels: str) -> float:
        return self.relay.registry.get_sample_value(name, labels) or 0.0

    async def balanced(self) -> None:
        """Nothing is lost in either direction."""
        assert await self.relay.ledger_imbalance() == 0


async def until(condition: Callable[[], Awaitable[Any]], what: str = "it", seconds: float = PATIENCE) -> Any:
    """The first true answer of ``condition``."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = await condition()
        if found:
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        await asyncio.sleep(0.1)


def sender_signature(identity: Identity) -> MakeSigner:
    """Signs as an account holder whom the sandbox's providers accept."""

    def with_key(_key_id: str, _institution_no: int) -> Sign:
        async def sign(content: AsyncIterable[bytes]) -> bytes:
            whole = b"".join([chunk async for chunk in content])
            return await asyncio.to_thread(sign_detached, whole, identity, SystemClock().now())

        return sign

    return with_key


@asynccontextmanager
async def running(relay: Inbound) -> AsyncIterator[None]:
    """Drains, jobs, both sweeps and the life sign, until the end of the block."""
    stop = asyncio.Event()

    async def sweep() -> None:
        while not stop.is_set():
            await relay.deps.instance.renew()
            await relay.outbound.sweep.sweep()
            await relay.sweep()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.2)

    parts = [part.run(stop) for part in relay.parts.background]
    tasks = [asyncio.create_task(part) for part in (*parts, relay.deps.queue.run_worker(stop), sweep())]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)


@asynccontextmanager
async def bench(database_url: str, directory: Path, *, at_work: bool = True, **changes: Any) -> AsyncIterator[Bench]:
    """Providers and one relay, at work unless told otherwise; ``changes`` are settings of the relay."""
    root = make_root()
    identities = {
        "hs98": make_identity(root, "hs98"), "hs99": make_identity(root, "hs99"),
        "server": make_identity(root, "127.0.0.1", host="127.0.0.1"), "signer": make_identity(root, "signer"),
    }  # fmt: skip
    authorities = directory / "authorities.pem"
    authorities.write_bytes(root.certificate_pem)
    faults, clock = FaultBoard(), ShiftedClock(SystemClock())
    async with contextlib.AsyncExitStack() as stack:
        providers = await start_providers(
            plans(identities), server_context=server_context(identities["server"], directory),
            state_directory=directory / "kephs", clock=clock, faults=faults, timing=TIMING,
        )  # fmt: skip
        stack.push_async_callback(providers.aclose)
        kephs = Kephs(providers, faults, clock, client_context(root), identities["signer"], root, identities)
        signer, url = await stack.enter_async_context(scripted_signer())
        register = Register(clock)
        relay = await stack.enter_async_context(
            relay_process(database_url, directory, url, clock, register, identities["signer"], **changes)
        )
        made = Bench(kephs, relay, register, signer, authorities, database_url, directory, url)
        if at_work:
            await stack.enter_async_context(running(relay))
        yield made


@asynccontextmanager
async def relay_process(
    database_url: str,
    directory: Path,
    signer_url: str,
    clock: ShiftedClock,
    register: Register,
    identity: Identity,
    **changes: Any,
) -> AsyncIterator[Inbound]:
    """A relay process on this database; nothing runs in it yet."""
    times = changes.pop("smtp_times", _RELAY_TIMES)
    driver = SmtpImapDriver(
        SmtpSubmission(times, client_name="test", credit_words=["kontor"]),
        ImapReading(ImapTiming(connect_seconds=30, command_seconds=30, fetch_seconds=30)),
    )
    async with running_inbound(
        database_url, directory / "blobs", signer_url=signer_url, clock=clock, driver=driver, register=register,
        sign=sender_signature(identity), **(QUICK | changes),
    ) as relay:  # fmt: skip
        yield relay


def codes(evidence: Sequence[EvidenceRow]) -> list[int | None]:
    return sorted((item.code for item in evidence), key=lambda code: code or 0)


@dataclass
class ImapServer:
    """A server that speaks as much IMAP as a drain and a search need, and misbehaves as it is told."""

    address: dict[str, Any]
    refuses_login: bool = False
    mails: dict[int, bytes] = field(default_factory=dict)
    cut: dict[int, int] = field(default_factory=dict)
    """By UID: the literal is announced whole, and the connection ends after so many bytes of it."""
    logins: int = 0
    cuts: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                tag, _, command = line.rstrip().partition(b" ")
                if not await self._answer(tag, command, reader, writer):
                    break
                await writer.drain()
        writer.transport.abort()

    async def _answer(
        self, tag: bytes, command: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        words = command.upper().split()
        if words[0] == b"LOGIN":
            self.logins += 1
            if self.refuses_login:
                writer.write(tag + b" NO [AUTHENTICATIONFAILED] wrong password\r\n")
                return True
        elif words[0] == b"CAPABILITY":
            writer.write(b"* CAPABILITY IMAP4rev1 IDLE\r\n")
        elif words[0] == b"SELECT":
            writer.write(f"* {len(self.mails)} EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n".encode())
        elif words[0] == b"IDLE":
            writer.write(b"+ idling\r\n")
            await reader.readline()
        elif words[:2] == [b"UID", b"SEARCH"]:
            found = "" if b"HEADER" in command else " ".join(map(str, sorted(self.mails)))
            writer.write(f"* SEARCH {found}\r\n".encode())
        elif words[0] == b"SEARCH":
            writer.write(b"* SEARCH\r\n")
        elif words[:2] == [b"UID", b"FETCH"] and b"RFC822.SIZE" in command:
            for uid, mail in self.mails.items():
                writer.write(f"* {uid} FETCH (UID {uid} RFC822.SIZE {len(mail)})\r\n".encode())
        elif words[:2] == [b"UID", b"FETCH"]:
            uid = int(words[2])
            mail = self.mails[uid]
            start = int(command.rpartition(b"<")[2].partition(b".")[0]) if b"<" in command else 0
            piece = mail[start : start + int(command.rpartition(b".")[2].rstrip(b">)"))] if b"<" in command else mail
            writer.write(f"* {uid} FETCH (UID {uid} BODY[]<{start}> {{{len(piece)}}}\r\n".encode())
            if uid in self.cut:
                self.cuts += 1
                writer.write(piece[: self.cut[uid]])
                await writer.drain()
                writer.close()
                return False
            writer.write(piece + b")\r\n")
        writer.write(tag + b" OK done\r\n")
        return True


@asynccontextmanager
async def imap_server(directory: Path, *, refuses_login: bool = False) -> AsyncIterator[ImapServer]:
    """It listens on a free port of 127.0.0.1 with TLS, in this event loop."""
    made = ImapServer({}, refuses_login)
    async with listening(directory, made.serve) as made.address:
        yield made
