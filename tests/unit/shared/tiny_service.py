"""A service with nothing in it but what ``shared.service`` gives every service; steered by files."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from pydantic import DirectoryPath, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from shared.clock import Clock
from shared.config import CommonSettings
from shared.service import BackgroundPart, Service, main
from shared.telemetry.metrics import new_registry
from shared.telemetry.ops import ReadinessCheck


class Settings(CommonSettings):
    """Where the files are."""

    directory: DirectoryPath = Field(description="Files here steer the service and tell what it does.")


async def build(settings: Settings, clock: Clock) -> Service:
    """One route, one check, one background part that fails the first time."""
    directory = settings.directory

    async def held(_request: Request) -> PlainTextResponse:
        (directory / "entered").touch()
        while not (directory / "release").exists():
            await asyncio.sleep(0.01)
        return PlainTextResponse("finished")

    async def check() -> None:
        if (directory / "slow").exists():
            await asyncio.sleep(60)
        if (directory / "broken").exists():
            raise RuntimeError("the thing is broken")

    async def flaky(stop: asyncio.Event) -> None:
        failed = directory / "failed"
        if not failed.exists():
            failed.touch()
            raise RuntimeError("the first time it fails")
        await stop.wait()
        (directory / "stopped").touch()

    resources = AsyncExitStack()
    resources.callback((directory / "closed").touch)
    return Service(
        name="tiny",
        app=Starlette(routes=[Route("/held", held)]),
        registry=new_registry(),
        checks=[ReadinessCheck("thing", check, timeout_seconds=0.2)],
        background=[BackgroundPart("flaky", flaky)],
        resources=resources,
    )


def migrate(settings: Settings) -> None:
    """Leave a trace."""
    Path(settings.directory / "migrated").touch()


if __name__ == "__main__":
    raise SystemExit(main("tiny", Settings, build, migrate=migrate))
