"""What an EBYS sees of DETSİS itself, through the gateway: the data of a letter, details, and the register asked live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.sandbox.detsis.register import PinnedUnit
from shared.contracts.directory import RegisterAccount
from tests.support.detsis import PASSWORD, TOKEN, A, B, Detsis, Directory, running_detsis, running_directory
from tests.support.gateway import TOKENS, RunningGateway, running_gateway
from tests.unit.detsis_soap.conftest import Authority, make_authority

MAIN_A = PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address="kurum.a@hs91.kep.example")
DEPARTMENT = PinnedUnit(10000011, "YAZI İŞLERİ DAİRESİ BAŞKANLIĞI", parent_no=A)
MAIN_B = PinnedUnit(B, "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ", kep_address="kurum.b@hs92.kep.example")
FACULTY = PinnedUnit(10000021, "FEN FAKÜLTESİ DEKANLIĞI", parent_no=B, kep_address="fen@hs92.kep.example")
NOBODY = 10000099


@dataclass
class World:
    detsis: Detsis
    directory: Directory
    gateway: RunningGateway
    key: str

    async def ask(self, *recipients: int, key: str | None = None, **body: Any) -> httpx.Response:
        return await self.gateway.http.post(
            "/v1/correspondence-data",
            headers={"X-Api-Key": key or self.key, "Accept-Language": "en"},
            json={"recipients": list(recipients), **body},
        )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def world(database_url: str, authority: Authority, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        detsis = await stack.enter_async_context(running_detsis(authority, MAIN_A, DEPARTMENT, MAIN_B, FACULTY))
        directory = await stack.enter_async_context(
            running_directory(database_url, detsis, "jobs", shrink_limit_ratio=1.0, live_breaker_seconds=0)
        )
        await directory.account()
        gateway = await stack.enter_async_context(
            running_gateway(
                database_url, tmp_path, service_tokens=TOKENS | {"gateway": TOKEN}, detsis_sync_url=directory.url
            )
        )
        for number in (A, B):
            await gateway.institution(number)
        yield World(detsis, directory, gateway, await gateway.key("directory:read", institutions=(A,)))


async def test_a_letters_data_is_answered_and_may_leave_out_what_is_clear(world: World) -> None:
    answer = await world.ask(B, FACULTY.detsis_no, sender_no=DEPARTMENT.detsis_no)
    assert answer.status_code == 200, answer.text
    data = answer.json()
    assert (data["institution_no"], data["sender_no"], data["source"]) == (A, DEPARTMENT.detsis_no, "live")
    assert (data["freshness"]["source"], data["freshness"]["stale"]) == ("live", False)
    assert data["letterhead"]["lines"] == ["T.C.", MAIN_A.name, DEPARTMENT.name]
    assert data["closing_phrase"]["kind"] == "arz"
    assert [item["kep_address"]["address"] for item in data["recipients"]] == [
        "kurum.b@hs92.kep.example", "fen@hs92.kep.example",
    ]  # fmt: skip
    assert all(value["source"]["as_of"] for item in data["recipients"] for value in (item["addressee"], item["phones"]))
    assert (await world.ask(B)).json()["sender_no"] == A


async def test_nobody_asks_for_an_institution_that_is_not_theirs(world: World) -> None:
    stranger = await world.gateway.key("directory:read", institutions=(B,), client_id="stranger")
    for key, body in (
        (stranger, {"institution_no": A}),
        (world.key, {"institution_no": B}),
        (world.key, {"sender_no": B}),
        (world.key, {"sender_no": FACULTY.detsis_no}),
    ):
        answer = await world.ask(B, key=key, **body)
        assert (answer.status_code, answer.json()["code"]) == (403, "institution-forbidden"), body
    assert world.detsis.calls["eYazismaPaketi"] == 0


async def test_a_key_without_the_scope(world: World) -> None:
    answer = await world.ask(B, key=await world.gateway.key("messages:send", institutions=(A,), client_id="other"))
    assert (answer.status_code, answer.json()["code"]) == (403, "scope-missing")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"recipients": [B, FACULTY.detsis_no, B]}, "/body/recipients/2"),
        ({"recipients": [B, 123456789]}, "/body/recipients/1"),
        ({"recipients": [B, "10000002"]}, "/body/recipients/1"),
        ({"recipients": []}, "/body/recipients"),
        ({"recipients": [10000000 + number for number in range(501)]}, "/body/recipients"),
        ({"recipients": [B], "sender_no": NOBODY}, "/body/sender_no"),
        ({"recipients": [B], "mode": "guess"}, "/body/mode"),
        ({"recipients": [B], "sender": A}, "/body/sender"),
    ],
)
async def test_bad_questions_are_told_where(world: World, body: dict[str, Any], pointer: str) -> None:
    answer = await world.ask(**body) if "recipients" not in body else await world.ask(*body.pop("recipients"), **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed"), answer.text
    assert pointer in [fault["pointer"] for fault in answer.json()["errors"]]


async def test_down_and_refusing(world: World) -> None:
    world.detsis.order("down")
    answer = await world.ask(B)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (
        503,
        "directory-unavailable",
        True,
    )
    assert answer.headers["Retry-After"]
    world.detsis.faults.clear()
    await world.directory.refresh()
    world.detsis.order("down")
    marked = (await world.ask(B)).json()
    assert (marked["source"], marked["rule"]) == ("mirror", "mirror.detsis-down")
    assert {"item": "d.closing_phrase", "detsis_no": None, "reason": "only-live"} in marked["missing"]
    world.detsis.faults.clear()
    world.detsis.order("in_band_error", "eYazismaPaketi")
    refused = await world.ask(B)
    assert (refused.status_code, refused.json()["code"]) == (502, "directory-refused")
    assert "İşlem sırasında bir hata oluştu" in refused.json()["detail"]


async def get(world: World, path: str, scope: str = "directory:read") -> httpx.Response:
    key = await world.gateway.key(scope, institutions=(A,), client_id=scope.replace(":", "-"))
    return await world.gateway.http.get(f"/v1/directory{path}", headers={"X-Api-Key": key})


@pytest.mark.parametrize(
    ("path", "member"),
    [
        (f"/units/{B}/contacts", "contacts"),
        (f"/units/{B}/uets-numbers", "numbers"),
        (f"/main-institutions/{A}/file-plan", "entries"),
        ("/units/by-former-number?numbers=10.00.00.02.00.01&numbers=1", "items"),
        (f"/units/{B}/eyp-versions?source=live", "versions"),
    ],
)
async def test_details_say_when_detsis_said_so(world: World, path: str, member: str) -> None:
    answer = await get(world, path)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert isinstance(found[member], list)
    assert (found["freshness"]["source"], found["freshness"]["stale"]) == ("live", False)
    assert answer.headers["ETag"]


@pytest.mark.parametrize(
    ("path", "member"), [(f"/units/{B}/managers?on=2026-03-02", "managers"), ("/officers", "officers")]
)
async def test_people_need_a_scope_of_their_own_and_are_not_cached(world: World, path: str, member: str) -> None:
    assert (await get(world, path)).json()["code"] == "scope-missing"
    answer = await get(world, path, "directory:people")
    assert answer.status_code == 200, answer.text
    assert answer.json()[member]
    assert answer.headers["Cache-Control"] == "no-store"


async def test_who_has_no_account_cannot_ask(world: World) -> None:
    key = await world.gateway.key("directory:read", institutions=(B,), client_id="without")
    answer = await world.gateway.http.get(f"/v1/directory/units/{A}/uets-numbers", headers={"X-Api-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (409, "state-conflict")


@pytest.mark.parametrize("query", ["numbers=", "", "&".join("numbers=1" for _ in range(101)), "numbers=" + "1" * 101])
async def test_former_numbers_are_bounded(world: World, query: str) -> None:
    answer = await get(world, f"/units/by-former-number?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")


LIVE_PATHS = [
    "/main-institutions", f"/units/{DEPARTMENT.detsis_no}", f"/units/{A}/children",
    f"/units/{DEPARTMENT.detsis_no}/ancestors", "/units?q=%C3%B6rnek+a",
]  # fmt: skip


def numbers(body: dict[str, Any]) -> list[int]:
    found = body.get("units") or body.get("institutions") or [body["unit"]]
    return [item["detsis_no"] for item in found]


async def test_the_same_routes_answer_live_or_from_the_copy(world: World) -> None:
    assert (await world.directory.refresh()).state == "accepted"
    for path in LIVE_PATHS:
        mirror, live = (await get(world, path)).json(), (await get(world, with_source(path, "live"))).json()
        assert numbers(mirror) == numbers(live), path
        assert (mirror["freshness"]["source"], live["freshness"]["source"]) == ("mirror", "live"), path
        assert live["freshness"]["snapshot_id"] is None
        assert mirror.keys() == live.keys()
    line = (await get(world, with_source(f"/units/{DEPARTMENT.detsis_no}/ancestors", "live"))).json()
    assert (line["detsis_no"], line["ends"]) == (DEPARTMENT.detsis_no, "top")


async def test_who_keeps_no_copy_is_answered_live_without_asking_for_it(world: World) -> None:
    await world.directory.client.put_account(
        RegisterAccount(
            institution_no=A, account_id=str(A), endpoint=world.detsis.endpoint, password=PASSWORD, keeps_copy=False
        )
    )
    for path in LIVE_PATHS:
        answer = await get(world, path)
        assert answer.status_code == 200, answer.text
        assert answer.json()["freshness"]["source"] == "live", path
    both = await world.gateway.key("directory:read", institutions=(A, B), client_id="both")
    headers = {"X-Api-Key": both}
    unnamed = await world.gateway.http.get("/v1/directory/main-institutions?source=live", headers=headers)
    assert (unnamed.status_code, unnamed.json()["errors"][0]["pointer"]) == (422, "/query/institution_no")
    named = await world.gateway.http.get(
        "/v1/directory/main-institutions", headers=headers, params={"institution_no": A}
    )
    assert named.json()["freshness"]["source"] == "live"
    other = await world.gateway.http.get(
        "/v1/directory/main-institutions", headers=headers, params={"institution_no": B}
    )
    assert other.json()["freshness"]["source"] == "mirror"


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/units?q=%C3%B6rnek+a&active=false&source=live", "/query/active"),
        ("/units?q=%C3%B6rnek+a&category_id=0&source=live", "/query/category_id"),
        ("/units?q=abc&source=live", "/q"),
        (f"/units/{A}?as_of=2026-03-01&source=live", "/query/as_of"),
        ("/main-institutions?budget_type=3&source=live", "/query/budget_type"),
        (f"/units/{A}?source=maybe", "/query/source"),
    ],
)
async def test_what_detsis_itself_cannot_be_asked(world: World, path: str, pointer: str) -> None:
    answer = await get(world, path)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed"), answer.text
    assert pointer in [fault["pointer"] for fault in answer.json()["errors"]]


def with_source(path: str, source: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}source={source}"
