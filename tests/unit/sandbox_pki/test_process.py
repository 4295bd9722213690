"""The whole sandbox as the process that users start."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from services.sandbox.world import WorldDocument

ROOT = Path(__file__).parents[3]


@contextmanager
def running(state: Path) -> Iterator[WorldDocument]:
    """``python -m services.sandbox`` from the moment ``world.json`` is there until SIGTERM has ended it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")}
    environment |= {"KEPGW_SANDBOX_STATE_DIRECTORY": str(state), "KEPGW_SANDBOX_DETSIS_UNITS": "200"}
    log = state.parent / "sandbox.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.sandbox"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        world_file, deadline = state / "world.json", time.monotonic() + 60
        while (world := written_by(process.pid, world_file)) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield world
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=30)
    assert code == 0, log.read_text()
    assert not world_file.exists()


def test_a_second_start_finds_the_same_world(tmp_path: Path) -> None:
    """Keys, certificates, ports and passwords are made once; a stale ``world.json`` is not taken for a running one."""
    state = tmp_path / "state"
    with running(state) as first:
        with httpx.Client(base_url=first.control_url, trust_env=False) as http:
            reached(first)
            steered(http)
            standing_over_control(http, first)
        made = contents(state)
    (state / "world.json").write_text(first.model_dump_json())
    with running(state) as second:
        assert second == first.model_copy(update={"process_id": second.process_id})
        assert contents(state) == made


def written_by(process_id: int, world_file: Path) -> WorldDocument | None:
    """What the file says, unless it is missing or another process left it."""
    try:
        world = WorldDocument.model_validate_json(world_file.read_bytes())
    except FileNotFoundError:
        return None
    return world if world.process_id == process_id else None


def contents(state: Path) -> dict[str, bytes]:
    """All files that must outlive a restart: everything but what providers write while they work."""
    return {
        str(path.relative_to(state)): path.read_bytes()
        for path in sorted(state.rglob("*"))
        if path.is_file() and "kephs" not in path.relative_to(state).parts[:1] and path.name != "world.json"
    }


def reached(world: WorldDocument) -> None:
    """DETSİS answers over https that the CA file verifies."""
    context = ssl.create_default_context(cafile=str(world.tls_ca_file))
    answer = httpx.get(f"{world.detsis.endpoint}?WSDL", verify=context, trust_env=False)
    assert answer.status_code == 200
    assert b"eYazismaPaketi" in answer.content
    for provider in world.providers:
        answer = httpx.get(f"{provider.soap_url}?wsdl", verify=context, trust_env=False)
        assert b"eyServis" in answer.content


def credit_over_soap(world: WorldDocument) -> str:
    """What the SOAP service tells the first institution's account, with the secrets of ``world.json``."""
    account = world.institutions[0]
    provider = next(one for one in world.providers if one.name == account.provider)
    fields = (account.kep_address, account.agent_no, account.password, account.second_password)
    names = ("kepHesap", "tcno", "parola", "sifre")
    inner = "".join(f"<x:{name}>{value}</x:{name}>" for name, value in zip(names, fields, strict=True))
    body = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:a="http://ws.apache.org/axis2"'
        ' xmlns:x="http://ws.apache.org/axis2/xsd"><e:Body><a:KontorSorgula>'
        f"<a:param0>{inner}</a:param0></a:KontorSorgula></e:Body></e:Envelope>"
    )
    context = ssl.create_default_context(cafile=str(world.tls_ca_file))
    headers = {"content-type": "text/xml; charset=utf-8"}
    return httpx.post(provider.soap_url, content=body, headers=headers, verify=context, trust_env=False).text


def standing_over_control(http: httpx.Client, world: WorldDocument) -> None:
    """Credit and lock are steered; the account is told."""
    account = world.institutions[0].kep_address
    path = f"/control/providers/hs98/mailboxes/{account}/standing"
    assert http.get(path).json()["sms_key"] == "135790"
    assert http.patch(path, json={"credit": 7}).json()["standing"]["credit"] == 7
    assert ">7<" in credit_over_soap(world)
    assert http.patch(path, json={"locked": True}).status_code == 200
    assert "kilit" in credit_over_soap(world)
    assert http.patch(path, json={"locked": False, "policy": None}).json()["standing"]["policy"] == "BASE"
    assert http.patch(path, json={"credit": -1}).status_code == 422
    assert http.patch(path.replace(str(account), "nobody@hs98.kep.tr"), json={}).status_code == 404


def steered(http: httpx.Client) -> None:
    """The control API shows mailboxes and evidence, and changes the register."""
    mailboxes = http.get("/control/providers/hs99/mailboxes").json()
    assert "denemevaliligi@hs99.kep.tr" in [mailbox["address"] for mailbox in mailboxes]
    path = "/control/providers/hs99/mailboxes/denemevaliligi@hs99.kep.tr/messages"
    assert http.get(path).json() == {"count": 0, "messages": []}
    assert http.get(f"{path}/1/content").status_code == 404
    assert http.post(f"{path}/1/read").status_code == 404
    assert http.get("/control/providers/hs98/mailboxes/denemevaliligi@hs99.kep.tr/messages").status_code == 404
    assert http.get("/control/evidence").json() == []
    assert http.get("/control/evidence", params={"message_id": "<nobody@example>"}).json() == []
    unit = "/control/register/units/10000002"
    assert http.get(unit).json()["kep_addresses"] == {"denemevaliligi@hs99.kep.tr": True}
    changed = http.patch(unit, json={"active": False, "kep_address": "yeni@hs99.kep.tr"}).json()
    assert changed["active"] is False
    assert changed["kep_addresses"]["yeni@hs99.kep.tr"] is True
    assert http.patch(unit, json={"kep_address": ""}).json()["kep_addresses"] == {}
    assert http.patch(unit, json={"kep_address": "no address"}).status_code == 422
    assert http.get("/control/register/units/99").status_code == 404
    catalogue = http.get("/control/faults").json()["catalogue"]
    assert {"smtp.drop_after_data", "detsis.down", "pki.down"} <= set(catalogue)
    openapi = http.get("/openapi.json")
    assert openapi.status_code == 200
    assert "/control/pki/revoke" in openapi.json()["paths"]
