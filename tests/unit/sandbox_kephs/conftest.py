from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from uuid import uuid4

import aiosmtplib
import pytest
from aioimaplib import aioimaplib

from services.sandbox.clock import ShiftedClock
from services.sandbox.faults import FaultBoard
from services.sandbox.kephs import (
    Account,
    IssuedEvidence,
    KepProviderPlan,
    RunningProviders,
    StoredMail,
    Timing,
    start_providers,
)
from services.sandbox.kephs.cms import sign_detached
from services.sandbox.kephs.smime import compose_headers, compose_multipart, compose_part, compose_signed
from services.sandbox.pki.identity import Identity
from services.sandbox.world import ListenerPlan
from shared.clock import SystemClock
from tests.unit.sandbox_kephs.pki import client_context, make_identity, make_root, server_context

A = "a@hs98.kep.tr"
B = "b@hs99.kep.tr"
C = "c@hs98.kep.tr"
PASSWORD = "pw-of-everyone"
TIMING = Timing(
    slow_delivery=timedelta(milliseconds=150),
    late_delivery=timedelta(milliseconds=150),
    unreachable_after=timedelta(milliseconds=100),
    relay_retry=timedelta(milliseconds=40),
    disorder_spread=timedelta(milliseconds=60),
)


StartProviders = Callable[..., AbstractAsyncContextManager["Kephs"]]


@dataclass(frozen=True)
class Letter:
    message_id: str
    raw: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()


def write_letter(
    signer: Identity,
    *,
    sender: str = A,
    recipient: str = B,
    subject: str = "Görüş talebi",
    kind: str | None = "eYazisma",
    attachment: bytes = b"PK\x03\x04 paket",
    text: bytes = b"Ekte.\r\n",
) -> Letter:
    content_type, body = compose_multipart(
        "mixed",
        [
            compose_part([("Content-Type", "text/plain; charset=utf-8")], text, encode=False),
            compose_part([("Content-Type", 'application/octet-stream; name="belge.eyp"')], attachment),
        ],
    )
    content = compose_headers([("Content-Type", content_type)]) + b"\r\n" + body
    message_id = f"<{uuid4()}@kepgw.test>"
    fields = [("From", sender), ("To", recipient), ("Subject", subject), ("Message-ID", message_id)]
    if kind is not None:
        fields += [("X-TR-REM-iletiTip", kind), ("X-TR-REM-iletiID", "1")]
    now = SystemClock().now()
    return Letter(message_id, compose_signed(fields, content, lambda entity: sign_detached(entity, signer, now)))


