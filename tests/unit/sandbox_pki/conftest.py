from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from services.sandbox.app import open_pki
from services.sandbox.clock import ShiftedClock
from services.sandbox.control import control_routes
from services.sandbox.faults import FaultBoard
from services.sandbox.furnishing import describe
from services.sandbox.listener import serving
from services.sandbox.pki.routes import pki_routes
from services.sandbox.pki.store import Pki
from services.sandbox.planning import plan_world
from services.sandbox.settings import Settings
from services.sandbox.world import WorldPlan
from shared.clock import SystemClock


@dataclass(frozen=True)
class Sandbox:
    plan: WorldPlan
    pki: Pki
    clock: ShiftedClock
    faults: FaultBoard
    http: httpx.AsyncClient


OpenSsl = Callable[..., Awaitable[str]]


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> WorldPlan:
    return plan_world(Settings(state_directory=tmp_path_factory.mktemp("sandbox")))


@pytest.fixture(scope="session")
def pki(plan: WorldPlan) -> Pki:
    return open_pki(plan, SystemClock())


@pytest.fixture
async def sandbox(plan: WorldPlan, pki: Pki) -> AsyncIterator[Sandbox]:
    """Control API and PKI on the port that the certificates point at; faults and clock are new for each test."""
    clock, faults = ShiftedClock(SystemClock()), FaultBoard()
    world = describe(plan, pki, detsis_path="/DETSISServis.asmx", soap_path="/eyws")
    app = FastAPI()
    app.include_router(control_routes(lambda: world, clock, faults, pki))
    app.include_router(pki_routes(pki, faults))
    async with (
        serving(app, plan.host, plan.control_port),
        httpx.AsyncClient(base_url=plan.control_url, trust_env=False) as http,
    ):
        yield Sandbox(plan, pki, clock, faults, http)


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSsl:
    """Run the openssl command in ``tmp_path``; returns what it printed, raises on any other exit code than 0."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not on PATH")

    async def run(*arguments: str | Path, expect: int = 0) -> str:
        process = await asyncio.create_subprocess_exec(
            program,
            *map(str, arguments),
            cwd=tmp_path,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), timeout=20)
        assert process.returncode == expect, output.decode()
        return output.decode()

    return run
