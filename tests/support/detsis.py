"""The directory service over a real database, and the DETSİS it calls: the sandbox's, over TLS."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.fernet import Fernet
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.detsis_sync.app import build
from services.detsis_sync.settings import Settings
from services.sandbox import world
from services.sandbox.detsis.app import PATH, build_detsis_app
from services.sandbox.detsis.register import PinnedUnit, Register, generate_register
from services.sandbox.faults import Fault, FaultBoard
from shared.clients.directory import DirectoryClient
from shared.clock import FixedClock
from shared.contracts.directory import RefreshRun, RegisterAccount, ResolutionRequest, ResolvedAddress
from shared.db.session import Database
from shared.service import Service
from tests.support.database import fresh_database
from tests.support.schemas import bring_up
from tests.support.serving import serving
from tests.unit.detsis_soap.conftest import Authority

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PASSWORD = "Gizli&<Parola>-çğıİ"
TOKEN = "gateway-token"
A, B = 10000001, 10000002
KEY = Fernet.generate_key().decode()


class Detsis:
    """The running look-alike. Its register can be replaced, its answers held back or broken."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.faults = FaultBoard()
        self.calls: Counter[str] = Counter()
        self.accounts = [world.DetsisAccount(number, str(number), PASSWORD) for number in (A, B)]
        self.port = 0
        self.register: Register
        self._app: ASGIApp
        self._gates: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}
        self._edits: dict[str, Callable[[bytes], bytes]] = {}

    @property
    def endpoint(self) -> str:
        return f"https://localhost:{self.port}{PATH}"

    def publish(self, *units: PinnedUnit) -> None:
        """From now on the register holds these units."""
        self.register = generate_register(len(units), 1, units)
        self._app = build_detsis_app(self.register, self.accounts, self.faults, FixedClock(NOW))

    def order(self, name: str, operation: str | None = None, **order: Any) -> None:
        scope = {} if operation is None else {"operation": operation}
        self.faults.order(Fault(f"detsis.{name}", scope=scope, **order))

    @contextmanager
    def holding(self, operation: str) -> Iterator[asyncio.Event]:
        """Hold back answers of ``operation`` while the block runs; the event tells that one was asked for."""
        arrived, released = asyncio.Event(), asyncio.Event()
        self._gates[operation] = arrived, released
        try:
            yield arrived
        finally:
            del self._gates[operation]
            released.set()

    @contextmanager
    def editing(self, operation: str, edit: Callable[[bytes], bytes]) -> Iterator[None]:
        """Answers of ``operation`` pass through ``edit`` while the block runs."""
        self._edits[operation] = edit
        try:
            yield
        finally:
            del self._edits[operation]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        if scope["type"] == "http":
            operation = dict(scope["headers"]).get(b"soapaction", b"").decode().strip('"').rpartition("/")[2]
            self.calls[operation] += 1
            if (gate := self._gates.get(operation)) is not None:
                gate[0].set()
                await gate[1].wait()
            if (edit := self._edits.get(operation)) is not None:
                await self._edited(scope, receive, send, edit)
                return
        await self._app(scope, receive, send)

    async def _edited(self, scope: Scope, receive: Receive, send: Send, edit: Callable[[bytes], bytes]) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        body = bytearray()

        async def keep(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body"):
                await send({"type": "http.response.body", "body": edit(bytes(body))})

        await self._app({**scope, "headers": headers}, receive, keep)


@asynccontextmanager
async def running_detsis(authority: Authority, *units: PinnedUnit) -> AsyncIterator[Detsis]:
    """DETSİS on a port of its own."""
    detsis = Detsis(authority)
    detsis.publish(*units)
    async with serving(detsis, certificate=authority.certificate_file, key=authority.key_file) as url:
        detsis.port = int(url.rpartition(":")[2])
        yield detsis


def setting_values(database_url: str, authority: Authority, **changed: Any) -> dict[str, Any]:
    """What a small register on this machine needs."""
    return {
        "port": 0, "ops_port": 0, "service_tokens": {"gateway": TOKEN}, "database_url": database_url,
        "secret_keys": KEY, "detsis_ca_file": authority.ca_file, "schedule_check_seconds": 0.05,
        "live_timeout_seconds": 60, "live_letter_cache_seconds": 0, "live_cache_seconds": 0,
    } | changed  # fmt: skip


@dataclass
class Directory:
    """The running service and its client."""

    service: Service
    client: DirectoryClient
    database: Database
    clock: FixedClock
    detsis: Detsis
    url: str
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    parts: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, *names: str) -> None:
        """Start background parts by name."""
        for part in self.service.background:
            if part.name in names:
                self.parts.append(asyncio.create_task(part.run(self.stop), name=part.name))

    async def account(self, number: int = A, password: str | None = PASSWORD) -> RegisterAccount:
        """Make the account known to the service."""
        return await self.client.put_account(
            RegisterAccount(
                institution_no=number, account_id=str(number), endpoint=self.detsis.endpoint, password=password
            )
        )

    async def refresh(self, number: int = A) -> RefreshRun:
        """Refresh now and wait for its end."""
        return await self.ended((await self.client.refresh(number)).run_id)

    async def ended(self, run_id: int) -> RefreshRun:
        """The run, once it is no longer under way."""
        async with asyncio.timeout(60):
            while True:
                for part in self.parts:
                    if part.done():
                        part.result()
                        raise AssertionError(f"{part.get_name()} has ended")
                runs = (await self.client.status()).last_runs
                found = next((run for run in runs if run.run_id == run_id and run.state != "running"), None)
                if found is not None:
                    return found
                await asyncio.sleep(0.02)

    async def resolve(self, *numbers: int, sender: int = A, mode: str = "live") -> list[ResolvedAddress]:
        """Ask where these recipients are reached."""
        request = ResolutionRequest.model_validate({"sender_no": sender, "recipient_nos": list(numbers), "mode": mode})
        return (await self.client.resolve(request)).recipients

    def metric(self, name: str, **labels: str) -> float | None:
        """A sample of the service's metrics."""
        return self.service.registry.get_sample_value(name, labels)


