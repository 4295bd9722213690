"""The services behind the gateway, real ones on a real database, as far as a test needs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet
from pydantic import SecretStr
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.detsis_sync.app import build as build_directory
from services.detsis_sync.mirror.folding import fold
from services.detsis_sync.settings import Settings as DirectorySettings
from services.detsis_sync.tables import Account, KepAddressRecord, Run, UnitRecord
from services.kep_relay.inbound.wiring import inbound_parts
from services.kep_relay.mailboxes import AddressBook
from services.kep_relay.notices.wiring import notice_router
from services.kep_relay.proof.bundle import Proofs
from services.kep_relay.readiness import ReadinessOfMailboxes
from services.kep_relay.routes.mailboxes import mailbox_routes
from services.kep_relay.routes.outbound import outbound_routes
from services.kep_relay.routes.packages import package_routes
from services.kep_relay.routes.proofs import proof_routes
from shared.clock import SystemClock
from shared.contracts.signatures import SigningKey
from shared.db.session import Database
from shared.http import internal_app
from shared.telemetry.metrics import HttpMetrics, new_registry
from tests.support.gateway import TOKENS, serving
from tests.support.relay import Relay, running_relay
from tests.support.schemas import bring_up


@dataclass
class Line:
    """The wire to a service: may lose an answer, or be down, the way networks do."""

    app: ASGIApp
    down: bool = False
    lose_answer_of: Callable[[str, str], bool] | None = None
    """Given method and path; the service does its work, the answer never arrives. Once."""
    calls: list[tuple[str, str]] = field(default_factory=list)
    gate: asyncio.Event | None = None
    """Calls wait for it, if there is one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope.get("method", ""), scope.get("path", "")
        self.calls.append((method, path))
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            await Response(status_code=503)(scope, receive, send)
            return
        if self.lose_answer_of is not None and self.lose_answer_of(method, path):
            self.lose_answer_of = None

            async def nowhere(_message: Message) -> None:
                return None

            await self.app(scope, receive, nowhere)
            await Response(status_code=504)(scope, receive, send)
            return
        await self.app(scope, receive, send)


@dataclass(frozen=True)
class ServedRelay:
    """kep_relay over HTTP; nothing leaves it by itself."""

    url: str
    relay: Relay
    line: Line


@asynccontextmanager
async def served_relay(database_url: str, directory: Path) -> AsyncIterator[ServedRelay]:
    """kep_relay with one sending mailbox of institution 10000001."""

    async def no_key(_key_id: str) -> SigningKey | None:
        return None

    async with running_relay(database_url, directory) as relay:
        deps, clock = relay.deps, relay.clock
        readiness = ReadinessOfMailboxes(
            mailboxes=deps.mailboxes,
            addresses=AddressBook(deps.settings.kep_domains),
            driver=deps.driver,
            key=no_key,
            clock=clock,
        )
        app = internal_app(
            "kep_relay",
            tokens={name: SecretStr(token) for name, token in TOKENS.items()},
            metrics=HttpMetrics(new_registry()),
        )
        for routes in (
            package_routes(deps.blobs, max_bytes=20_000_000),
            outbound_routes(deps.database, deps.blobs, relay.side.acceptance),
            proof_routes(Proofs(deps.database, deps.blobs, deps.signer, clock)),
            mailbox_routes(deps.database, deps.mailboxes, readiness, relay.ledger),
            *inbound_parts(deps).routers,
            notice_router(deps, AddressBook(deps.settings.kep_domains), relay.side.jobs),
        ):
            app.include_router(routes, prefix="/internal/v1")
        line = Line(app)
        async with serving(line) as url:
            yield ServedRelay(url, relay, line)


@dataclass(frozen=True)
class ServedDirectory:
    """detsis_sync over HTTP, with a mirror filled by hand and no account at DETSİS."""

    url: str
    line: Line
    database: Database

    async def unit(
        self, detsis_no: int, name: str, *, active: bool = True, address: str | None = None, address_active: bool = True
    ) -> None:
        """Put one unit into the mirror."""
        async with self.database.unit_of_work() as work:
            work.session.add(
                UnitRecord(
                    detsis_no=detsis_no, name=name, folded_name=fold(name), category_id=1, status_id=1, kinds=[],
                    level=1, active=active, operating=active, external_addressee=True, content_hash=b"", first_run_id=1,
                    changed_run_id=1,
                )
            )  # fmt: skip
            if address is not None:
                work.session.add(
                    KepAddressRecord(
                        detsis_no=detsis_no, address=address, active=address_active, content_hash=b"", changed_run_id=1
                    )
                )


@asynccontextmanager
async def served_directory(database_url: str) -> AsyncIterator[ServedDirectory]:
    """detsis_sync after one accepted refresh that found nothing yet."""
    settings = DirectorySettings.model_validate(
        {"port": 0, "ops_port": 0, "service_tokens": TOKENS, "database_url": database_url,
         "secret_keys": Fernet.generate_key().decode()}
    )  # fmt: skip
    clock = SystemClock()
    await asyncio.to_thread(bring_up, database_url, "detsis_sync")
    async with AsyncExitStack() as stack:
        service = await build_directory(settings, clock)
        await stack.enter_async_context(service.resources)
        database = Database(database_url, schema="detsis_sync")
        stack.push_async_callback(database.aclose)
        async with database.unit_of_work() as work:
            now = clock.now()
            work.session.add(
                Account(
                    institution_no=10000009, account_id="x", endpoint="https://127.0.0.1:1/", password_token=b"",
                    updated_at=now,
                )
            )  # fmt: skip
            await work.session.flush()
            work.session.add(
                Run(institution_no=10000009, trigger="manual", state="accepted", started_at=now, finished_at=now)
            )
        line = Line(service.app)
        url = await stack.enter_async_context(serving(line))
        yield ServedDirectory(url, line, database)
