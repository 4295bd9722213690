"""``make run`` and ``make demo``: a running gateway, and one letter sent through all of it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import httpx

from services.cli import output
from services.cli.journey import Correspondents, Journey, JourneyError, play, read_package
from services.cli.supervisor.provisioning import members
from services.cli.supervisor.state import StateDirectory
from services.cli.supervisor.up import RunningGateway, running


async def demonstrate(root: Path, package_file: Path | None, *, database_url: str | None) -> int:
    """Start, send one letter, stop. Returns 0 only if all of it held."""
    async with running(
        StateDirectory(root), output.progress, preferred_ports=False, database_url=database_url
    ) as gateway:
        journey = await _play(gateway, package_file)
    if journey is None:
        return 1
    _last_line(journey)
    return 0


async def serve(root: Path, package_file: Path | None, *, database_url: str | None) -> int:
    """Start, send one letter, and serve until Ctrl-C or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    starting = asyncio.ensure_future(_serve_until(stop, root, package_file, database_url))
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        # A first Ctrl-C ends the serving in order; one while still starting ends that.
        await asyncio.wait({starting}, timeout=60)
    stopped.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait({starting})
        return 130
    return starting.result()


async def _serve_until(stop: asyncio.Event, root: Path, package_file: Path | None, database_url: str | None) -> int:
    async with running(
        StateDirectory(root), output.progress, preferred_ports=True, database_url=database_url
    ) as gateway:
        journey = await _play(gateway, package_file) if not stop.is_set() else None
        if journey is not None:
            _last_line(journey)
        _addresses(gateway)
        await stop.wait()
        output.progress("stopping")
    return 0 if journey is not None else 1


async def _play(gateway: RunningGateway, package_file: Path | None) -> Journey | None:
    sender, recipient = members(gateway.world)[:2]
    try:
        if package_file is not None:
            package, filename = read_package(package_file), package_file.name
        else:
            output.progress("a sample package, signed and sealed by the sandbox's institution A")
            package, filename = await asyncio.to_thread(
                sample_package, gateway.world["control_url"], sender["detsis_no"], recipient["detsis_no"]
            )
        who = Correspondents(
            gateway.api(sender["detsis_no"]), sender["detsis_no"],
            gateway.api(recipient["detsis_no"]), recipient["detsis_no"], recipient["name"],
        )  # fmt: skip
        journey = await asyncio.to_thread(play, who, package, filename, output.progress)
    except JourneyError as error:
        output.failure(f"the letter did not arrive: {error}")
        output.say(f"logs: {gateway.state.logs}")
        for child in gateway.processes.values():
            output.say(f"--- {child.name}\n{child.log_tail()}")
        return None
    output.journey_table(journey)
    return journey


def sample_package(control_url: str, sender_no: int, recipient_no: int) -> tuple[bytes, str]:
    """A fresh package from the sandbox, which plays the EBYS that writes, signs and seals it."""
    answer = httpx.post(
        f"{control_url}/control/packages",
        json={"sender_no": sender_no, "recipient_nos": [recipient_no]},
        timeout=60,
        trust_env=False,
    )
    if answer.is_error:
        raise JourneyError(f"the sandbox made no package: {answer.text[:500]}")
    return answer.content, answer.headers["X-Package-Filename"]


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
    output.say(f"logs            {gateway.state.logs}")
    output.say("Ctrl-C stops everything; the state directory keeps it for the next start.")
