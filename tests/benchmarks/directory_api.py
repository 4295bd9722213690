"""Look-ups and searches of a large mirror through gateway and detsis_sync, beside a bare FastAPI app that returns the same JSON.

The mirror is filled by COPY, not by a refresh. Four processes besides this one: PostgreSQL, detsis_sync, gateway,
and the bare app, which holds every answer in memory ready to be written out as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import httpx
from cryptography.fernet import Fernet

from tests.benchmarks.figure import Figure
from tests.benchmarks.filled_mirror import fill
from tests.support.database import KeptServer
from tests.support.ports import free_port

UNITS = int(os.environ.get("BENCH_UNITS", "300000"))
LOOKUPS, SEARCHES = 1000, 100
CLIENTS = 8
_ADMIN_KEY = "kepgw_benchmark_" + "b" * 40
_READY_SECONDS = 60


async def run() -> list[Figure]:
    """Fill, start, ask each way: one caller for the time of an answer, several for the rate."""
    with (
        tempfile.TemporaryDirectory(prefix="kepgw-bench-") as place,
        KeptServer(Path(place) / "postgres") as server,
        _services(Path(place), server.superuser_url) as (url, key),
    ):
        numbers, searches = fill(server.superuser_url, UNITS, searches=SEARCHES, seed=7)
        await _vocabulary_read(url, key)
        random.Random(1).shuffle(numbers)
        lookups = [f"/v1/directory/units/{number}" for number in numbers[:LOOKUPS]]
        asked = {
            kind: [f"/v1/directory/units?q={quote(query)}" for query in queries] for kind, queries in searches.items()
        }
        mixed = [path for paths in zip(*asked.values(), strict=True) for path in paths]
        answers = await _collect(url, key, [*lookups, *mixed])
        with _bare(Path(place), answers) as bare_url:
            found = [
                *await _compared("look-up of a unit", url, bare_url, key, lookups),
                *await _compared(f"search, {len(asked)} kinds mixed", url, bare_url, key, mixed),
            ]
        for kind, paths in asked.items():
            took = await _timed(url, key, paths, clients=1)
            hits = sum(len(json.loads(answers[path])["units"]) for path in paths) / len(paths)
            found.append(Figure(f"  {kind} ({hits:.0f} hits a page)", _quantiles(took)))
    return found


async def _compared(what: str, url: str, bare_url: str, key: str, paths: Sequence[str]) -> list[Figure]:
    bare, ours = await _timed(bare_url, key, paths, clients=1), await _timed(url, key, paths, clients=1)
    bare_rate, rate = await _rate(bare_url, key, paths), await _rate(url, key, paths)
    medians = ours[len(ours) // 2] / bare[len(bare) // 2]
    return [
        Figure(
            f"{what} in {UNITS:,}, p50 / p99", _quantiles(ours), f"{_quantiles(bare)} bare FastAPI", f"{medians:.1f} ×"
        ),
        Figure(
            f"  the same, {CLIENTS} callers at once", f"{rate:.0f}/s", f"{bare_rate:.0f}/s bare FastAPI",
            f"{rate / bare_rate:.2f}",
        ),
    ]  # fmt: skip


def _quantiles(took: Sequence[float]) -> str:
    return f"{took[len(took) // 2] * 1000:.1f} / {took[len(took) * 99 // 100] * 1000:.1f} ms"


async def _rate(url: str, key: str, paths: Sequence[str]) -> float:
    begun = time.perf_counter()
    await _timed(url, key, paths, clients=CLIENTS)
    return len(paths) / (time.perf_counter() - begun)


async def _timed(url: str, key: str, paths: Sequence[str], *, clients: int) -> list[float]:
    """Seconds of each answer, sorted."""
    waiting, took = iter(paths), []

    async def ask() -> None:
        async with _connected(url, key) as caller:
            for path in waiting:
                begun = time.perf_counter()
                await caller.get(path)
                took.append(time.perf_counter() - begun)

    await asyncio.gather(*(ask() for _ in range(clients)))
    return sorted(took)


async def _collect(url: str, key: str, paths: Sequence[str]) -> dict[str, bytes]:
    async with _connected(url, key) as caller:
        return {path: await caller.get(path) for path in paths}


class _Caller:
    """HTTP/1.1 on one connection with next to no work of its own, so that it is not what is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, key: str) -> None:
        self._reader, self._writer = reader, writer
        self._head = f" HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: {key}\r\n\r\n"

    async def get(self, path: str) -> bytes:
        """The body of a 200."""
        self._writer.write(f"GET {path}{self._head}".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if b" 200 " not in head[:20]:
            raise SystemExit(f"{path}: {body[:500]!r}")
        return body


@asynccontextmanager
async def _connected(url: str, key: str) -> AsyncIterator[_Caller]:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield _Caller(reader, writer, f"{host}:{port}", key)
    finally:
        writer.close()


async def _vocabulary_read(url: str, key: str) -> None:
    """Wait until words with typing errors are corrected."""
    deadline = time.monotonic() + _READY_SECONDS
    async with _connected(url, key) as caller:
        while not json.loads(await caller.get("/v1/directory/units?q=mudrulugu"))["corrections"]:
            if time.monotonic() > deadline:
                raise SystemExit("detsis_sync did not read the words of the mirror")
            await asyncio.sleep(0.2)


@contextmanager
def _services(directory: Path, database_url: str) -> Iterator[tuple[str, str]]:
    """detsis_sync and gateway on one database; the gateway's address and a key that may read the directory."""
    ports = {name: free_port() for name in ("gateway", "gateway_ops", "detsis_sync", "detsis_sync_ops")}
    nowhere = f"http://127.0.0.1:{free_port()}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEPGW_")} | {
        "KEPGW_DATABASE_URL": database_url,
        "KEPGW_SERVICE_TOKENS": json.dumps({"gateway": "benchmark"}),
        "KEPGW_LOG_LEVEL": "WARNING",
        "KEPGW_DETSIS_SYNC_PORT": str(ports["detsis_sync"]),
        "KEPGW_DETSIS_SYNC_OPS_PORT": str(ports["detsis_sync_ops"]),
        "KEPGW_DETSIS_SYNC_SECRET_KEYS": Fernet.generate_key().decode(),
        "KEPGW_DETSIS_SYNC_SCHEDULE_CHECK_SECONDS": "1",
        "KEPGW_GATEWAY_PORT": str(ports["gateway"]),
        "KEPGW_GATEWAY_OPS_PORT": str(ports["gateway_ops"]),
        "KEPGW_GATEWAY_DETSIS_SYNC_URL": f"http://127.0.0.1:{ports['detsis_sync']}",
        "KEPGW_GATEWAY_KEP_RELAY_URL": nowhere,
        "KEPGW_GATEWAY_SIGNER_URL": nowhere,
        "KEPGW_GATEWAY_SPOOL_DIRECTORY": str(directory / "spool"),
        "KEPGW_GATEWAY_BLOB_STORE_URL": f"file://{directory / 'blobs'}",
        "KEPGW_GATEWAY_BOOTSTRAP_ADMIN_KEY": _ADMIN_KEY,
        "KEPGW_GATEWAY_REQUESTS_PER_SECOND": "100000",
        "KEPGW_GATEWAY_REQUEST_BURST": "1000000",
    }
    for name in ("detsis_sync", "gateway"):
        subprocess.run([sys.executable, "-m", f"services.{name}", "--migrate"], env=environment, check=True)
    url = f"http://127.0.0.1:{ports['gateway']}"
    with (
        _process(["services.detsis_sync"], f"http://127.0.0.1:{ports['detsis_sync_ops']}/readyz", environment),
        _process(["services.gateway"], f"http://127.0.0.1:{ports['gateway_ops']}/readyz", environment),
    ):
        answer = httpx.post(
            f"{url}/v1/api-keys", headers={"X-Api-Key": _ADMIN_KEY}, trust_env=False,
            json={"client_id": "benchmark", "scopes": ["directory:read"], "institutions": []},
        )  # fmt: skip
        yield url, answer.raise_for_status().json()["key"]


@contextmanager
def _bare(directory: Path, answers: dict[str, bytes]) -> Iterator[str]:
    file, port = directory / "answers.json", free_port()
    file.write_text(json.dumps({path: json.loads(body) for path, body in answers.items()}), encoding="utf-8")
    url = f"http://127.0.0.1:{port}"
    with _process(["tests.benchmarks.bare_directory", str(port), str(file)], url, None):
        yield url


@contextmanager
def _process(command: Sequence[str], ready_url: str, environment: dict[str, str] | None) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", *command], env=environment)
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(httpx.HTTPError):
                if httpx.get(ready_url, trust_env=False).status_code < 500:
                    break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)
