"""The incoming side of kep_relay on a real database, and a signer that answers what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import httpx
from fastapi import FastAPI, Form, UploadFile
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import select, text

from services.kep_relay.dependencies import Dependencies, Parts
from services.kep_relay.drivers.choice import MailOnly
from services.kep_relay.drivers.protocol import KepDriver
from services.kep_relay.drivers.smtp_imap.driver import SmtpImapDriver
from services.kep_relay.drivers.smtp_imap.imap import ImapReading, ImapTiming
from services.kep_relay.drivers.smtp_imap.smtp import SmtpSubmission, SmtpTimes
from services.kep_relay.drivers.wiring import make_drivers
from services.kep_relay.inbound.jobs import InboundJobs
from services.kep_relay.inbound.rawmail import Place, RawMailStore
from services.kep_relay.inbound.wiring import inbound_parts
from services.kep_relay.instance import Instance
from services.kep_relay.mailboxes import AddressBook, Mailboxes
from services.kep_relay.metrics import RelayMetrics
from services.kep_relay.notices.wiring import notice_router
from services.kep_relay.outbound.prepare import MakeSigner
from services.kep_relay.outbound.wiring import OutboundSide, outbound_side
from services.kep_relay.second_factor.states import SecondFactorStates
from services.kep_relay.tables import (
    EvidenceRow,
    InboundMessageRow,
    MailboxRow,
    OutboundRecipientRow,
    RawMailRow,
)
from services.kep_relay.tally import total
from services.signer.findings import CheckFailed
from services.signer.formats.smime import NoSignature, split
from services.signer.limits import DEFAULT_LIMITS
from shared.blobs import LocalBlobStore
from shared.clients.directory import DirectoryClient
from shared.clients.registrations import RegistrationsClient
from shared.clients.signer import SignerClient
from shared.clock import Clock, SystemClock
from shared.contracts.inbound import InboundMessage
from shared.contracts.mailboxes import MailboxConfiguration, ServerAddress
from shared.contracts.signatures import (
    Maturity,
    Profile,
    SignatureFormat,
    SignatureReport,
    VerificationReport,
    VerificationRequest,
)
from shared.db.session import Database
from shared.domain.identifiers import KepAddress, new_id
from shared.domain.verdict import Conclusion, Indication, SubIndication
from shared.errors import DomainError, ErrorCode
from shared.http import internal_app, problem_response
from shared.jobs import Job, JobQueue
from shared.secrets import SecretBox
from shared.telemetry.metrics import HttpMetrics, new_registry
from shared.tls import default_context
from tests.support.gateway import serving
from tests.support.relay import SENDER_NO, Register, SigningDesk, relay_settings, submission
from tests.support.schemas import bring_up

ID_OF_TESTS = "<letter-1@kepgw.test>"
INDICATIONS = {
    Conclusion.PASSED: Indication.TOTAL_PASSED,
    Conclusion.FAILED: Indication.TOTAL_FAILED,
    Conclusion.INDETERMINATE: Indication.INDETERMINATE,
}


@dataclass
class ScriptedSigner:
    """Speaks signer's HTTP interface; the answer depends on format and profile only, unless told otherwise."""

    conclusions: dict[SignatureFormat, Conclusion] = field(default_factory=dict)
    unsigned: set[SignatureFormat] = field(default_factory=set)
    open_because: SubIndication = SubIndication.TRY_LATER
    """Why an indeterminate verdict is open."""
    retry_after_seconds: int | None = None
    final_after: datetime | None = None
    """What passes is preliminary until then."""
    away: bool = False
    gate: asyncio.Event | None = None
    """No answer comes before it is set."""
    policy_version: str = "test"
    refuses: ErrorCode | None = None
    """Every file is refused with this code."""
    asked: list[VerificationRequest] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/internal/v1/verifications", response_model=None)
        async def verify(
            request: Annotated[str, Form()], file: UploadFile | None = None, content: UploadFile | None = None
        ) -> object:
            assert file is not None
            data = await file.read()
            assert data
            wanted = VerificationRequest.model_validate_json(request)
            self.asked.append(wanted)
            if self.gate is not None:
                await self.gate.wait()
            if self.away:
                return problem_response(DomainError(ErrorCode.SIGNER_UNAVAILABLE, "away"))
            if self.refuses:
                return problem_response(DomainError(self.refuses, "not this file"))
            return self._report(wanted, data, None if content is None else await content.read())

        return app

    def _report(self, wanted: VerificationRequest, data: bytes, content: bytes | None) -> VerificationReport:
        conclusion = self.conclusions.get(wanted.format, Conclusion.PASSED)
        if wanted.format is SignatureFormat.SMIME and content is not None and not covers(data, content):
            conclusion = Conclusion.FAILED
        indication = INDICATIONS[conclusion]
        if wanted.format in self.unsigned:
            conclusion, indication = Conclusion.INDETERMINATE, Indication.NO_SIGNATURE_FOUND
        return VerificationReport(
            conclusion=conclusion,
            indication=indication,
            sub_indication=self.open_because if conclusion is Conclusion.INDETERMINATE else None,
            format=wanted.format,
            profile=wanted.profile,
            policy_version=self.policy_version,
            trust_store_sha256="0" * 64,
            signatures=self._preliminary() if conclusion is Conclusion.PASSED else [],
            retry_after_seconds=self.retry_after_seconds if conclusion is Conclusion.INDETERMINATE else None,
            verified_at=datetime(2026, 11, 20, tzinfo=UTC),
        )

    def _preliminary(self) -> list[SignatureReport]:
        if self.final_after is None:
            return []
        return [
            SignatureReport(
                conclusion=Conclusion.PASSED, indication=Indication.TOTAL_PASSED, level="CAdES-T", integrity=True,
                judged_at=datetime(2026, 11, 20, tzinfo=UTC), steps=[], maturity=Maturity.PRELIMINARY,
                final_after=self.final_after,
            )
        ]  # fmt: skip


