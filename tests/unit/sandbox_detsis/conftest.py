from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.sandbox.app import build
from services.sandbox.listener import serving
from services.sandbox.settings import Settings
from shared.clock import SystemClock


@dataclass(frozen=True)
class World:
    """A whole sandbox in this process."""

    http: httpx.AsyncClient
    state: Path

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON answer of the control API."""
        answer = await self.http.get(f"/control{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, expect: int = 200, **body: Any) -> Any:
        """The JSON answer to an order."""
        answer = await self.http.post(f"/control{path}", json=body)
        assert answer.status_code == expect, answer.text
        return answer.json()


@asynccontextmanager
async def running_world(state: Path, **settings: Any) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        service = await build(Settings(state_directory=state, detsis_units=200, **settings), SystemClock())
        await stack.enter_async_context(service.resources)
        assert service.port is not None
        await stack.enter_async_context(serving(service.app, "127.0.0.1", service.port))
        base = f"http://127.0.0.1:{service.port}"
        yield World(await stack.enter_async_context(httpx.AsyncClient(base_url=base, trust_env=False)), state)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path / "state") as found:
        yield found


async def until(answer: Callable[[], Awaitable[Any]]) -> Any:
    """Ask again until there is something."""

    async with asyncio.timeout(60):
        while not (found := await answer()):
            await asyncio.sleep(0.01)
    return found
