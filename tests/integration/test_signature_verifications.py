"""Verifications through the gateway: kept, found, judged again, put on paper, erased; many at once; certificates."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pypdfium2
import pytest
from fastapi import FastAPI, Request
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from services.gateway.tables import AuditEntry
from services.gateway.verifications import sweeping
from services.gateway.verifications.keeping import LEASE, Verifications
from services.gateway.verifications.sweeping import VerificationSweep
from services.signer.app import build as build_signer
from services.signer.settings import Settings as SignerSettings
from shared.clock import Clock
from tests.support.gateway import TOKENS, RunningGateway, running_gateway, serving
from tests.support.pki import NOW, Pki, build_pki
from tests.unit.signer.signing import sign
from tests.unit.signer.test_usage_profiles import P2, stamped

HERE, ELSEWHERE = 10000001, 10000006
PATH = "/v1/signature-verifications"
CONTENT = b"sealed and delivered"


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki(crl_base="http://127.0.0.1:9/")  # signer asks for nothing there: no host is on its list


class Moving(Clock):
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment


@dataclass
class World:
    gateway: RunningGateway
    key: str
    stranger: str
    clock: Moving
    lists: Path
    blobs: Path
    held: asyncio.Event
    """While it is not set, signer does not answer."""
    read_lists: Callable[[], None]
    """Has signer look at the directory of lists now."""

    @property
    def verifications(self) -> Verifications:
        parts: Any = self.gateway.service.app
        found: Verifications = parts.state.gateway.verifications
        return found

    @property
    def sweep(self) -> VerificationSweep:
        return VerificationSweep(self.verifications)

    async def post(self, path: str = PATH, *, key: str = "", headers: Any = None, **parts: Any) -> httpx.Response:
        files = {
            name: (f"{name}.p7s", value) if isinstance(value, bytes) else (None, value) for name, value in parts.items()
        }
        given = {"X-Api-Key": key or self.key, **(headers or {})}
        return await self.gateway.http.post(path, files=files, headers=given)

    async def get(self, path: str, key: str = "") -> httpx.Response:
        return await self.gateway.http.get(path, headers={"X-Api-Key": key or self.key})

    async def keep(self, file: bytes, **parts: Any) -> str:
        """Where a verification is kept whose verdict is there."""
        answer = await self.post(file=file, keep="true", **parts)
        assert answer.status_code == 200, answer.text
        return answer.headers["Location"]

    async def resource(self, path: str) -> dict[str, Any]:
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def actions(self) -> list[str]:
        async with self.verifications.database.reading() as session:
            return list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.entry_id)))

    def stored(self) -> list[str]:
        return sorted(path.name for path in (self.blobs / "verifications").rglob("*") if len(path.name) == 64)


@pytest.fixture
async def world(database_url: str, tmp_path: Path, pki: Pki) -> AsyncIterator[World]:
    lists = tmp_path / "lists"
    lists.mkdir()
    for number, encoded in enumerate(pki.crls()):
        (lists / f"{number}.crl").write_bytes(encoded)
    clock, held = Moving(), asyncio.Event()
    held.set()
    settings = SignerSettings.model_validate(
        {"port": 0, "ops_port": 0, "service_tokens": TOKENS, "trust_directory": pki.write_trust(tmp_path / "trust"),
         "revocation_directory": lists}
    )  # fmt: skip
    service = await build_signer(settings, clock)
    reloading: Any = next(part.run for part in service.background if part.name == "reloading")
    read_lists = reloading.__self__.publish
    async with (
        service.resources,
        serving(service.app) as signer,
        serving(waiting(signer, held)) as door,
        running_gateway(database_url, tmp_path, signer_url=door, clock=clock, verifications_per_client=3) as gateway,
    ):
        await gateway.institution(HERE)
        await gateway.institution(ELSEWHERE)
        key = await gateway.key("signatures:verify", institutions=(HERE,))
        stranger = await gateway.key("signatures:verify", institutions=(ELSEWHERE,), client_id="stranger")
        yield World(gateway, key, stranger, clock, lists, tmp_path / "gateway-blobs", held, read_lists)
        held.set()


def waiting(url: str, held: asyncio.Event) -> FastAPI:
    """What stands before signer: it passes everything on, once it may."""
    app = FastAPI()
    client = httpx.AsyncClient(base_url=url, timeout=60)

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def forward(path: str, request: Request) -> Response:
        body = await request.body()
        await held.wait()
        names = ("content-type", "authorization", "x-correlation-id")
        headers = {name: value for name, value in request.headers.items() if name in names}
        answer = await client.request(request.method, f"/{path}", content=body, headers=headers)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    return app


async def test_without_keep_nothing_is_stored_but_the_line_in_the_audit_log(world: World, pki: Pki) -> None:
    answer = await world.post(file=sign(pki.signer, CONTENT))
    assert (answer.status_code, answer.json()["conclusion"]) == (200, "passed")
    assert "Location" not in answer.headers
    assert world.stored() == []
    assert (await world.actions())[-1] == "signature-verification"


async def test_what_is_kept_is_found_with_its_report_and_its_digest(world: World, pki: Pki) -> None:
    file = sign(pki.signer, CONTENT)
    path = await world.keep(file, client_ref="2026/114")
    found = await world.resource(path)
    assert (found["state"], found["institution_no"], found["client_ref"]) == ("done", HERE, "2026/114")
    assert found["file"] == {"sha256": hashlib.sha256(file).hexdigest(), "size": len(file)}
    assert (found["report"]["conclusion"], found["next_look_at"]) == ("passed", None)
    assert [(item["sequence"], item["conclusion"], item["maturity"]) for item in found["verdicts"]] == [
        (1, "passed", "final")
    ]
    report = await world.get(f"{path}/report")
    digest = hashlib.sha256(report.content).hexdigest()
    assert digest == found["report_sha256"] == found["verdicts"][0]["report_sha256"]
    assert base64.b64encode(bytes.fromhex(digest)).decode() in report.headers["Repr-Digest"]
    assert report.json() == found["report"]
    assert (await world.actions())[-2:] == ["signature-verification.begin", "signature-report.download"]


async def test_the_pdf_says_the_same_and_is_on_record(world: World, pki: Pki) -> None:
    path = await world.keep(sign(pki.signer, CONTENT))
    answer = await world.get(f"{path}/report.pdf")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    document = pypdfium2.PdfDocument(answer.content)
    shown = "".join(page.get_textpage().get_text_range() for page in document)
    found = await world.resource(path)
    assert "İMZA GEÇERLİ" in shown
    assert found["report_sha256"] in shown
    assert found["verification_id"] in shown
    assert (await world.actions())[-1] == "signature-report.print"


async def test_one_that_takes_long_is_answered_202_and_goes_on(world: World, pki: Pki) -> None:
    world.held.clear()
    answer = await world.post(file=sign(pki.signer, CONTENT), keep="true", headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.json()["state"], answer.headers["Retry-After"]) == (202, "running", "5")
    path = answer.headers["Location"]
    assert (await world.get(f"{path}/report")).json()["code"] == "state-conflict"
    assert (await world.get(f"{path}/report.pdf")).json()["code"] == "state-conflict"
    world.held.set()
    await world.verifications.wait(UUID(path.rpartition("/")[2]), 30)
    assert (await world.resource(path))["state"] == "done"


async def test_what_a_process_that_died_had_begun_is_taken_up_when_its_lease_is_over(world: World, pki: Pki) -> None:
    world.held.clear()
    answer = await world.post(file=sign(pki.signer, CONTENT), keep="true", headers={"Prefer": "wait=0"})
    path = answer.headers["Location"]
    await world.verifications.aclose()  # the task is gone as with its process; the row knows nothing of it
    world.held.set()
    assert await world.sweep.look() == 0
    world.clock.moment += LEASE
    assert await world.sweep.look() == 1
    found = await world.resource(path)
    assert (found["state"], len(found["verdicts"])) == ("done", 1)


async def test_one_verdict_is_written_however_many_look_at_once(world: World, pki: Pki) -> None:
    world.held.clear()
    answer = await world.post(file=sign(pki.signer, CONTENT), keep="true", headers={"Prefer": "wait=0"})
    verification_id = UUID(answer.json()["verification_id"])
    others = [asyncio.create_task(world.verifications.look(verification_id, 0)) for _ in range(3)]
    async with asyncio.timeout(10):
        while world.verifications._turns._value != world.verifications.limits.at_once - 4:
            await asyncio.sleep(0.01)
    world.held.set()
    await asyncio.gather(*others, world.verifications.wait(verification_id, 30))
    await world.verifications.look(verification_id, 0)  # had waited for its turn until the others were done
    assert [item["sequence"] for item in (await world.resource(answer.headers["Location"]))["verdicts"]] == [1]


async def test_an_open_verdict_is_judged_again_when_signer_said_and_ever_later(world: World, pki: Pki) -> None:
    world.clock.moment += timedelta(days=2)  # the lists signer has are too old by then
    location = await world.keep(sign(pki.signer, CONTENT))
    found = await world.resource(location)
    assert (found["report"]["conclusion"], found["report"]["sub_indication"]) == ("indeterminate", "TRY_LATER")
    for looks in (1, 2, 3):
        found = await world.resource(location)
        due = datetime.fromisoformat(found["next_look_at"])
        assert due - world.clock.moment >= timedelta(minutes=2**looks)
        assert await world.sweep.look() == 0, "not yet"
        world.clock.moment = due
        assert await world.sweep.look() == 1
    verdicts = (await world.resource(location))["verdicts"]
    assert [item["sequence"] for item in verdicts] == [1, 2, 3, 4]
    assert len({item["at"] for item in verdicts}) == 4


async def test_a_preliminary_verdict_is_judged_again_after_its_grace_period_and_the_history_shows_both(
    world: World, pki: Pki
) -> None:
    location = await world.keep(stamped(pki, P2).encode(), profile="p2", content=b"<PaketOzeti/>" * 10)
    before = await world.resource(location)
    assert before["report"]["conclusion"] == "passed", before["report"]
    first = before["verdicts"][0]
    assert first["maturity"] == "preliminary"
    assert before["next_look_at"] > first["final_after"]
    shown = await world.get(f"{location}/report.pdf")
    document = pypdfium2.PdfDocument(shown.content)
    assert "ÖN SONUÇ" in document[0].get_textpage().get_text_range()
    world.clock.moment = datetime.fromisoformat(before["next_look_at"])
    for number, encoded in enumerate(pki.crls(world.clock.moment + timedelta(minutes=59))):  # issued a minute ago
        (world.lists / f"{number}.crl").write_bytes(encoded)
    world.read_lists()
    assert await world.sweep.look() == 1
    after = await world.resource(location)
    assert [(item["conclusion"], item["maturity"]) for item in after["verdicts"]] == [
        ("passed", "preliminary"),
        ("passed", "final"),
    ]
    assert after["verdicts"][0] == first
    assert (after["next_look_at"], after["updated_at"] > before["updated_at"]) == (None, True)


async def test_nobody_changes_the_history(world: World, pki: Pki) -> None:
    await world.keep(sign(pki.signer, CONTENT))
    for statement in (
        "UPDATE gateway.signature_verdicts SET conclusion = 'failed'",
        "DELETE FROM gateway.signature_verdicts",
    ):
        with pytest.raises(DBAPIError) as refused:
            async with world.verifications.database.unit_of_work() as work:
                await work.session.execute(text(statement))
        assert isinstance(refused.value.orig, psycopg.errors.RaiseException)


async def test_the_same_key_gives_the_same_verification_and_another_file_is_refused(world: World, pki: Pki) -> None:
    file, headers = sign(pki.signer, CONTENT), {"Idempotency-Key": "once"}
    answers = [await world.post(file=file, keep="true", headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    assert answers[0].content == answers[1].content
    other = await world.post(file=sign(pki.signer, b"other"), keep="true", headers=headers)
    assert other.json()["code"] == "idempotency-key-reused"


async def test_others_do_not_find_it(world: World, pki: Pki) -> None:
    path = await world.keep(sign(pki.signer, CONTENT))
    for foreign in (path, f"{path}/report", f"{path}/report.pdf"):
        assert (await world.get(foreign, world.stranger)).json()["code"] == "not-found"
    named = await world.post(file=b"x", keep="true", institution=str(HERE), key=world.stranger)
    assert named.json()["code"] == "institution-forbidden"


async def test_a_client_with_too_many_under_way_waits_and_others_do_not(world: World, pki: Pki) -> None:
    world.held.clear()
    file = sign(pki.signer, CONTENT)
    for _ in range(3):
        begun = await world.post(file=file, keep="true", headers={"Prefer": "wait=0"})
        assert begun.status_code == 202
    refused = await world.post(file=file, keep="true", headers={"Prefer": "wait=0"})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
    assert int(refused.headers["Retry-After"]) > 0
    other = await world.post(file=file, keep="true", headers={"Prefer": "wait=0"}, key=world.stranger)
    assert other.status_code == 202


async def test_after_its_time_only_digests_and_verdicts_are_left(world: World, pki: Pki) -> None:
    file = sign(pki.signer, CONTENT)
    first = await world.keep(file, client_ref="kişisel")
    world.clock.moment += timedelta(days=20)
    second = await world.keep(file)
    world.clock.moment += timedelta(days=11)
    assert await world.sweep.erase() == 1
    found = await world.resource(first)
    assert (found["state"], found["report"], found["client_ref"]) == ("erased", None, None)
    assert found["file"]["sha256"] == hashlib.sha256(file).hexdigest()
    assert len(found["verdicts"]) == 1
    assert (await world.get(f"{first}/report")).json()["code"] == "not-found"
    assert (await world.get(f"{first}/report.pdf")).json()["code"] == "not-found"
    assert world.stored() == [hashlib.sha256(file).hexdigest()], "the second one still needs it"
    assert (await world.get(f"{second}/report")).status_code == 200
    world.clock.moment += timedelta(days=20)
    assert await world.sweep.erase() == 1
    assert world.stored() == []
    assert (await world.actions()).count("signature-verification.erase") == 2
    assert await world.sweep.erase() == 0


async def test_more_than_one_round_can_erase_does_not_wait_for_the_next_time(
    world: World, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_AT_ONCE", 1)
    monkeypatch.setattr(sweeping, "_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(sweeping, "_ERASE_EVERY", 10**9)
    for content in (b"one", b"two", b"three"):
        await world.keep(sign(pki.signer, content))
    world.clock.moment += timedelta(days=31)
    stop = asyncio.Event()
    running = asyncio.create_task(world.sweep.run(stop))
    try:
        async with asyncio.timeout(30):
            while world.stored():
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await running


async def test_a_request_repeated_after_the_time_of_retention_is_told_so(world: World, pki: Pki) -> None:
    file, headers = sign(pki.signer, CONTENT), {"Idempotency-Key": "old"}
    await world.keep(file, headers=headers)
    world.clock.moment += timedelta(days=31)
    assert await world.sweep.erase() == 1
    again = await world.post(file=file, keep="true", headers=headers)
    assert (again.status_code, again.json()["code"]) == (404, "not-found")


async def test_a_batch_judges_each_file_by_itself(world: World, pki: Pki) -> None:
    detached = sign(pki.signer, CONTENT, attached=False)
    answer = await world.post(
        f"{PATH}/batch", file1=sign(pki.signer, CONTENT), file2=b"no signature at all", file7=detached, content7=CONTENT,
        file9=detached, content9=b"something else",
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    entries = answer.json()["entries"]
    assert [entry["name"] for entry in entries] == ["file1", "file2", "file7", "file9"]
    conclusions = [(entry["report"] or {}).get("conclusion") for entry in entries]
    assert (conclusions[0], conclusions[2], conclusions[3]) == ("passed", "passed", "failed")
    assert conclusions[1] != "passed"
    alone = await world.post(f"{PATH}/batch", file1=detached, content2=CONTENT)
    assert (alone.status_code, alone.json()["errors"][0]["pointer"]) == (422, "/content2")
    assert world.stored() == []


async def test_certificates_are_judged_one_by_one(world: World, pki: Pki) -> None:
    der = pki.signer.der
    body = {"certificates": [base64.b64encode(der).decode(), base64.b64encode(b"no certificate").decode()]}
    answer = await world.gateway.http.post("/v1/certificate-verifications", json=body, headers={"X-Api-Key": world.key})
    assert answer.status_code == 200, answer.text
    verdicts = answer.json()["verdicts"]
    assert verdicts[0]["certificate_sha256"] == hashlib.sha256(der).hexdigest()
    assert [verdict["conclusion"] == "passed" for verdict in verdicts] == [False, False], "for signing, not encryption"
    assert (await world.actions())[-1] == "certificate-verification"
    bad = await world.gateway.http.post(
        "/v1/certificate-verifications", json={"certificates": ["ç"]}, headers={"X-Api-Key": world.key}
    )
    assert bad.json()["code"] == "validation-failed"


async def test_a_time_stamp_goes_to_signer_as_one(world: World, pki: Pki) -> None:
    answer = await world.post("/v1/timestamp-verifications", file=sign(pki.signer, CONTENT))
    assert answer.status_code == 200, answer.text
    assert answer.json()["profile"] == "timestamp"
    assert answer.json()["conclusion"] != "passed"
