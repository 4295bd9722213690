"""``kepgw up``: embedded PostgreSQL, migrations, the sandbox and the four services, in one terminal."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from services.cli.api import Api
from services.cli.supervisor.environment import environments, with_authority
from services.cli.supervisor.lock import exclusive
from services.cli.supervisor.postgres import embedded_postgres, service_urls
from services.cli.supervisor.processes import ChildProcess, StartError
from services.cli.supervisor.provisioning import provision, read_world, write_signer_keys
from services.cli.supervisor.state import SERVICES, WITH_DATABASE, StateDirectory, held

Tell = Callable[[str], None]


@dataclass(frozen=True)
class RunningGateway:
    """Everything is up and provisioned."""

    url: str
    world: dict[str, Any]
    keys: dict[str, str]
    """API key of each institution, by DETSİS number."""
    admin_key: str
    ports: dict[str, int]
    state: StateDirectory
    processes: dict[str, ChildProcess]

    def api(self, detsis_no: int) -> Api:
        """The REST API as this institution's EBYS."""
        return Api(self.url, self.keys[str(detsis_no)])

    @property
    def admin(self) -> Api:
        """The REST API as the operator."""
        return Api(self.url, self.admin_key)


@contextlib.asynccontextmanager
async def running(
    state: StateDirectory,
    tell: Tell,
    *,
    preferred_ports: bool,
    database_url: str | None = None,
    supervised: bool = True,
    child: type[ChildProcess] = ChildProcess,
) -> AsyncIterator[RunningGateway]:
    """Start everything in order and stop it in reverse.

    ``database_url`` is a PostgreSQL superuser's, instead of the embedded server. With ``supervised``
    a process that dies is started again; ``child`` starts each. Raises ``StartError`` with the end of
    the log of whatever did not come up, or when another supervisor uses the directory.
    """
    state.root.mkdir(parents=True, exist_ok=True)
    stopping = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        lock = await stack.enter_async_context(exclusive(state.root, tell))
        state.prepare()
        ports = state.ports(preferred=preferred_ports)
        stack.enter_context(held(ports.values()))
        if database_url is None:
            tell("PostgreSQL (embedded)")
            database_url = await stack.enter_async_context(
                embedded_postgres(state.root / "postgres", state.logs / "postgres.log", inherited=(lock,))
            )
        urls = await asyncio.to_thread(service_urls, database_url, state)
        environment = environments(state, ports, urls, log_format="json")
        children = {
            name: child(name, environment[name], state.logs / f"{name}.log", ports[f"{name}_ops"], inherited=(lock,))
            for name in ("sandbox", *SERVICES)
        }
        tell("sandbox (DETSİS, two KEP providers, certificates) and database schemas")
        # One left behind by a killed sandbox would be read before the new one has replaced it.
        state.world_file.unlink(missing_ok=True)
        await children["sandbox"].start()
        stack.push_async_callback(children["sandbox"].stop)
        await _together(
            _furnished(children["sandbox"], children["detsis_sync"], state),
            *(children[name].run_once("--migrate") for name in WITH_DATABASE if name != "detsis_sync"),
        )
        world = read_world(state)
        write_signer_keys(state, world)
        children["signer"].environment = with_authority(children["signer"].environment, world)
        tell("services: " + ", ".join(SERVICES))
        for name in SERVICES:
            await children[name].start()
            stack.push_async_callback(children[name].stop)
        await _together(*(children[name].wait_for("/readyz", 60) for name in SERVICES))
        if supervised:
            watchers = [asyncio.create_task(child.watch(stopping, tell)) for child in children.values()]
            stack.push_async_callback(_end, watchers)
        stack.callback(stopping.set)
        url = f"http://127.0.0.1:{ports['gateway']}"
        admin_key = state.secret("admin_key")
        tell("institutions, mailboxes, DETSİS account, API keys (over the REST API)")
        keys = await asyncio.to_thread(provision, Api(url, admin_key), state, world)
        gateway = RunningGateway(url, world, keys, admin_key, ports, state, children)
        tell("directory: first refresh of the mirror over SOAP")
        await asyncio.to_thread(_wait_for_directory, gateway)
        yield gateway


async def _together(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all; the first that fails ends the others, so that nothing runs on while the rest is taken down."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        await _end(tasks)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _furnished(sandbox: ChildProcess, detsis_sync: ChildProcess, state: StateDirectory) -> None:
    """Wait for the sandbox, then for the schema of the one service whose settings name a file the sandbox makes."""
    await sandbox.wait_for("/readyz", 120)
    await _wait_for_file(state)
    await detsis_sync.run_once("--migrate")


async def _wait_for_file(state: StateDirectory) -> None:
    for _attempt in range(300):
        if state.world_file.exists():
            return
        await asyncio.sleep(0.1)
    raise StartError(f"the sandbox did not write {state.world_file}")


def _wait_for_directory(gateway: RunningGateway, seconds: float = 120) -> None:
    api = gateway.api(int(next(iter(gateway.keys))))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = api.json("GET", "/directory/status")
        if status["freshness"]["snapshot_id"] is not None:
            return
        time.sleep(0.2)
    raise StartError(f"the directory was not filled: {status['last_runs'][:1]}")
