"""Everything a kep_relay needs around it, in the test's event loop: two KEP providers, a signer, a register.

The providers are the sandbox's, over real SMTP and IMAP. The signer answers what ``ScriptedSigner`` is told to, and signs
messages as providers want them; the register gives every number the address that ``Register`` has for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response

from services.sandbox.clock import ShiftedClock
from services.sandbox.faults import FaultBoard
from services.sandbox.kephs import Timing, start_providers
from services.sandbox.kephs.cms import sign_detached
from shared.clock import Clock, SystemClock
from shared.contracts.directory import ResolutionAnswer, ResolutionRequest
from shared.contracts.mailboxes import MailboxConfiguration
from tests.support.gateway import serving
from tests.support.inbound import ScriptedSigner
from tests.support.relay import SENDER_NO, Register
from tests.unit.sandbox_kephs.conftest import PASSWORD, TIMING, A, B, Kephs, plans
from tests.unit.sandbox_kephs.pki import client_context, make_identity, make_root, server_context

RECEIVER_NO = 10000002


@dataclass(frozen=True)
class RelayWorld:
    """What stands around the relay, and how it is reached."""

    kephs: Kephs
    signer: ScriptedSigner
    register: Register
    signer_url: str
    directory_url: str
    authorities: Path
    """CA file of the providers' TLS."""

    def configuration(self, institution_no: int, address: str, **changes: Any) -> MailboxConfiguration:
        """A mailbox of ``A`` or ``B`` as it is configured in the relay."""
        ports = self.kephs.providers.ports[address.partition("@")[2].partition(".")[0]]
        fields: dict[str, Any] = {
            "institution_no": institution_no, "address": address, "username": address, "password": PASSWORD,
            "smtp": {"host": "127.0.0.1", "port": ports.smtp, "ca_file": str(self.authorities)},
            "imap": {"host": "127.0.0.1", "port": ports.imap, "ca_file": str(self.authorities)},
            "signing_key_id": "key", "poll_interval_seconds": 1,
        }  # fmt: skip
        return MailboxConfiguration.model_validate(fields | changes)

    def copies(self, message_id_header: str, address: str = B, folder: str = "INBOX") -> int:
        """How often a letter lies in a folder at its provider."""
        mails = self.kephs.providers.messages(address, folder)
        return sum(mail.kind == "letter" and mail.original_message_id == message_id_header for mail in mails)


@asynccontextmanager
async def relay_world(
    directory: Path, *, clock: Clock | None = None, timing: Timing = TIMING
) -> AsyncIterator[RelayWorld]:
    """Start it; ``clock`` is the register's, and what the providers' own clock is shifted from."""
    root = make_root()
    identities = {name: make_identity(root, f"{name} işlem", use_rsa=name == "hs98") for name in ("hs98", "hs99")}
    identities["server"] = make_identity(root, "127.0.0.1", host="127.0.0.1")
    agent = make_identity(root, "İşlem Yetkilisi")
    authorities = directory / "tls.pem"
    authorities.write_bytes(root.certificate_pem)
    base = clock or SystemClock()
    faults, shifted = FaultBoard(), ShiftedClock(base)
    signer, register = ScriptedSigner(), Register(base, addresses={SENDER_NO: A, RECEIVER_NO: B})
    signing = signer.app()

    @signing.post("/internal/v1/signatures")
    async def sign(request: Request) -> Response:
        return Response(sign_detached(await request.body(), agent, SystemClock().now()))

    resolving = FastAPI()

    @resolving.post("/internal/v1/resolutions")
    async def resolve(request: ResolutionRequest) -> ResolutionAnswer:
        return await register.resolve(request)

    async with AsyncExitStack() as stack:
        providers = await start_providers(
            plans(identities), server_context=server_context(identities["server"], directory),
            state_directory=directory / "kephs", clock=shifted, faults=faults, timing=timing,
        )  # fmt: skip
        stack.push_async_callback(providers.aclose)
        kephs = Kephs(providers, faults, shifted, client_context(root), agent, root, identities)
        yield RelayWorld(
            kephs, signer, register, await stack.enter_async_context(serving(signing)),
            await stack.enter_async_context(serving(resolving)), authorities,
        )  # fmt: skip