@contextmanager
def first_night(server_url: str, authority: Authority, *units: PinnedUnit) -> Iterator[str]:
    """URL of a database as one accepted refresh of ``units`` for A leaves it: for copies, which cost less than refreshes."""

    async def refresh(database_url: str) -> None:
        async with (
            running_detsis(authority, *units) as detsis,
            running_directory(database_url, detsis, "jobs") as directory,
        ):
            await directory.account()
            assert (await directory.refresh()).state == "accepted"

    with fresh_database(server_url) as url:
        asyncio.run(refresh(url))
        yield url


@asynccontextmanager
async def running_directory(
    database_url: str, detsis: Detsis, *parts: str, clock: FixedClock | None = None, **settings: Any
) -> AsyncIterator[Directory]:
    """The service, migrated, with the named background parts running."""
    chosen = Settings.model_validate(setting_values(database_url, detsis.authority, **settings))
    await asyncio.to_thread(bring_up, database_url, "detsis_sync")
    clock = clock or FixedClock(NOW)
    async with AsyncExitStack() as stack:
        service = await build(chosen, clock)
        await stack.enter_async_context(service.resources)
        url = await stack.enter_async_context(serving(service.app))
        client = DirectoryClient(url, chosen.service_tokens["gateway"])
        stack.push_async_callback(client.aclose)
        database = Database(database_url, schema="detsis_sync")
        stack.push_async_callback(database.aclose)
        directory = Directory(service, client, database, clock, detsis, url)
        directory.start(*parts)
        try:
            yield directory
        finally:
            directory.stop.set()
            async with asyncio.timeout(60):
                await asyncio.gather(*directory.parts)