def covers(message: bytes, content: bytes) -> bool:
    """Whether ``content`` is what signer itself finds signed in ``message``."""
    try:
        signed = split(message, DEFAULT_LIMITS).content
    except (CheckFailed, NoSignature):
        return True
    return signed is None or bytes(signed) == content


@dataclass
class Inbound:
    """What a test needs to see mail come in."""

    deps: Dependencies
    parts: Parts
    outbound: OutboundSide
    http: httpx.AsyncClient
    registry: CollectorRegistry

    def came_to(self, direction: str, state: str) -> float | None:
        """How many letters this process has seen come to the state."""
        labels = {"direction": direction, "state": state}
        return self.registry.get_sample_value("kepgw_state_transition_seconds_count", labels)

    @asynccontextmanager
    async def at_work(self, *, sweeping: bool = True) -> AsyncIterator[None]:
        """Drain mailboxes, run jobs, and sweep often."""
        stop = asyncio.Event()
        tasks = [asyncio.create_task(part.run(stop)) for part in self.parts.background]
        tasks.append(asyncio.create_task(self.deps.queue.run_worker(stop)))
        if sweeping:
            tasks.append(asyncio.create_task(self._sweep(stop)))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(asyncio.gather(*tasks), 30)

    async def _sweep(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.sweep()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.2)

    async def sweep(self) -> None:
        for sweep in (*self.parts.sweeps, *self.parts.gauges):
            await sweep()

    async def put_mailbox(self, mailbox_id: str, institution_no: int, address: str, **changes: Any) -> None:
        fields: dict[str, Any] = {
            "institution_no": institution_no, "address": address, "username": address, "password": "pw-of-everyone",
            "smtp": ServerAddress(host="127.0.0.1", port=1), "signing_key_id": "key", "poll_interval_seconds": 0.2,
        }  # fmt: skip
        configuration = MailboxConfiguration.model_validate(fields | changes)
        async with self.deps.database.unit_of_work() as work:
            await self.deps.mailboxes.put(work, mailbox_id, configuration)

    async def outgoing(self, message_id_header: str, *, recipient: str = "b@hs99.kep.tr", **values: Any) -> UUID:
        """A recipient of ``SENDER_NO`` whose message with this Message-ID was submitted; returns its id."""
        stored = await self.deps.blobs.put(b"PK\x03\x04 package", limit=1000)
        message_id = new_id()
        await self.outbound.acceptance.accept(message_id, submission(stored.sha256, stored.size, [10000002]))
        async with self.deps.database.unit_of_work() as work:
            row = await work.session.scalar(
                select(OutboundRecipientRow).where(OutboundRecipientRow.message_id == message_id)
            )
            assert row is not None
            fields = {
                "message_id_header": message_id_header, "kep_address": recipient, "state": "submitted",
                "submitted_at": self.deps.clock.now(), "next_attempt_at": None,
            } | values  # fmt: skip
            for name, value in fields.items():
                setattr(row, name, value)
            return row.recipient_id

    async def recipient(self, recipient_id: UUID) -> OutboundRecipientRow:
        async with self.deps.database.reading() as session:
            return await session.get_one(OutboundRecipientRow, recipient_id)

    async def mailbox(self, mailbox_id: str) -> MailboxRow:
        async with self.deps.database.reading() as session:
            return await session.get_one(MailboxRow, mailbox_id)

    async def evidence(self) -> list[EvidenceRow]:
        async with self.deps.database.reading() as session:
            return list(await session.scalars(select(EvidenceRow).order_by(EvidenceRow.evidence_id)))

    async def raw_mails(self) -> list[RawMailRow]:
        async with self.deps.database.reading() as session:
            return list(await session.scalars(select(RawMailRow).order_by(RawMailRow.uidvalidity, RawMailRow.uid)))

    async def letters(self) -> list[InboundMessageRow]:
        async with self.deps.database.reading() as session:
            return list(await session.scalars(select(InboundMessageRow).order_by(InboundMessageRow.message_id)))

    async def ledger_imbalance(self) -> int:
        assert self.parts.ledger is not None
        async with self.deps.database.reading() as session:
            return total((await self.parts.ledger.count(session)).values()).imbalance

    async def execute(self, statement: str, **parameters: Any) -> None:
        async with self.deps.database.unit_of_work() as work:
            await work.session.execute(text(statement), parameters)

    async def take_in(self, raw: bytes, mailbox_id: str = "a-1", *, uid: int) -> None:
        """Store and read one mail as if the drain had fetched it, without a job worker."""
        await self.store(raw, mailbox_id, uid=uid)
        await self.run_jobs()

    async def store(self, raw: bytes, mailbox_id: str = "a-1", *, uid: int) -> str:
        """Store one mail as if the drain had fetched it; the digest of its bytes."""
        await self.store_all({uid: raw}, mailbox_id)
        return hashlib.sha256(raw).hexdigest()

    async def store_all(self, mails: Mapping[int, bytes], mailbox_id: str = "a-1") -> int:
        """Store mails by their UIDs in one batch, as the drain does; how many were new."""
        row, deps = await self.mailbox(mailbox_id), self.deps
        job = Job("kep_relay.ingest", deps.queue._app.tasks["kep_relay.ingest"])
        store = RawMailStore(
            deps.database, deps.blobs, InboundJobs(deps.queue, job, job, job, job), deps.clock, max_bytes=50_000_000
        )
        address = KepAddress(row.address)
        return await store.keep_all(
            [(Place(row.mailbox_id, row.institution_no, address, "INBOX", 1, uid), raw) for uid, raw in mails.items()]
        )

    async def run_jobs(self) -> None:
        """Run everything that waits, in order, until nothing does."""
        while True:
            async with self.deps.database.unit_of_work() as work:
                row = (
                    await work.session.execute(
                        text(
                            "DELETE FROM procrastinate_jobs WHERE id = (SELECT min(id) FROM procrastinate_jobs"
                            " WHERE status = 'todo') RETURNING task_name, args"
                        )
                    )
                ).one_or_none()
            if row is None:
                return
            if row[0].startswith("kep_relay.") and row[0] not in {"kep_relay.submit", "kep_relay.reconcile"}:
                await self.deps.queue._app.tasks[row[0]](**row[1])


