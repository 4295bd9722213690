"""A whole refresh of a large register, from the first byte to the published difference, beside parsers that do less.

Three processes besides this one: the sandbox's DETSİS with its lists ready on disk, PostgreSQL, and
detsis_sync. Every reference reads the same bytes in the same run.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import psycopg
import zeep
from cryptography.fernet import Fernet
from lxml import etree

from tests.benchmarks.figure import Figure
from tests.support.database import KeptServer
from tests.support.ports import free_port

UNITS = int(os.environ.get("BENCH_UNITS", "300000"))
SAMPLE = UNITS // 10
_WSDL = Path(__file__).parents[2] / "services" / "detsis_sync" / "soap" / "wsdl" / "detsis.wsdl"
_ROW = "{http://kaysis.gov.tr/}KurumBirimWS"
_ROW_END = b"</KurumBirimWS>"
_TOKEN = "benchmark"
_REQUEST = """<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:k="http://kaysis.gov.tr/">
<s:Header><k:BbServiceAuthentication><k:KurumID>{account_id}</k:KurumID><k:Password>{password}</k:Password>
</k:BbServiceAuthentication></s:Header><s:Body><k:YeniDisYazismaYapanlariGetirWs><k:pGun>1</k:pGun><k:pAy>1</k:pAy>
<k:pYil>2010</k:pYil></k:YeniDisYazismaYapanlariGetirWs></s:Body></s:Envelope>"""


@dataclass(frozen=True)
class Refreshed:
    """One refresh as it was seen from outside."""

    seconds: float
    bytes_read: int
    counts: dict[str, int]
    grown_mib: float
    """Peak of resident memory over what the idle process had."""
    stall_ms: float
    cpu: float
    """Seconds of the service's process."""


async def run() -> list[Figure]:
    """First load, a night without news, a night with one per cent of news."""
    with (
        tempfile.TemporaryDirectory(prefix="kepgw-bench-") as directory,
        _sandbox(Path(directory) / "world") as world,
        KeptServer(Path(directory) / "postgres") as server,
    ):
        body = _fetch(world)
        bare_http, bare_memory = _bare_over_http(world), _bare(body)
        by_zeep = _zeep(body) * UNITS / SAMPLE
        size = len(body)
        del body
        with _service(Path(directory), server.superuser_url, world) as service:
            first = service.refresh()
            same = service.refresh()
            _next_day(world, 0.01)
            _fetch(world)  # renders the new day's list, which is the sandbox's work and not ours
            news = service.refresh()
    found = []
    for what, refresh in (
        (f"first load of {UNITS:,} units ({size / 1e6:.0f} MB)", first),
        ("night without news", same),
        (f"night with {_written(news):,} changes", news),
    ):
        scale = refresh.bytes_read / size  # the other lists are bytes too
        found += [
            Figure(f"{what}, fetch to published", f"{refresh.seconds:.1f} s",
                   f"{bare_memory * scale:.1f} s bare lxml pull parse", f"{refresh.seconds / bare_memory / scale:.2f} ×"),
            Figure("  the same", f"{refresh.seconds:.1f} s",
                   f"{bare_http * scale:.1f} s the same over HTTPS", f"{refresh.seconds / bare_http / scale:.2f} ×"),
            Figure("  the same", f"{refresh.seconds:.1f} s",
                   f"{by_zeep * scale:.1f} s zeep, {SAMPLE:,} scaled", f"{by_zeep * scale / refresh.seconds:.1f} × faster"),
            Figure("  peak memory over idle; longest stall of the loop; CPU of the service",
                   f"{refresh.grown_mib:.0f} MiB; {refresh.stall_ms:.0f} ms; {refresh.cpu:.1f} s"),
        ]  # fmt: skip
    return found


def _written(refresh: Refreshed) -> int:
    fates = ("new", "changed", "absent", "returned")
    return sum(number for key, number in refresh.counts.items() if key.partition(".")[2] in fates)


class _Service:
    def __init__(
        self, process: subprocess.Popen[bytes], url: str, stalls: Path, database_url: str, world: dict[str, Any]
    ) -> None:
        self._process = process
        self._database = psycopg.connect(database_url, autocommit=True)
        self._login = world["detsis"]["accounts"][0]
        self._endpoint = world["detsis"]["endpoint"]
        self._http = httpx.Client(
            base_url=f"{url}/internal/v1", headers={"Authorization": f"Bearer {_TOKEN}"}, timeout=60, trust_env=False
        )
        self._stalls = stalls
        self._seen = 0

    def refresh(self) -> Refreshed:
        """One refresh; the first starts by itself."""
        idle = self._memory("VmRSS")
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5", encoding="ascii")
        self._stall()
        cpu_before = self._cpu()
        number = self._login["institution_no"]
        if self._seen:
            self._http.post(f"/accounts/{number}/refreshes").raise_for_status()
        else:
            account = {key: self._login[key] for key in ("institution_no", "account_id", "password")}
            answer = self._http.put(f"/accounts/{number}", json={**account, "endpoint": self._endpoint})
            answer.raise_for_status()
        ended = None
        while ended is None:
            time.sleep(0.1)
            ended = self._database.execute(
                "SELECT run_id, state, reason, counts, extract(epoch FROM finished_at - started_at)::float,"
                " (SELECT sum(bytes_read)::bigint FROM detsis_sync.run_lists l WHERE l.run_id = r.run_id)"
                " FROM detsis_sync.runs r WHERE run_id > %s AND state <> 'running' ORDER BY run_id DESC LIMIT 1",
                [self._seen],
            ).fetchone()
        stall, peak, cpu = self._stall(), self._memory("VmHWM"), self._cpu() - cpu_before
        self._seen, state, reason, counts, seconds, size = ended
        if state != "accepted":
            raise SystemExit(f"the refresh was not accepted: {reason}")
        time.sleep(3)
        return Refreshed(seconds, size, counts, (peak - idle) / 1024, stall, cpu)

    def _memory(self, what: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(what))

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _stall(self) -> float:
        self._stalls.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)
        while not self._stalls.exists():
            time.sleep(0.01)
        return float(self._stalls.read_text(encoding="ascii"))


