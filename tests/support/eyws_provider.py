"""Two KEP providers of the sandbox with PTT KEP's SOAP service, in the test's own event loop.

``running_providers(directory)`` starts them and yields ``EywsProviders``: the addresses, the CA file, three accounts
(``A`` and ``C`` at hs98, ``B`` at hs99) with everything a caller has to send, and the switchboard of faults.
Evidence comes over the service only, not as mail, unless asked for. What the service says no with has the numbers of
``services.sandbox.kephs.eyws.refusals.RefusalCode``.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from uuid import uuid4

from services.sandbox.clock import ShiftedClock
from services.sandbox.faults import Fault, FaultBoard
from services.sandbox.kephs import (
    INBOX,
    Account,
    IssuedEvidence,
    KepProviderPlan,
    LoginPolicy,
    ProviderPorts,
    RunningProviders,
    SoapAccess,
    StoredMail,
    Timing,
    start_providers,
)
from services.sandbox.kephs.cms import sign_detached
from services.sandbox.kephs.eyws.login import SMS_KEY
from services.sandbox.kephs.eyws.wire_contract import PATH
from services.sandbox.kephs.smime import compose_headers, compose_multipart, compose_part, compose_signed
from services.sandbox.pki.identity import Identity
from services.sandbox.world import ListenerPlan
from shared.clock import SystemClock
from tests.unit.sandbox_kephs.pki import make_identity, make_root, server_context

A = "a@hs98.kep.tr"
B = "b@hs99.kep.tr"
C = "c@hs98.kep.tr"
FAST = Timing(
    slow_delivery=timedelta(milliseconds=150),
    late_delivery=timedelta(milliseconds=150),
    unreachable_after=timedelta(milliseconds=100),
    relay_retry=timedelta(milliseconds=40),
    disorder_spread=timedelta(milliseconds=60),
)
__all__ = ["FAST", "INBOX", "PATH", "SMS_KEY", "A", "B", "C", "EywsAccount", "EywsProviders", "running_providers"]


@dataclass(frozen=True)
class EywsAccount:
    """What stands in the body of every call."""

    address: str
    agent_no: str
    """``tcno``"""
    password: str
    """``parola``; also for SMTP and IMAP."""
    second_password: str
    """``sifre``"""
    url: str
    ca_file: Path


@dataclass(frozen=True)
class WrittenLetter:
    """A signed message, ready to be sent."""

    message_id: str
    raw: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()


@dataclass(frozen=True)
class EywsProviders:
    """The running providers."""

    accounts: Mapping[str, EywsAccount]
    """By address."""
    urls: Mapping[str, str]
    """By the provider's name."""
    ports: Mapping[str, ProviderPorts]
    """By the provider's name: SMTP and IMAP (both with TLS first), relay, and the service's."""
    ca_file: Path
    providers: RunningProviders
    faults: FaultBoard
    clock: ShiftedClock
    signer: Identity
    server: Identity
    """Whose certificate the listeners show."""

    def letter(self, **arguments: str | bytes | None) -> WrittenLetter:
        """A signed letter from ``A`` to ``B``; see ``write_letter``."""
        return write_letter(self.signer, **arguments)  # type: ignore[arg-type]

    def order(self, name: str, *, count: int | None = None, value: float | None = None, **scope: str) -> None:
        """Put a fault in force."""
        self.faults.order(Fault(name, scope, count, value=value))

    def mails(self, address: str, folder: str = INBOX) -> list[StoredMail]:
        return self.providers.messages(address, folder)

    async def delivered(self, letter: WrittenLetter, address: str = B) -> StoredMail:
        """The letter in its recipient's mailbox, once it is there."""
        found = lambda: [mail for mail in self.mails(address) if mail.original_message_id == letter.message_id]  # noqa: E731
        await eventually(lambda: bool(found()))
        return found()[0]

    async def issued(self, letter: WrittenLetter, *codes: int) -> list[IssuedEvidence]:
        """The evidence about a letter, once these codes have been issued."""
        await eventually(
            lambda: set(codes) <= {evidence.code for evidence in self.providers.evidence(letter.message_id)}
        )
        return self.providers.evidence(letter.message_id)


async def eventually(condition: Callable[[], bool], timeout: float = 60) -> None:
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.005)