@asynccontextmanager
async def running_inbound(
    database_url: str,
    directory: Path,
    *,
    signer_url: str,
    driver: KepDriver | None = None,
    clock: Clock | None = None,
    signer_token: str = "unused",
    sign: MakeSigner | None = None,
    register: Register | None = None,
    soap: bool = False,
    **changes: Any,
) -> AsyncIterator[Inbound]:
    """The incoming side with its routes served in this process; ``at_work`` sets it going.

    With ``soap`` it has both drivers, as the service itself; that for SOAP goes by the machine's clock.
    """
    fields: dict[str, Any] = {
        "mailbox_look_seconds": 0.1, "reconnect_pauses_seconds": [0.1], "mailbox_lease_seconds": 5,
    } | changes  # fmt: skip
    settings = relay_settings(database_url, directory, **fields)
    clock, registry = clock or SystemClock(), new_registry()
    database = Database(database_url, schema="kep_relay")
    await asyncio.to_thread(bring_up, database_url, "kep_relay")
    metrics, addresses, token = RelayMetrics(registry), AddressBook(settings.kep_domains), SecretStr("unused")
    submission = SmtpSubmission(SmtpTimes(connect=5, command=5, data=5, idle=0), client_name="test")
    reading = ImapReading(ImapTiming(connect_seconds=5, command_seconds=5, fetch_seconds=10))
    states = SecondFactorStates(database, SecretBox(settings.secret_keys), clock)
    both = make_drivers(settings, database, SystemClock(), states.security_id) if soap else None
    deps = Dependencies(
        settings=settings,
        clock=clock,
        database=database,
        blobs=LocalBlobStore(directory),
        queue=JobQueue(database),
        instance=Instance(database, clock, ttl_seconds=settings.instance_ttl_seconds),
        mailboxes=Mailboxes(SecretBox(settings.secret_keys), addresses, clock),
        driver=both or driver or SmtpImapDriver(submission, reading),
        directory=DirectoryClient(settings.detsis_sync_url, token),
        registrations=RegistrationsClient(settings.detsis_sync_url, token),
        signer=SignerClient(signer_url, SecretStr(signer_token)),
        metrics=metrics,
        registry=registry,
        desks=both or MailOnly(),
    )
    register = register or Register(clock)
    sign = sign or SigningDesk().with_key
    outbound = outbound_side(deps, addresses=addresses, resolve=register.resolve, signer=sign)
    parts = inbound_parts(deps)
    app = internal_app("kep_relay", tokens={"gateway": SecretStr("token")}, metrics=HttpMetrics(registry))
    for router in (*parts.routers, notice_router(deps, addresses, outbound.jobs)):
        app.include_router(router, prefix="/internal/v1")
    await deps.instance.renew()
    http = httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://relay/internal/v1",
        headers={"Authorization": "Bearer token"},
        timeout=40,
        verify=default_context(),
    )
    try:
        yield Inbound(deps, parts, outbound, http, registry)
    finally:
        await http.aclose()
        await deps.instance.aclose()
        await deps.directory.aclose()
        await deps.signer.aclose()
        await deps.driver.aclose()
        await database.aclose()


@asynccontextmanager
async def scripted_signer() -> AsyncIterator[tuple[ScriptedSigner, str]]:
    """A steerable signer and its base URL."""
    signer = ScriptedSigner()
    async with serving(signer.app()) as url:
        yield signer, url


async def until(condition: Callable[[], Any], timeout: float = 60) -> Any:
    """Await ``condition()`` again and again until it gives something true."""
    async with asyncio.timeout(timeout):
        while True:
            found = await condition()
            if found:
                return found
            await asyncio.sleep(0.05)


def parsed(raw: bytes) -> Message:
    return BytesParser().parsebytes(raw)


__all__ = ["SENDER_NO", "Inbound", "InboundMessage", "Profile", "parsed", "running_inbound", "scripted_signer", "until"]
