"""The outgoing side of kep_relay on a real database, with the outside world given as objects."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import select, text

from services.kep_relay.dependencies import Dependencies
from services.kep_relay.drivers.protocol import KepDriver
from services.kep_relay.instance import Instance
from services.kep_relay.ledger import LedgerKeeper, NoLetters
from services.kep_relay.mailboxes import AddressBook, Mailboxes
from services.kep_relay.metrics import RelayMetrics
from services.kep_relay.outbound import queries
from services.kep_relay.outbound.compose import Sign
from services.kep_relay.outbound.prepare import MakeSigner
from services.kep_relay.outbound.wiring import OutboundSide, outbound_side
from services.kep_relay.settings import Settings
from services.kep_relay.tables import OutboundRecipientRow
from shared.blobs import LocalBlobStore
from shared.clients.directory import DirectoryClient
from shared.clients.registrations import RegistrationsClient
from shared.clients.signer import SignerClient
from shared.clock import Clock, FixedClock
from shared.contracts.directory import AddressSource, ResolutionAnswer, ResolutionRequest, ResolvedAddress
from shared.contracts.mailboxes import MailboxConfiguration, ServerAddress
from shared.contracts.outbound import OutboundEvent, OutboundMessage, OutboundSubmission
from shared.db.session import Database
from shared.domain.identifiers import new_id
from shared.errors import DomainError
from shared.jobs import JobQueue
from shared.secrets import SecretBox
from shared.telemetry.metrics import new_registry
from tests.support.kep_provider import MemoryProvider
from tests.support.schemas import bring_up

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
SENDER_NO = 10000001
PACKAGE = b"PK\x03\x04" + bytes(range(256)) * 20


@dataclass
class Register:
    """Answers resolutions from a table; an error put into ``fault`` is raised instead."""

    clock: Clock
    addresses: dict[int, str] = field(default_factory=dict)
    problems: dict[int, Any] = field(default_factory=dict)
    fault: DomainError | None = None
    calls: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None
    """Answers wait for it, if there is one."""

    async def resolve(self, request: ResolutionRequest) -> ResolutionAnswer:
        self.calls += 1
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return ResolutionAnswer(recipients=[self._one(number) for number in request.recipient_nos])

    def _one(self, number: int) -> ResolvedAddress:
        problem = self.problems.get(number)
        return ResolvedAddress(
            detsis_no=number,
            name=f"Kurum {number}",
            address=None if problem else self.addresses.get(number, f"kurum.{number}@hs99.kep.tr"),
            problem=problem,
            source=AddressSource.LIVE,
            rule="live.eYazismaPaketi",
            snapshot_id=7,
            resolved_at=self.clock.now(),
        )


@dataclass
class SigningDesk:
    """Signs by hashing; an error put into ``fault`` is raised instead."""

    fault: DomainError | None = None
    signed: int = 0

    def with_key(self, key_id: str, institution_no: int) -> Sign:
        async def sign(content: AsyncIterable[bytes]) -> bytes:
            if self.fault is not None:
                raise self.fault
            self.signed += 1
            digest = hashlib.sha256(f"{key_id}/{institution_no}".encode())
            async for chunk in content:
                digest.update(chunk)
            return digest.digest()

        return sign


@dataclass
class Relay:
    """Everything a test needs to play a letter's life."""

    deps: Dependencies
    side: OutboundSide
    clock: FixedClock
    provider: MemoryProvider
    register: Register
    desk: SigningDesk
    ledger: LedgerKeeper

    async def hand_over(self, *recipient_nos: int, **changes: Any) -> UUID:
        stored = await self.deps.blobs.put(PACKAGE, limit=1_000_000)
        message_id = new_id()
        await self.side.acceptance.accept(message_id, submission(stored.sha256, stored.size, recipient_nos, **changes))
        return message_id

    async def letter(self, message_id: UUID) -> OutboundMessage:
        async with self.deps.database.reading() as session:
            return await queries.one_message(session, message_id, [SENDER_NO])

    async def events(self, message_id: UUID) -> list[OutboundEvent]:
        async with self.deps.database.reading() as session:
            return await queries.history(session, message_id, [SENDER_NO])

    async def row(self, recipient_id: UUID) -> OutboundRecipientRow:
        async with self.deps.database.reading() as session:
            row = await session.scalar(
                select(OutboundRecipientRow).where(OutboundRecipientRow.recipient_id == recipient_id)
            )
            assert row is not None
            return row

    async def execute(self, statement: str, **parameters: Any) -> None:
        async with self.deps.database.unit_of_work() as work:
            await work.session.execute(text(statement), parameters)

    async def jobs(self, name: str) -> list[str]:
        """Recipients for which such a job waits."""
        async with self.deps.database.reading() as session:
            rows = await session.execute(
                text(
                    "SELECT args->>'recipient_id' FROM procrastinate_jobs"
                    " WHERE task_name = :name AND status = 'todo' ORDER BY id"
                ),
                {"name": name},
            )
            return [row[0] for row in rows]

    async def submit(self, recipient_id: UUID) -> None:
        await self.side.jobs.submit.task(recipient_id=str(recipient_id))

    async def reconcile(self, recipient_id: UUID) -> None:
        await self.side.jobs.reconcile.task(recipient_id=str(recipient_id))