def write_letter(
    signer: Identity,
    *,
    sender: str = A,
    recipient: str = B,
    subject: str = "Görüş talebi",
    kind: str | None = "eYazisma",
    reference: str = "1",
    attachment: bytes = b"PK\x03\x04 paket",
    message_id: str | None = None,
) -> WrittenLetter:
    content_type, body = compose_multipart(
        "mixed",
        [
            compose_part([("Content-Type", "text/plain; charset=utf-8")], b"Ekte.\r\n", encode=False),
            compose_part(
                [
                    ("Content-Type", 'application/octet-stream; name="belge.eyp"'),
                    ("Content-Disposition", 'attachment; filename="belge.eyp"'),
                ],
                attachment,
            ),
        ],
    )
    content = compose_headers([("Content-Type", content_type)]) + b"\r\n" + body
    message_id = message_id or f"<{uuid4()}@kepgw.test>"
    fields = [("From", sender), ("To", recipient), ("Subject", subject), ("Message-ID", message_id)]
    if kind is not None:
        fields += [("X-TR-REM-iletiTip", kind), ("X-TR-REM-iletiID", reference)]
    now = SystemClock().now()
    return WrittenLetter(message_id, compose_signed(fields, content, lambda entity: sign_detached(entity, signer, now)))


def _account(address: str, order: int, policy: LoginPolicy, *, evidence_by_mail: bool) -> Account:
    access = SoapAccess(f"{order:011d}", f"second-{order}", policy, evidence_by_mail)
    return Account(address, address, f"password-{order}", soap=access)


@cache
def _identities() -> tuple[Identity, dict[str, Identity]]:
    """A root and everyone's below it; made once, because an RSA key takes its time."""
    root = make_root()
    return root, {
        "hs98": make_identity(root, "hs98 işlem", use_rsa=True),
        "hs99": make_identity(root, "hs99 işlem"),
        "server": make_identity(root, "127.0.0.1", host="127.0.0.1"),
        "signer": make_identity(root, "İşlem Yetkilisi"),
    }


@asynccontextmanager
async def running_providers(
    directory: Path,
    *,
    policies: Mapping[str, LoginPolicy] | None = None,
    evidence_by_mail: bool = False,
    timing: Timing = FAST,
) -> AsyncIterator[EywsProviders]:
    """hs98 (RSA) and hs99 (P-256), both with the service; what they keep lies below ``directory``."""
    root, identities = _identities()
    ca_file = directory / "eyws-ca.pem"
    ca_file.write_bytes(root.certificate_pem)
    faults, clock = FaultBoard(), ShiftedClock(SystemClock())
    accounts = [
        _account(address, order, (policies or {}).get(address, LoginPolicy.BASE), evidence_by_mail=evidence_by_mail)
        for order, address in enumerate((A, B, C), 1)
    ]
    plans = [
        KepProviderPlan(
            name, f"{name}.kep.tr", smtp=ListenerPlan(0), imap=ListenerPlan(0), soap=ListenerPlan(0),
            identity=identities[name],
            accounts=tuple(account for account in accounts if account.address.endswith(f"@{name}.kep.tr")),
        )
        for name in ("hs98", "hs99")
    ]  # fmt: skip
    providers = await start_providers(
        plans, server_context=server_context(identities["server"], directory), state_directory=directory / "kephs",
        clock=clock, faults=faults, timing=timing, soap_context=lambda: server_context(identities["server"], directory),
    )  # fmt: skip
    urls = {name: f"https://127.0.0.1:{ports.soap}{PATH}" for name, ports in providers.ports.items()}
    access = {account.address: account for account in accounts}
    try:
        yield EywsProviders(
            accounts={
                address: EywsAccount(
                    address, one.soap.agent_no, one.password, one.soap.second_password,
                    urls[address.partition("@")[2].partition(".")[0]], ca_file,
                )
                for address, one in access.items()
                if one.soap is not None
            },
            urls=urls,
            ports=providers.ports,
            ca_file=ca_file,
            providers=providers,
            faults=faults,
            clock=clock,
            signer=identities["signer"],
            server=identities["server"],
        )  # fmt: skip
    finally:
        await providers.aclose()
