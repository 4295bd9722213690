"""detsis_sync as a process: killed in the middle of a refresh, truthful about its database, stopped by SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from services.sandbox.detsis.register import PinnedUnit
from shared.clients.directory import DirectoryClient
from shared.contracts.directory import RegisterAccount
from shared.db.migrate import migrate
from shared.db.session import Database
from tests.support.detsis import KEY, PASSWORD, TOKEN, A, B, Detsis, running_detsis, running_directory
from tests.support.ports import free_port
from tests.unit.detsis_soap.conftest import Authority, make_authority

ROOT = Path(__file__).parents[2]
ADDRESSES = "AktifKEPAdresleriniGetir"
UNITS = (
    PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address="a@hs91.kep.example"),
    PinnedUnit(B, "ÖRNEK B KURUMU BAŞKANLIĞI", kep_address="b@hs92.kep.example"),
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def detsis(authority: Authority) -> AsyncIterator[Detsis]:
    async with running_detsis(authority, *UNITS) as found:
        yield found


class Process:
    """The service in a process of its own."""

    def __init__(self, running: asyncio.subprocess.Process, port: int, ops_port: int) -> None:
        self.running = running
        self.client = DirectoryClient(f"http://127.0.0.1:{port}", SecretStr(TOKEN))
        self._ops = f"http://127.0.0.1:{ops_port}"

    async def readiness(self) -> tuple[int, dict[str, str]]:
        """Status and checks; (0, {}) while nobody answers."""
        async with httpx.AsyncClient() as http:
            try:
                response = await http.get(f"{self._ops}/readyz")
            except httpx.TransportError:
                return 0, {}
        return response.status_code, response.json()["checks"]

    async def until(self, status: int) -> dict[str, str]:
        """Wait for this status of /readyz; returns the checks."""
        async with asyncio.timeout(60):
            while (found := await self.readiness())[0] != status:
                assert self.running.returncode is None
                await asyncio.sleep(0.05)
        return found[1]


@asynccontextmanager
async def running_process(database_url: str, authority: Authority) -> AsyncIterator[Process]:
    port, ops_port = free_port(), free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")} | {
        "KEPGW_DETSIS_SYNC_PORT": str(port),
        "KEPGW_DETSIS_SYNC_OPS_PORT": str(ops_port),
        "KEPGW_DETSIS_SYNC_DATABASE_URL": database_url,
        "KEPGW_DETSIS_SYNC_SECRET_KEYS": KEY,
        "KEPGW_DETSIS_SYNC_DETSIS_CA_FILE": str(authority.ca_file),
        "KEPGW_DETSIS_SYNC_SCHEDULE_CHECK_SECONDS": "0.05",
        "KEPGW_SERVICE_TOKENS": json.dumps({"gateway": TOKEN}),
    }
    command = (sys.executable, "-m", "services.detsis_sync")
    process = Process(
        await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        ),
        port,
        ops_port,
    )
    try:
        yield process
    finally:
        await process.client.aclose()
        if process.running.returncode is None:
            process.running.kill()
        await process.running.wait()


async def migrated(database_url: str) -> str:
    database = Database(database_url, schema="detsis_sync")
    await asyncio.to_thread(migrate, database, package="detsis_sync", with_jobs=True)
    await database.aclose()
    return database_url


def account(detsis: Detsis) -> RegisterAccount:
    return RegisterAccount(institution_no=A, account_id=str(A), endpoint=detsis.endpoint, password=PASSWORD)


async def test_a_refresh_killed_midway_leaves_the_mirror_as_it_was_and_is_taken_up_again(
    database_url: str, authority: Authority, detsis: Detsis
) -> None:
    async with running_process(await migrated(database_url), authority) as process:
        await process.until(200)
        with detsis.holding(ADDRESSES) as asked:  # both lists of units have been staged by then
            await process.client.put_account(account(detsis))
            await asyncio.wait_for(asked.wait(), 60)
            process.running.kill()
            await process.running.wait()
    async with running_directory(database_url, detsis, "jobs", "schedule") as directory:
        (run,) = (await directory.client.status()).last_runs
        assert run.state == "running"
        async with directory.database.reading() as session:
            assert await session.scalar(text("SELECT count(*) FROM units")) == 0
            assert await session.scalar(text("SELECT count(*) FROM unit_sightings")) == 0
        assert (await directory.ended(run.run_id)).state == "accepted"
        async with directory.database.reading() as session:
            assert await session.scalar(text("SELECT count(*) FROM units")) == 2


async def test_ready_only_with_a_migrated_database_that_answers(database_url: str, authority: Authority) -> None:
    async with running_process(database_url, authority) as process:
        assert "run --migrate" in (await process.until(503))["database"]
        await migrated(database_url)
        await process.until(200)
        name = database_url.rpartition("/t_")[2].partition("?")[0]
        server = database_url.replace(f"/t_{name}", "/postgres")
        with psycopg.connect(server, autocommit=True) as administrator:
            administrator.execute(f'ALTER DATABASE "t_{name}" ALLOW_CONNECTIONS false')
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (f"t_{name}",)
            )
            assert "database cannot do its work" in (await process.until(503))["database"]
            administrator.execute(f'ALTER DATABASE "t_{name}" ALLOW_CONNECTIONS true')
        await process.until(200)


async def test_sigterm_ends_it_in_peace(database_url: str, authority: Authority, detsis: Detsis) -> None:
    async with running_process(await migrated(database_url), authority) as process:
        await process.until(200)
        await process.client.put_account(account(detsis))
        async with asyncio.timeout(60):
            while (await process.client.status()).freshness.snapshot_id is None:
                await asyncio.sleep(0.02)
        process.running.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.running.wait(), 60) == 0