def submission(sha256: str, size: int, numbers: Sequence[int], **changes: Any) -> OutboundSubmission:
    fields: dict[str, Any] = {
        "institution_no": SENDER_NO,
        "client_id": "ebys-1",
        "client_ref": "2026/1",
        "subject": "Yıllık faaliyet raporu",
        "document_id": "A1B2C3D4-0000-4000-8000-000000000001",
        "document_no": "E-1",
        "package_sha256": sha256,
        "package_size": size,
        "package_filename": "letter.eyp",
        "recipient_nos": list(numbers) or [10000002],
        "correlation_id": "test-correlation",
    }
    return OutboundSubmission.model_validate(fields | changes)


def mailbox_configuration(**changes: Any) -> MailboxConfiguration:
    fields: dict[str, Any] = {
        "institution_no": SENDER_NO,
        "address": "kurum.a@hs98.kep.tr",
        "username": "kurum.a",
        "password": "hunter2-of-tests",
        "smtp": ServerAddress(host="127.0.0.1", port=465),
        "imap": ServerAddress(host="127.0.0.1", port=993),
        "signing_key_id": "a-signing",
    }
    return MailboxConfiguration.model_validate(fields | changes)


def relay_settings(database_url: str, directory: Path, **changes: Any) -> Settings:
    fields: dict[str, Any] = {
        "port": 0,
        "ops_port": 0,
        "service_tokens": {"kep_relay": "relay-token", "gateway": "gateway-token"},
        "database_url": database_url,
        "blob_store_url": f"file://{directory}",
        "secret_keys": Fernet.generate_key().decode(),
        "detsis_sync_url": "http://127.0.0.1:9",
        "signer_url": "http://127.0.0.1:9",
    }
    return Settings.model_validate(fields | changes)


@asynccontextmanager
async def running_relay(
    database_url: str,
    directory: Path,
    *,
    clock: Any = None,
    driver: KepDriver | None = None,
    signer: MakeSigner | None = None,
    mailbox: MailboxConfiguration | None = None,
    **changes: Any,
) -> AsyncIterator[Relay]:
    """A relay with one sending mailbox of ``SENDER_NO``; nothing runs by itself.

    ``clock`` stands still at ``START`` unless another one is given.
    """
    settings = relay_settings(database_url, directory, **changes)
    database = Database(database_url, schema="kep_relay")
    await asyncio.to_thread(bring_up, database_url, "kep_relay")
    clock, registry = clock or FixedClock(START), new_registry()
    metrics, addresses = RelayMetrics(registry), AddressBook(settings.kep_domains)
    provider, register, desk = MemoryProvider(), Register(clock), SigningDesk()
    token = SecretStr("unused")
    deps = Dependencies(
        settings=settings,
        clock=clock,
        database=database,
        blobs=LocalBlobStore(directory),
        queue=JobQueue(database),
        instance=Instance(database, clock, ttl_seconds=settings.instance_ttl_seconds),
        mailboxes=Mailboxes(SecretBox(settings.secret_keys), addresses, clock),
        driver=driver or provider,
        directory=DirectoryClient("http://127.0.0.1:9", token),
        registrations=RegistrationsClient(settings.detsis_sync_url, token),
        signer=SignerClient("http://127.0.0.1:9", token),
        metrics=metrics,
        registry=registry,
    )
    side = outbound_side(deps, addresses=addresses, resolve=register.resolve, signer=signer or desk.with_key)
    async with database.unit_of_work() as work:
        await deps.mailboxes.put(work, "a-1", mailbox or mailbox_configuration())
    await deps.instance.renew()
    ledger = LedgerKeeper(database, clock, metrics, inbound=NoLetters())
    try:
        yield Relay(deps, side, clock, provider, register, desk, ledger)
    finally:
        await deps.instance.aclose()
        await deps.directory.aclose()
        await deps.signer.aclose()
        await database.aclose()