@dataclass
class Kephs:
    """The running providers with what a test needs to be their client."""

    providers: RunningProviders
    faults: FaultBoard
    clock: ShiftedClock
    tls: ssl.SSLContext
    signer: Identity
    root: Identity
    identities: dict[str, Identity]
    clients: list[aioimaplib.IMAP4_SSL] = field(default_factory=list)

    def letter(self, **arguments: object) -> Letter:
        return write_letter(self.signer, **arguments)  # type: ignore[arg-type]

    async def submit(
        self,
        letter: Letter,
        *recipients: str,
        account: str = A,
        password: str = PASSWORD,
        sender: str | None = None,
        starttls: bool = False,
    ) -> str:
        port = self.providers.ports[account.partition("@")[2].partition(".")[0]].smtp
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1", port=port, use_tls=not starttls, start_tls=starttls, tls_context=self.tls,
            timeout=60, local_hostname="test",
        )  # fmt: skip
        async with client:
            await client.login(account, password)
            _, answer = await client.sendmail(sender or account, list(recipients or [B]), letter.raw)
        return answer

    async def imap(self, account: str, password: str = PASSWORD) -> aioimaplib.IMAP4_SSL:
        port = self.providers.ports[account.partition("@")[2].partition(".")[0]].imap
        client = aioimaplib.IMAP4_SSL("127.0.0.1", port, timeout=60, ssl_context=self.tls)
        self.clients.append(client)
        await client.wait_hello_from_server()
        result, _ = await client.login(account, password)
        assert result == "OK"
        return client

    async def codes(
        self, letter: Letter, *expected: int, mails: int | None = None, settle: float = 0.05
    ) -> list[IssuedEvidence]:
        """Wait for the evidence mails in the sender's INBOX; then exactly these codes were issued, in this order."""
        await eventually(lambda: len(self.evidence_mails(letter)) >= (mails or len(expected)))
        await asyncio.sleep(settle)
        assert len(self.evidence_mails(letter)) == (mails or len(expected))
        issued = self.providers.evidence(letter.message_id)
        assert [evidence.code for evidence in issued] == list(expected)
        return issued

    def order_of_arrival(self, letter: Letter) -> list[int]:
        """Codes of the evidence mails in the sender's INBOX, in order of UID."""
        codes = {evidence.identifier: evidence.code for evidence in self.providers.evidence(letter.message_id)}
        found = []
        for mail in self.evidence_mails(letter):
            headers = message_from_bytes(self.providers.content(A, "INBOX", mail.uid))
            found.append(codes[headers["X-REM-Evidence-Identifier"]])
        return found

    def evidence_mails(self, letter: Letter, account: str = A) -> list[StoredMail]:
        return [
            mail
            for mail in self.providers.messages(account)
            if mail.kind == "evidence" and mail.original_message_id == letter.message_id
        ]

    def delivered(self, letter: Letter, account: str = B) -> list[StoredMail]:
        return [
            mail
            for mail in self.providers.messages(account)
            if mail.kind == "letter" and mail.original_message_id == letter.message_id
        ]


async def eventually(condition: Callable[[], bool], timeout: float = 60) -> None:
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture(scope="session")
def root() -> Identity:
    return make_root()


@pytest.fixture(scope="session")
def identities(root: Identity) -> dict[str, Identity]:
    return {
        "hs98": make_identity(root, "hs98 işlem", use_rsa=True),
        "hs99": make_identity(root, "hs99 işlem"),
        "server": make_identity(root, "127.0.0.1", host="127.0.0.1"),
        "signer": make_identity(root, "İşlem Yetkilisi"),
    }


def plans(identities: dict[str, Identity], **hs98: object) -> list[KepProviderPlan]:
    listeners = {"smtp": ListenerPlan(0), "imap": ListenerPlan(0)}
    return [
        KepProviderPlan(
            "hs98", "hs98.kep.tr", identity=identities["hs98"],
            accounts=tuple(Account(address, address, PASSWORD) for address in (A, C)), **{**listeners, **hs98},  # type: ignore[arg-type]
        ),
        KepProviderPlan(
            "hs99", "hs99.kep.tr", identity=identities["hs99"],
            accounts=tuple(Account(address, address, PASSWORD) for address in (B,)), **listeners,
        ),
    ]  # fmt: skip


@pytest.fixture
def start(root: Identity, identities: dict[str, Identity], tmp_path: Path) -> StartProviders:
    @asynccontextmanager
    async def start(timing: Timing = TIMING, **hs98: object) -> AsyncIterator[Kephs]:
        faults, clock = FaultBoard(), ShiftedClock(SystemClock())
        providers = await start_providers(
            plans(identities, **hs98),
            server_context=server_context(identities["server"], tmp_path),
            state_directory=tmp_path / "kephs",
            clock=clock,
            faults=faults,
            timing=timing,
        )
        kephs = Kephs(providers, faults, clock, client_context(root), identities["signer"], root, identities)
        try:
            yield kephs
        finally:
            for client in kephs.clients:
                if client.protocol is not None and client.protocol.transport is not None:
                    client.protocol.transport.abort()
            await providers.aclose()

    return start


@pytest.fixture
async def kephs(start: StartProviders) -> AsyncIterator[Kephs]:
    async with start() as running:
        yield running
