"""``make run`` and ``make demo``: a running gateway, and one letter sent through all of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx

from services.cli import output
from services.cli.composing import Composition
from services.cli.journey import Correspondents, Journey, JourneyError, Package, play
from services.cli.supervisor.provisioning import members
from services.cli.supervisor.state import StateDirectory
from services.cli.supervisor.up import RunningGateway, running
from shared.clock import SystemClock

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM, unless everything was up and stopping is what was wanted."""


async def demonstrate(root: Path, package_file: Path | None, *, database_url: str | None) -> int:
    """Start, send one letter, stop. Returns 0 only if all of it held."""
    return await _interruptible(_demonstrate(root, package_file, database_url))


async def serve(root: Path, package_file: Path | None, *, database_url: str | None) -> int:
    """Start, send one letter, and serve until Ctrl-C or SIGTERM."""
    return await _interruptible(_serve(root, package_file, database_url))


async def _interruptible(work: Coroutine[Any, Any, int]) -> int:
    """Run ``work``; a signal cancels what it is waiting for, and so does each further one."""
    task = asyncio.ensure_future(work)

    def interrupt() -> None:
        output.progress("stopping (once more cuts off what is waited for)")
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        return INTERRUPTED


async def _demonstrate(root: Path, package_file: Path | None, database_url: str | None) -> int:
    async with running(
        StateDirectory(root), output.progress, preferred_ports=False, database_url=database_url
    ) as gateway:
        journey = await _play(gateway, package_file)
    if journey is None:
        return 1
    _last_line(journey)
    return 0


async def _serve(root: Path, package_file: Path | None, database_url: str | None) -> int:
    async with running(
        StateDirectory(root), output.progress, preferred_ports=True, database_url=database_url
    ) as gateway:
        journey = await _play(gateway, package_file)
        if journey is not None:
            _last_line(journey)
        _addresses(gateway)
        await _until_interrupted()
    return 0 if journey is not None else 1


async def _until_interrupted() -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()


async def _play(gateway: RunningGateway, package_file: Path | None) -> Journey | None:
    sender, recipient = members(gateway.world)[:2]
    try:
        letter: Package | Composition
        if package_file is not None:
            letter = Package(package_file, package_file.name)
        else:
            output.progress("institution A's document system writes a letter, step by step over REST")
            letter = Composition(smart_card(gateway, int(sender["detsis_no"])), SystemClock(), gateway.state.sample)
        who = Correspondents(
            gateway.api(sender["detsis_no"]), sender["detsis_no"],
            gateway.api(recipient["detsis_no"]), recipient["detsis_no"], recipient["name"], sender["name"],
        )  # fmt: skip
        journey = await asyncio.to_thread(play, who, letter, output.progress)
    except JourneyError as error:
        output.failure(f"the letter did not arrive: {error}")
        if not error.refused:
            output.say(f"logs: {gateway.state.logs}")
            for child in gateway.processes.values():
                output.say(f"--- {child.name}\n{child.log_tail()}")
        return None
    output.journey_table(journey)
    return journey


def smart_card(gateway: RunningGateway, sender_no: int) -> Callable[[bytes], bytes]:
    """Signs bytes as a person of the institution: the sandbox plays the card. The function raises ``JourneyError``."""

    def sign(content: bytes) -> bytes:
        try:
            answer = httpx.post(
                f"{gateway.world['control_url']}/control/signatures",
                params={"sender_no": sender_no},
                content=content,
                headers={"Content-Type": "application/octet-stream"},
                timeout=60,
                trust_env=False,
            )
        except httpx.HTTPError as error:
            raise JourneyError(f"the sandbox signed nothing: {error}") from error
        if answer.is_error:
            raise JourneyError(f"the sandbox signed nothing: {answer.text[:500]}")
        return answer.content

    return sign


def _last_line(journey: Journey) -> None:
    codes = ",".join(map(str, journey.evidence))
    output.say(f"DEMO ok sha256={journey.sha256} state={journey.state} evidence={codes}")


def _addresses(gateway: RunningGateway) -> None:
    output.say("")
    output.say(f"REST API        {gateway.url}/v1")
    output.say(f"documentation   {gateway.url}/docs   {gateway.url}/redoc")
    for name in ("gateway", "kep_relay", "detsis_sync", "signer", "sandbox"):
        port = gateway.ports[f"{name}_ops"]
        output.say(f"metrics         http://127.0.0.1:{port}/metrics   ({name}; /readyz, /livez)")
    output.say(f"sandbox         {gateway.world['docs_url']}   (control: faults, clock, mailboxes)")
    for item in members(gateway.world):
        output.say(f"API key         {gateway.keys[str(item['detsis_no'])]}   {item['detsis_no']} {item['name']}")
    output.say(f"admin key       {gateway.state.secrets / 'admin_key'}")
    if gateway.state.sample.exists():
        output.say(f"sample package  {gateway.state.sample}")
    output.say(f"logs            {gateway.state.logs}")
    output.say("Ctrl-C stops everything; the state directory keeps it for the next start.")
