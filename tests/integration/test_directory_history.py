"""What the register said on a day, what changed since, and all of it as a file: through the gateway, over real nights."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.sandbox.detsis.register import PinnedUnit
from tests.support.detsis import NOW, TOKEN, A, B, Detsis, Directory, running_detsis, running_directory
from tests.support.gateway import TOKENS, RunningGateway, running_gateway
from tests.unit.detsis_soap.conftest import Authority, make_authority

MAIN_A = PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address="kurum.a@hs91.kep.example")
MAIN_B = PinnedUnit(B, "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ", kep_address="kurum.b@hs92.kep.example")
MOVING = PinnedUnit(10000021, "YAZI İŞLERİ AMİRLİĞİ", parent_no=A, kep_address="yazi@hs91.kep.example")
BELOW = PinnedUnit(10000022, "ARŞİV BİRİMİ", parent_no=10000021, active=False, operating=False)
UNITS = (MAIN_A, MAIN_B, MOVING, BELOW)
MOVED = replace(MOVING, name="YAZI İŞLERİ MÜDÜRLÜĞÜ", parent_no=B, kep_address="yazi.isleri@hs92.kep.example")
DAY = timedelta(days=1)


@dataclass
class World:
    """Register, directory and gateway, and the keys to ask with."""

    detsis: Detsis
    directory: Directory
    gateway: RunningGateway
    reader: str
    admin: str

    async def ask(self, path: str, *, key: str | None = None, method: str = "GET", **options: Any) -> httpx.Response:
        headers = {"X-Api-Key": key or self.reader} | options.pop("headers", {})
        return await self.gateway.http.request(method, f"/v1/directory{path}", headers=headers, **options)

    async def get(self, path: str, **options: Any) -> Any:
        answer = await self.ask(path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def night(self, *units: PinnedUnit) -> int:
        """A day passes, the register holds these units, and they are fetched."""
        self.directory.clock.moment += DAY
        self.detsis.publish(*units)
        run = await self.directory.refresh()
        assert run.state == "accepted", run.reason
        return run.run_id


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def world(database_url: str, authority: Authority, tmp_path: Path) -> AsyncIterator[World]:
    async with (
        running_detsis(authority, *UNITS) as detsis,
        running_directory(
            database_url, detsis, "jobs", shrink_limit_ratio=1, service_tokens=TOKENS | {"gateway": TOKEN}
        ) as directory,
        running_gateway(
            database_url, tmp_path, detsis_sync_url=directory.url, clock=directory.clock,
            service_tokens=TOKENS | {"gateway": TOKEN}, requests_per_second=1000, request_burst=1000,
        ) as gateway,
    ):  # fmt: skip
        await directory.account()
        assert (await directory.refresh()).state == "accepted"
        await gateway.institution(A)
        await gateway.institution(B)
        reader = await gateway.key("directory:read", institutions=(A,), client_id="reader")
        admin = await gateway.key("admin", client_id="operator")
        yield World(detsis, directory, gateway, reader, admin)


def day(moment: datetime) -> str:
    return (moment + timedelta(hours=3)).date().isoformat()


async def test_a_unit_as_it_was(world: World) -> None:
    first = (await world.get("/status"))["freshness"]["snapshot_id"]
    second = await world.night(MAIN_A, MAIN_B, MOVED, BELOW)
    now = await world.get("/units/10000021")
    then = await world.get("/units/10000021", params={"as_of": day(NOW)})
    assert [now["unit"]["name"], now["unit"]["parent_no"]] == ["YAZI İŞLERİ MÜDÜRLÜĞÜ", B]
    assert [then["unit"]["name"], then["unit"]["parent_no"]] == ["YAZI İŞLERİ AMİRLİĞİ", A]
    assert [item["address"] for item in then["unit"]["kep_addresses"] if item["active"]] == ["yazi@hs91.kep.example"]
    assert (then["freshness"]["snapshot_id"], now["freshness"]["snapshot_id"]) == (first, second)
    assert (await world.get("/units/10000021", params={"as_of": (NOW + DAY).isoformat()}))["unit"] == now["unit"]
    addresses = await world.get("/units/10000021/kep-addresses", params={"as_of": day(NOW)})
    assert "yazi@hs91.kep.example" in json.dumps(addresses)


@pytest.mark.parametrize(
    ("as_of", "status"),
    [
        ("2026-02-01", 404),  # before the first snapshot
        ("2031-01-01", 422),  # nobody knows the future
        ("yesterday", 422),
        ("2026-13-40", 422),
        ("9" * 40, 422),
        ("2026-03-02T09:00:00", 422),  # no zone
    ],
)
async def test_moments_that_cannot_be_answered(world: World, as_of: str, status: int) -> None:
    answer = await world.ask("/units/10000021", params={"as_of": as_of})
    assert answer.status_code == status, answer.text
    if status == 422:
        assert answer.json()["errors"][0]["pointer"] == "/query/as_of"


async def test_absent_tombstoned_returned_and_each_is_a_change(world: World) -> None:
    left = (MAIN_A, MAIN_B)
    assert (await world.get("/units/10000021"))["unit"]["absent_since"] is None
    await world.night(*left)
    gone = await world.get("/units/10000021")
    assert (gone["unit"]["active"], gone["unit"]["absent_since"] is not None) == (True, True)
    await world.night(*left)
    await world.night(*UNITS)
    assert (await world.get("/units/10000021"))["unit"]["absent_since"] is None
    history = await world.get("/units/10000021/changes")
    kinds = [item["kind"] for item in history["changes"] if item["subject"] == "unit"]
    assert kinds[-1] == "absent"
    assert kinds[0] == "returned"
    assert "tombstoned" in kinds
    assert {item["snapshot_id"] for item in history["snapshots"]} >= {
        item["snapshot_id"] for item in history["changes"]
    }
    was = await world.get("/units/10000021", params={"as_of": (NOW + 2 * DAY).isoformat()})
    assert was["unit"]["absent_since"] is not None


async def test_the_feed_gives_each_change_once_and_goes_on(world: World) -> None:
    start = await world.get("/changes")
    assert (start["changes"], start["more"]) == ([], False)  # what came first is the baseline
    await world.night(MAIN_A, MAIN_B, MOVED, BELOW)
    seen, cursor = [], start["next_cursor"]
    while True:
        page = await world.get("/changes", params={"after": cursor, "limit": 1})
        seen += page["changes"]
        cursor = page["next_cursor"]
        if not page["more"]:
            break
    renamed = next(item for item in seen if item["subject"] == "unit" and item["detsis_no"] == 10000021)
    assert renamed["old"]["name"] == "YAZI İŞLERİ AMİRLİĞİ"
    assert renamed["new"]["name"] == "YAZI İŞLERİ MÜDÜRLÜĞÜ"
    assert {"kep_address", "unit"} <= {item["subject"] for item in seen}
    numbers = [item["change_id"] for item in seen]
    assert numbers == sorted(set(numbers))
    assert (await world.get("/changes", params={"after": cursor}))["changes"] == []
    only = await world.get("/changes", params={"types": "kep_address"})
    assert {item["subject"] for item in only["changes"]} == {"kep_address"}
    for wrong in ("nonsense", "x" * 500):
        assert (await world.ask("/changes", params={"after": wrong})).status_code == 422


async def test_up_and_down_the_tree(world: World) -> None:
    below = await world.get(f"/units/{A}/children")
    assert [unit["detsis_no"] for unit in below["units"]] == [10000021]
    assert (await world.get("/units/10000021/children", params={"open_only": True}))["units"] == []
    closed = await world.get("/units/10000021/children")
    assert [unit["detsis_no"] for unit in closed["units"]] == [10000022]
    above = await world.get("/units/10000022/ancestors")
    assert ([unit["detsis_no"] for unit in above["units"]], above["ends"]) == ([10000021, A], "top")
    for path in ("/units/10000099/children", "/units/10000099/ancestors", "/units/10000099/changes"):
        assert (await world.ask(path)).status_code == 404
    answer = await world.ask("/units/10000022/ancestors")
    again = await world.ask("/units/10000022/ancestors", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


async def test_children_are_paged(world: World) -> None:
    many = [PinnedUnit(10000100 + place, f"MÜDÜRLÜK {place % 7}", parent_no=A) for place in range(23)]
    await world.night(*UNITS, *many)
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = await world.get(f"/units/{A}/children", params={"limit": 5} | ({"cursor": cursor} if cursor else {}))
        seen += [unit["detsis_no"] for unit in page["units"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert sorted(seen) == sorted([10000021, *(unit.detsis_no for unit in many)])
    assert len(seen) == len(set(seen))


async def test_the_export_is_whole_and_says_so(world: World) -> None:
    plain = await world.ask("/export", headers={"Accept-Encoding": "identity"})
    header, *units, trailer = [json.loads(line) for line in plain.text.splitlines()]
    assert header["header"]["snapshot_id"] == (await world.get("/status"))["freshness"]["snapshot_id"]
    assert [line["unit"]["detsis_no"] for line in units] == sorted(unit.detsis_no for unit in UNITS)
    assert trailer == {"trailer": {"units": len(UNITS)}}
    opened = await world.ask("/export", params={"open_only": True}, headers={"Accept-Encoding": "identity"})
    assert json.loads(opened.text.splitlines()[-1]) == {"trailer": {"units": len(UNITS) - 1}}
    async with world.gateway.http.stream(
        "GET", "/v1/directory/export", headers={"X-Api-Key": world.reader, "Accept-Encoding": "gzip"}
    ) as packed:
        raw = b"".join([block async for block in packed.aiter_raw()])
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content
    unchanged = await world.ask("/export", headers={"If-None-Match": plain.headers["ETag"]})
    assert unchanged.status_code == 304
    cursor = header["header"]["changes_cursor"]
    await world.night(MAIN_A, MAIN_B, MOVED, BELOW)
    assert (await world.get("/changes", params={"after": cursor}))["changes"] != []
    assert (await world.ask("/export")).headers["ETag"] != plain.headers["ETag"]


async def test_refreshes_are_told_to_whom_they_concern_and_released_by_operators_only(world: World) -> None:
    runs = await world.get("/runs")
    report = await world.get(f"/runs/{runs['runs'][0]['run_id']}")
    assert {item["list_name"] for item in report["run"]["lists"]} >= {"external", "own", "addresses"}
    assert (await world.ask("/runs/999999")).status_code == 404
    stranger = await world.gateway.key("directory:read", institutions=(B,), client_id="stranger")
    assert (await world.get("/runs", key=stranger))["runs"] == []
    assert (await world.ask(f"/runs/{report['run']['run_id']}", key=stranger)).status_code == 404
    world.detsis.order("empty_list", "AktifKEPAdresleriniGetir", count=1)
    refused = await world.directory.refresh()
    assert refused.state == "refused", refused
    path = f"/runs/{refused.run_id}/release"
    assert (await world.ask(path, method="POST", json={"note": "soruldu"})).status_code == 403
    missing = await world.ask(path, method="POST", json={}, key=world.admin)
    assert missing.status_code == 422
    released = await world.ask(path, method="POST", json={"note": "DETSİS doğruladı"}, key=world.admin)
    assert released.status_code == 200, released.text
    shown = (await world.get(f"/runs/{refused.run_id}"))["run"]
    assert (shown["state"], shown["released_by"], shown["release_note"]) == ("accepted", "operator", "DETSİS doğruladı")
    assert (await world.get("/units/10000021"))["unit"]["sendable"] is False
    again = await world.ask(path, method="POST", json={"note": "bir daha"}, key=world.admin)
    assert (again.status_code, again.json()["code"]) == (409, "state-conflict")
