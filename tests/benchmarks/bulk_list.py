"""CPU time of the bulk reader over TLS, beside the same fetch with a bare lxml pull parse; the sandbox is another process."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx
from lxml import etree
from pydantic import SecretStr

from services.detsis_sync.soap.account import DetsisAccount, DetsisHttpSettings
from services.detsis_sync.soap.client import DetsisClient
from shared.clock import SystemClock
from shared.domain.identifiers import DetsisNumber
from tests.benchmarks.figure import Figure

UNITS = 100_000
_REQUEST = """<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:k="http://kaysis.gov.tr/">
<s:Header><k:BbServiceAuthentication><k:KurumID>{account_id}</k:KurumID><k:Password>{password}</k:Password>
</k:BbServiceAuthentication></s:Header><s:Body><k:YeniDisYazismaYapanlariGetirWs><k:pGun>1</k:pGun><k:pAy>1</k:pAy>
<k:pYil>2010</k:pYil></k:YeniDisYazismaYapanlariGetirWs></s:Body></s:Envelope>"""


async def run() -> list[Figure]:
    """Read the external list once each way, the reference first."""
    with tempfile.TemporaryDirectory(prefix="kepgw-bench-") as directory, _sandbox(Path(directory)) as world:
        bare, size = await asyncio.to_thread(_bare, world)
        login = world["detsis"]["accounts"][0]
        account = DetsisAccount(
            DetsisNumber(login["institution_no"]), login["account_id"], SecretStr(login["password"]),
            world["detsis"]["endpoint"],
        )  # fmt: skip
        rows, begun = 0, time.process_time()
        async with (
            DetsisClient(account, DetsisHttpSettings(ca_file=Path(world["tls_ca_file"])), SystemClock()) as client,
            client.external_units(date(2010, 1, 1)) as answer,
        ):
            async for batch in answer:
                rows += len(batch)
        reading = time.process_time() - begun
    what = f"bulk list of {rows:,} units ({size / 1e6:.0f} MB), typed rows"
    return [
        Figure(what, f"{reading:.2f} s CPU", f"{bare:.2f} s CPU fetch + bare pull parse", f"{reading / bare:.2f} ×")
    ]


def _bare(world: dict[str, Any]) -> tuple[float, int]:
    login = world["detsis"]["accounts"][0]
    context = ssl.create_default_context(cafile=world["tls_ca_file"])
    headers = {
        "SOAPAction": '"http://kaysis.gov.tr/YeniDisYazismaYapanlariGetirWs"',
        "Content-Type": "text/xml; charset=utf-8",
    }
    size, begun = 0, time.process_time()
    parser = etree.XMLPullParser(("end",), resolve_entities=False, no_network=True)
    with (
        httpx.Client(verify=context, trust_env=False, timeout=60) as client,
        client.stream("POST", world["detsis"]["endpoint"], content=_REQUEST.format(**login), headers=headers) as answer,
    ):
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            size += len(chunk)
            parser.feed(chunk)
            for _event, element in parser.read_events():
                if element.tag.endswith("}KurumBirimWS"):
                    element.clear()
                    while element.getprevious() is not None:
                        del element.getparent()[0]
    return time.process_time() - begun, size


@contextmanager
def _sandbox(directory: Path) -> Iterator[dict[str, Any]]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")}
    environment |= {"KEPGW_SANDBOX_STATE_DIRECTORY": str(directory), "KEPGW_SANDBOX_DETSIS_UNITS": str(UNITS)}
    process = subprocess.Popen([sys.executable, "-m", "services.sandbox"], env=environment, stderr=subprocess.DEVNULL)
    try:
        for _attempt in range(600):
            if (directory / "world.json").exists():
                break
            time.sleep(0.1)
        yield json.loads((directory / "world.json").read_text(encoding="utf-8"))
    finally:
        process.terminate()
        process.wait(timeout=30)
