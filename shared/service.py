"""Runs one service: HTTP interface, operator's interface and background parts in one asyncio process."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from shared.clock import Clock, SystemClock
from shared.config import ConfigurationError, SettingsT, load_settings
from shared.telemetry.logging import configure_logging
from shared.telemetry.metrics import BackgroundMetrics
from shared.telemetry.ops import ReadinessCheck, ops_app

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class BackgroundPart:
    """Something that runs beside the HTTP interface until ``stop`` is set; restarted when it fails."""

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]


@dataclass
class Service:
    """What a service's ``app.build`` wires together."""

    name: str
    app: ASGIApp
    registry: CollectorRegistry
    checks: Sequence[ReadinessCheck] = ()
    background: Sequence[BackgroundPart] = ()
    resources: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Closed last, after the interfaces and the background parts have stopped."""
    port: int | None = None
    """Listen here instead of on the setting's port: for a port the service itself has to keep across starts."""


Build = Callable[[SettingsT, Clock], Awaitable[Service]]
Migrate = Callable[[SettingsT], None]


def main(
    name: str,
    settings_class: type[SettingsT],
    build: Build[SettingsT],
    *,
    migrate: Migrate[SettingsT] | None = None,
    argv: Sequence[str] | None = None,
) -> int:
    """Entry point of every ``python -m services.<name>``; returns the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{name}")
    parser.add_argument("--check-config", action="store_true", help="list every fault in the settings and exit")
    if migrate is not None:
        parser.add_argument("--migrate", action="store_true", help="bring the database schema up to date and exit")
    arguments = parser.parse_args(argv)
    try:
        settings = load_settings(settings_class, service=name, environ=os.environ)
    except ConfigurationError as error:
        for fault in error.faults:
            print(f"{name}: {fault}", file=sys.stderr)  # noqa: T201 - there is no logger yet
        return 2
    if arguments.check_config:
        print(f"{name}: configuration is complete")  # noqa: T201
        return 0
    configure_logging(name, level=settings.log_level, log_format=settings.log_format)
    if migrate is not None and arguments.migrate:
        migrate(settings)
        return 0
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(serve(settings, build, SystemClock()))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    import uvloop

    return uvloop.new_event_loop


class _Server(uvicorn.Server):
    """uvicorn with the signals left to us: two servers and a worker stop in one order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: SettingsT, build: Build[SettingsT], clock: Clock) -> int:
    """Run until SIGTERM or SIGINT, then finish what is in hand within ``shutdown_seconds``."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = await build(settings, clock)
    _make_routes(service.app)
    # All of this lives as long as the process: a full collection would walk it and hold the event loop for 0.1 s.
    gc.collect()
    gc.freeze()
    async with service.resources:
        ops = _server(
            ops_app(service.registry, service.checks, stopping=stop.is_set), settings.ops_host, settings.ops_port, 3
        )
        port = settings.port if service.port is None else service.port
        api = _server(service.app, settings.host, port, settings.shutdown_seconds)
        metrics = BackgroundMetrics(service.registry)
        ops_task = asyncio.create_task(ops.serve(), name="ops")
        api_task = asyncio.create_task(api.serve(), name="api")
        parts = [asyncio.create_task(_keep_running(part, stop, metrics), name=part.name) for part in service.background]
        log.info("started", port=port, ops_port=settings.ops_port)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, api_task, ops_task}, return_when=asyncio.FIRST_COMPLETED)
        failed = not stop.is_set()
        stop.set()
        log.info("stopping", because="an interface ended" if failed else "signal")
        api.should_exit = True
        await _finish([api_task, *parts], settings.shutdown_seconds)
        ops.should_exit = True
        await _finish([ops_task], 5)
        stopped.cancel()
    log.info("stopped")
    return 1 if failed else 0


def _make_routes(app: ASGIApp) -> None:
    """Let FastAPI make its routes now: it would with the first request, and hold the event loop for 0.2 s."""
    if isinstance(app, FastAPI):
        for route in app.routes:
            route.matches({"type": "http", "method": "GET", "path": "/", "headers": []})


def _server(app: ASGIApp, host: str, port: int, graceful_seconds: float) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http="httptools",
            loop="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=max(1, int(graceful_seconds)),
            timeout_keep_alive=30,
        )
    )


async def _keep_running(part: BackgroundPart, stop: asyncio.Event, metrics: BackgroundMetrics) -> None:
    delay = 1.0
    running, restarts = metrics.running.labels(part.name), metrics.restarts.labels(part.name)
    while not stop.is_set():
        started = asyncio.get_running_loop().time()
        running.set(1)
        try:
            await part.run(stop)
            if stop.is_set():
                break
            log.error("background_part_ended", part=part.name)
        except Exception:
            log.exception("background_part_failed", part=part.name)
        running.set(0)
        restarts.inc()
        if asyncio.get_running_loop().time() - started > 60:
            delay = 1.0
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), delay)
        delay = min(delay * 2, 30.0)
    running.set(0)


async def _finish(tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
    _done, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        log.warning("cut_off", part=task.get_name())
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
