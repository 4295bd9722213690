"""Taking letters: lease, download in pieces, verify, acknowledge; and what strangers see of it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.kep_relay.tables import InboundMessageRow, InboundPartRow, InboundVerificationRow, RawMailRow
from shared.contracts.inbound import InboundVerification
from shared.domain.identifiers import new_id
from shared.domain.verdict import Conclusion
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.neighbours import ServedRelay, served_relay
from tests.support.relay import START
from tests.unit.eyp import letters

PACKAGE = letters.package()
SHA256 = hashlib.sha256(PACKAGE).hexdigest()
RAW = b"From: x\r\n\r\nthe mail\r\n"
HTML = b"<script>alert(1)</script>"


@dataclass
class World:
    gateway: RunningGateway
    relay: ServedRelay
    key: str
    stranger: str

    async def call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"X-Api-Key": key or self.key, **options.pop("headers", {})}
        return await self.gateway.http.request(method, f"/v1/inbound-messages{path}", headers=headers, **options)

    async def arrive(self, **changes: Any) -> UUID:
        """A letter with a package and an HTML attachment, verified and available."""
        blobs, database = self.relay.relay.deps.blobs, self.relay.relay.deps.database
        for content in (PACKAGE, RAW, HTML):
            await blobs.put(content, limit=10_000_000)
        message_id, raw_id, raw_sha256 = new_id(), new_id(), hashlib.sha256(RAW).hexdigest()
        async with database.unit_of_work() as work:
            work.session.add(
                RawMailRow(
                    raw_mail_id=raw_id, mailbox_id="a-1", institution_no=10000001, folder="INBOX", uidvalidity=1,
                    uid=raw_id.int % 2**31, sha256=raw_sha256, size=len(RAW), received_at=START, state="ingested",
                )
            )  # fmt: skip
            await work.session.flush()
            fields: dict[str, Any] = {
                "message_id": message_id, "institution_no": 10000001, "mailbox_id": "a-1",
                "mailbox_address": "kurum.a@hs98.kep.tr", "raw_mail_id": raw_id, "raw_sha256": raw_sha256,
                "raw_size": len(RAW), "kind": "letter", "state": "available", "message_key": str(message_id),
                "original_sha256": raw_sha256, "original_size": len(RAW), "package_sha256": SHA256,
                "package_size": len(PACKAGE), "package_filename": 'ya"zı\r\n.eyp', "conclusion": "passed",
                "received_at": START, "available_at": START, "visible_at": START, "updated_at": START,
            }  # fmt: skip
            work.session.add(InboundMessageRow(**{**fields, **changes}))
            await work.session.flush()
            for number, (content, name) in enumerate([(PACKAGE, "a.eyp"), (HTML, "x.html")], start=1):
                work.session.add(
                    InboundPartRow(
                        message_id=message_id, number=number, filename=name, media_type="text/html", size=len(content),
                        sha256=hashlib.sha256(content).hexdigest(), is_package=number == 1,
                    )
                )  # fmt: skip
            verdict = InboundVerification(
                message_id=message_id, conclusion=Conclusion.PASSED, components=[], findings=[], verified_at=START
            )
            work.session.add(
                InboundVerificationRow(
                    message_id=message_id, sequence=1, conclusion="passed", verdict=verdict.model_dump(mode="json"),
                    verified_at=START,
                )
            )  # fmt: skip
        return message_id


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with (
        served_relay(database_url, tmp_path / "blobs") as relay,
        running_gateway(database_url, tmp_path, clock=relay.relay.clock, kep_relay_url=relay.url) as gateway,
    ):
        await gateway.institution(10000001)
        await gateway.institution(10000006)
        key = await gateway.key("inbound:consume", institutions=(10000001,))
        stranger = await gateway.key("inbound:consume", "messages:read", institutions=(10000006,), client_id="stranger")
        yield World(gateway, relay, key, stranger)


async def test_a_letter_is_leased_downloaded_and_acknowledged(world: World) -> None:
    assert (await world.call("POST", "/leases", json={})).status_code == 204
    message_id = await world.arrive()
    leased = (await world.call("POST", "/leases", json={"max": 5, "seconds": 60, "wait": 1})).json()
    assert [item["message_id"] for item in leased["messages"]] == [str(message_id)]
    assert (await world.call("POST", "/leases", json={})).status_code == 204
    package = await world.call("GET", f"/{message_id}/package")
    assert (package.status_code, package.content) == (200, PACKAGE)
    assert (await world.call("GET", f"/{message_id}/verification")).json()["conclusion"] == "passed"
    token = leased["lease_token"]
    renewed = await world.call("POST", f"/{message_id}/renew", json={"lease_token": token, "seconds": 600})
    assert (renewed.status_code, renewed.json()["lease_token"]) == (200, token)
    ack = {"lease_token": token, "registry_no": "2026/1534"}
    for _ in range(2):
        acked = await world.call("POST", f"/{message_id}/ack", json=ack)
        assert (acked.status_code, acked.json()["state"], acked.json()["registry_no"]) == (200, "consumed", "2026/1534")
    listed = (await world.call("GET", "", params={"state": "consumed"})).json()
    assert [item["message_id"] for item in listed["messages"]] == [str(message_id)]


async def test_a_letter_given_back_is_offered_again_and_the_old_token_is_worthless(world: World) -> None:
    message_id = await world.arrive()
    token = (await world.call("POST", "/leases", json={})).json()["lease_token"]
    nack = {"lease_token": token, "reason": "EBYS bakımda"}
    assert (await world.call("POST", f"/{message_id}/nack", json=nack)).json()["state"] == "available"
    lost = await world.call("POST", f"/{message_id}/ack", json={"lease_token": token, "registry_no": "1"})
    assert (lost.status_code, lost.json()["code"]) == (409, "lease-lost")
    assert (await world.call("POST", "/leases", json={})).json()["lease_token"] != token


async def test_downloads_can_be_continued_checked_and_left_out(world: World) -> None:
    path = f"/{await world.arrive()}/package"
    whole = await world.call("GET", path)
    etag, size = whole.headers["etag"], len(PACKAGE)
    assert etag == f'"{SHA256}"'
    encoded = base64.b64encode(bytes.fromhex(SHA256)).decode()
    assert whole.headers["repr-digest"] == f"sha-256=:{encoded}:"
    assert whole.headers["digest"] == f"sha-256={encoded}"
    assert whole.headers["content-disposition"].startswith(
        "attachment; filename=\"ya_z_.eyp\"; filename*=UTF-8''ya%22z"
    )
    assert whole.headers["accept-ranges"] == "bytes"
    rest = await world.call("GET", path, headers={"Range": "bytes=100-", "If-Range": etag})
    assert (rest.status_code, rest.content) == (206, PACKAGE[100:])
    assert rest.headers["content-range"] == f"bytes 100-{size - 1}/{size}"
    assert rest.headers["repr-digest"] == whole.headers["repr-digest"]
    first = await world.call("GET", path, headers={"Range": "bytes=0-0"})
    assert (first.status_code, first.content) == (206, PACKAGE[:1])
    last = await world.call("GET", path, headers={"Range": "bytes=-7"})
    assert last.content == PACKAGE[-7:]
    beyond = await world.call("GET", path, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert beyond.json()["code"] == "range-invalid"
    unchanged = await world.call("GET", path, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    head = await world.call("HEAD", path)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")


async def test_attachments_and_the_mail_itself_are_files_to_save_never_to_display(world: World) -> None:
    message_id = await world.arrive()
    part = await world.call("GET", f"/{message_id}/parts/2")
    assert part.content == HTML
    assert part.headers["content-type"] == "application/octet-stream"
    assert part.headers["content-disposition"].startswith("attachment")
    assert part.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in part.headers["content-security-policy"]
    raw = await world.call("GET", f"/{message_id}/raw")
    assert (raw.content, raw.headers["content-type"]) == (RAW, "message/rfc822")
    assert (await world.call("HEAD", f"/{message_id}/raw")).status_code == 200
    assert (await world.call("GET", f"/{message_id}/parts/9")).status_code == 404


async def test_a_letter_without_package_says_so(world: World) -> None:
    message_id = await world.arrive(package_sha256=None, package_size=None, package_filename=None)
    answer = await world.call("GET", f"/{message_id}/package")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_strangers_find_nothing(world: World) -> None:
    message_id = await world.arrive()
    token = (await world.call("POST", "/leases", json={})).json()["lease_token"]
    claim = {"lease_token": token}
    for method, what, body in [
        ("GET", "", None), ("GET", "/package", None), ("HEAD", "/package", None), ("GET", "/raw", None),
        ("GET", "/parts/1", None), ("GET", "/verification", None), ("POST", "/ack", {**claim, "registry_no": "1"}),
        ("POST", "/nack", claim), ("POST", "/renew", claim),
    ]:  # fmt: skip
        answer = await world.call(method, f"/{message_id}{what}", key=world.stranger, json=body)
        assert answer.status_code == 404, (method, what)
    assert (await world.call("GET", "", key=world.stranger)).json()["messages"] == []
    assert (await world.call("POST", "/leases", key=world.stranger, json={})).status_code == 204


async def test_pages_go_through_all_letters_once(world: World) -> None:
    expected = {str(await world.arrive()) for _ in range(5)}
    found: list[str] = []
    parameters: dict[str, Any] = {"limit": 2}
    while True:
        page = (await world.call("GET", "", params=parameters)).json()
        found += [item["message_id"] for item in page["messages"]]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert len(found) == 5
    assert set(found) == expected
    bad = await world.call("GET", "", params={"cursor": "x" * 400})
    assert (bad.status_code, bad.json()["code"]) == (422, "validation-failed")


async def test_consumers_are_entered_by_the_institution_and_take_what_a_person_gives_them(world: World) -> None:
    async def ask(method: str, path: str, **options: Any) -> httpx.Response:
        return await world.gateway.http.request(method, f"/v1{path}", headers={"X-Api-Key": world.key}, **options)

    body = {
        "position": 10,
        "rules": [{"match": {"units": [10000010]}}, {"mode": "copy", "match": {"subjects": ["x*y"]}}],
    }
    entered = await ask("PUT", "/consumers/hr", json=body)
    assert (entered.status_code, len(entered.json()["rules"])) == (200, 2)
    assert (await ask("PUT", "/consumers/archive", json={})).status_code == 200
    for wrong in (
        {"rules": [{"match": {"unit": [10000010]}}]}, {"rules": [{"match": {"subjects": ["a\nb"]}}]},
        {"rules": [{}] * 21}, {"rules": [{"mode": "both"}]}, {"position": -1}, {"rules": [{"match": {"units": [1]}}]},
    ):  # fmt: skip
        answer = await ask("PUT", "/consumers/hr", json=wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed"), wrong
    for name in ("default", "HR", "a%2Fb"):
        assert (await ask("PUT", f"/consumers/{name}", json={})).status_code in {404, 422}, name

    message_id = await world.arrive()
    decision = {"consumer": "hr", "copies": ["archive"], "decided_by": "F. Örnek", "reason": "personel"}
    moved = await world.call("POST", f"/{message_id}/routing", json=decision)
    assert (moved.status_code, moved.json()["consumer"]) == (200, "hr")
    assert (await world.call("POST", "/leases", json={})).status_code == 204
    leased = (await world.call("POST", "/leases", json={"consumer": "hr"})).json()
    assert (leased["role"], [item["message_id"] for item in leased["messages"]]) == ("responsible", [str(message_id)])
    copy = (await world.call("POST", "/leases", json={"consumer": "archive", "role": "copy"})).json()
    acked = await world.call("POST", f"/{message_id}/ack", json={"lease_token": copy["lease_token"]})
    assert (copy["role"], acked.status_code, acked.json()["state"]) == ("copy", 200, "leased")
    unnumbered = await world.call("POST", f"/{message_id}/ack", json={"lease_token": leased["lease_token"]})
    assert (unnumbered.status_code, unnumbered.json()["errors"][0]["pointer"]) == (422, "/registry_no")
    assert (await world.call("POST", f"/{message_id}/redrive")).status_code == 409
    assert (await ask("DELETE", "/consumers/hr")).status_code == 204
    assert (await world.call("POST", "/leases", json={"consumer": "hr"})).status_code == 404
    assert (await world.call("GET", f"/{message_id}")).json()["consumer"] == "default"
    ack = {"lease_token": leased["lease_token"], "registry_no": "1"}
    assert (await world.call("POST", f"/{message_id}/ack", json=ack)).status_code == 200


async def test_what_the_scanner_withheld_is_had_by_nobody_until_a_person_releases_it(world: World) -> None:
    message_id = await world.arrive(state="quarantined", reason_code="virus-found", reason="found", available_at=None)
    documented = (await world.gateway.http.get("/openapi.json")).json()["paths"]
    for path in ("package", "raw", "parts/1", "routing"):
        answer = await world.call("GET", f"/{message_id}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, "state-conflict"), path
        template = path.replace("parts/1", "parts/{number}")
        assert "409" in documented[f"/v1/inbound-messages/{{message_id}}/{template}"]["get"]["responses"], path
    order = {"decided_by": "G. Deneme", "reason": "Yanlış alarm."}
    assert (await world.call("POST", f"/{message_id}/release", json=order)).status_code == 403
    operators = [
        await world.gateway.key("admin", institutions=(number,), client_id=f"operator-{number}")
        for number in (10000006, 10000001)
    ]
    answers = [await world.call("POST", f"/{message_id}/release", key=key, json=order) for key in operators]
    assert [answer.status_code for answer in answers] == [404, 200], "of another institution it is not there"
    assert (answers[1].json()["state"], answers[1].json()["reason_code"]) == ("parsed", None)
    raw = await world.call("GET", f"/{message_id}/raw")
    assert (raw.status_code, raw.content) == (200, RAW)
    for changes in ({"decided_by": ""}, {"reason": ""}, {"reason": "x" * 1001}):
        answer = await world.call("POST", f"/{message_id}/release", key=operators[1], json=order | changes)
        assert answer.status_code == 422, changes
    answer = await world.call("POST", f"/{message_id}/release", key=operators[1], json=order)
    assert (answer.status_code, answer.json()["code"]) == (409, "state-conflict")