@contextmanager
def _service(directory: Path, database_url: str, world: dict[str, Any]) -> Iterator[_Service]:
    port, stalls = free_port(), directory / "stalls"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")} | {
        "KEPGW_DETSIS_SYNC_PORT": str(port),
        "KEPGW_DETSIS_SYNC_OPS_PORT": str(free_port()),
        "KEPGW_DETSIS_SYNC_DATABASE_URL": database_url,
        "KEPGW_DETSIS_SYNC_SERVICE_TOKENS": json.dumps({"gateway": _TOKEN}),
        "KEPGW_DETSIS_SYNC_SECRET_KEYS": Fernet.generate_key().decode(),
        "KEPGW_DETSIS_SYNC_DETSIS_CA_FILE": world["tls_ca_file"],
        "KEPGW_DETSIS_SYNC_LOG_LEVEL": "WARNING",
        "KEPGW_DETSIS_SYNC_SCHEDULE_CHECK_SECONDS": "1",
    }
    command = [sys.executable, "-m", "tests.benchmarks.watched_service", str(stalls)]
    subprocess.run([*command, "--migrate"], env=environment, check=True)
    process = subprocess.Popen(command, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        service = _Service(process, url, stalls, database_url, world)
        for _attempt in range(300):
            try:
                httpx.get(url, trust_env=False)
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        time.sleep(5)
        yield service
    finally:
        process.terminate()
        process.wait(timeout=60)


def _request(world: dict[str, Any]) -> tuple[httpx.Client, dict[str, Any]]:
    login = world["detsis"]["accounts"][0]
    headers = {
        "SOAPAction": '"http://kaysis.gov.tr/YeniDisYazismaYapanlariGetirWs"',
        "Content-Type": "text/xml; charset=utf-8",
    }
    client = httpx.Client(verify=ssl.create_default_context(cafile=world["tls_ca_file"]), trust_env=False, timeout=600)
    return client, {"url": world["detsis"]["endpoint"], "content": _REQUEST.format(**login), "headers": headers}


def _fetch(world: dict[str, Any]) -> bytes:
    client, request = _request(world)
    with client:
        return client.post(**request).raise_for_status().content


def _bare_over_http(world: dict[str, Any]) -> float:
    client, request = _request(world)
    begun = time.perf_counter()
    with client, client.stream("POST", **request) as answer:
        _pull(answer.raise_for_status().iter_bytes(64 * 1024))
    return time.perf_counter() - begun


def _bare(body: bytes) -> float:
    begun = time.perf_counter()
    _pull(body[start : start + 64 * 1024] for start in range(0, len(body), 64 * 1024))
    return time.perf_counter() - begun


def _pull(chunks: Iterator[bytes]) -> None:
    """The least that reads a list in constant memory: the rows' ends, and nothing done with them."""
    parser = etree.XMLPullParser(("end",), tag=_ROW, resolve_entities=False, no_network=True)
    for chunk in chunks:
        parser.feed(chunk)
        for _event, element in parser.read_events():
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]
    parser.close()


def _zeep(body: bytes) -> float:
    """Seconds of one zeep reply with ``SAMPLE`` units."""
    end = 0
    for _row in islice(iter(int, 1), SAMPLE):
        end = body.index(_ROW_END, end) + len(_ROW_END)
    tail = body[body.rindex(_ROW_END) + len(_ROW_END) :]
    answer = _Answer(body[:end] + tail)
    client = zeep.Client(str(_WSDL), settings=zeep.Settings(xml_huge_tree=True))
    binding = next(iter(client.wsdl.bindings.values()))
    operation = binding.get("YeniDisYazismaYapanlariGetirWs")
    begun = time.perf_counter()
    result = binding.process_reply(client, operation, answer)
    took = time.perf_counter() - begun
    if len(result["Sonuclar"]["KurumBirimWS"]) != SAMPLE:
        raise SystemExit("zeep did not read the sample")
    return took


class _Answer:
    """What zeep wants to see of an HTTP answer."""

    status_code = 200
    encoding = "utf-8"

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.headers = {"Content-Type": "text/xml; charset=utf-8"}


def _next_day(world: dict[str, Any], share: float) -> None:
    order = {"days": 1, "share": share}
    url = f"{world['control_url']}/control/detsis/days"
    httpx.post(url, json=order, timeout=600, trust_env=False).raise_for_status()


@contextmanager
def _sandbox(directory: Path) -> Iterator[dict[str, Any]]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")} | {
        "KEPGW_SANDBOX_STATE_DIRECTORY": str(directory),
        "KEPGW_SANDBOX_DETSIS_UNITS": str(UNITS),
        "KEPGW_SANDBOX_DETSIS_EXTERNAL_SHARE": "1",
        "KEPGW_SANDBOX_DETSIS_DAILY_SHARE": "0",
    }
    process = subprocess.Popen([sys.executable, "-m", "services.sandbox"], env=environment, stderr=subprocess.DEVNULL)
    try:
        for _attempt in range(1200):
            if (directory / "world.json").exists():
                break
            time.sleep(0.1)
        yield json.loads((directory / "world.json").read_text(encoding="utf-8"))
    finally:
        process.terminate()
        process.wait(timeout=60)
