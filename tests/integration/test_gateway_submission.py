"""Handing a letter over: what 202 promises, what is refused, and that it happens once whatever breaks."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from shared.clock import FixedClock
from shared.eyp import SecurityCode
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.neighbours import ServedDirectory, ServedRelay, served_directory, served_relay
from tests.unit.eyp import letters

PACKAGE = letters.package()
SHA256 = hashlib.sha256(PACKAGE).hexdigest()
BAD_PACKAGE = letters.changed(PACKAGE, Ustveri=letters.replacing("Ğüzel", "Başka"))
START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@dataclass
class World:
    gateway: RunningGateway
    relay: ServedRelay
    directory: ServedDirectory
    clock: FixedClock
    key: str
    database_url: str

    async def submit(
        self,
        idempotency_key: str | None = "k1",
        package: bytes | None = PACKAGE,
        key: str | None = None,
        **message: Any,
    ) -> httpx.Response:
        body = {"recipients": [{"detsis_no": 10000002}], **message}
        files: dict[str, Any] = {"message": (None, json.dumps(body), "application/json")}
        if package is not None:
            files["package"] = ("yazı.eyp", package, "application/octet-stream")
        headers = {"X-Api-Key": key or self.key, "Accept-Language": "en"}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        return await self.gateway.http.post("/v1/outbound-messages", files=files, headers=headers)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        headers = {"X-Api-Key": self.key, **options.pop("headers", {})}
        return await self.gateway.http.get(path, headers=headers, **options)

    def count(self, statement: str) -> int:
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(statement.encode()).fetchone()
        assert row is not None
        return int(row[0])

    @property
    def letters(self) -> int:
        return self.count("SELECT count(*) FROM kep_relay.outbound_messages")

    @property
    def keys(self) -> int:
        return self.count("SELECT count(*) FROM gateway.idempotency_keys")

    def spooled(self) -> list[Path]:
        return list(self.gateway.settings.spool_directory.iterdir())


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    clock = FixedClock(START)
    async with (
        served_relay(database_url, tmp_path / "blobs") as relay,
        served_directory(database_url) as directory,
        running_gateway(
            database_url, tmp_path, clock=clock, kep_relay_url=relay.url, detsis_sync_url=directory.url
        ) as gateway,
    ):
        await directory.unit(10000002, "Deneme Müdürlüğü", address="deneme@hs99.kep.tr")
        await directory.unit(10000003, "Kapalı Birim", active=False, address="kapali@hs99.kep.tr")
        await directory.unit(10000004, "Adressiz Birim")
        await directory.unit(10000005, "Pasif Adresli", address="pasif@hs99.kep.tr", address_active=False)
        await gateway.institution(10000001)
        await gateway.institution(10000006)
        key = await gateway.key("messages:send", "messages:read", institutions=(10000001,))
        yield World(gateway, relay, directory, clock, key, database_url)


async def test_202_means_the_bytes_and_the_letter_are_stored(world: World) -> None:
    answer = await world.submit(client_ref="E-1", package_sha256=SHA256.upper(), subject="Konu")
    assert answer.status_code == 202, answer.text
    letter = answer.json()
    assert answer.headers["location"] == f"/v1/outbound-messages/{letter['message_id']}"
    assert answer.headers["idempotency-replayed"] == "false"
    assert (letter["state"], letter["client_ref"], letter["subject"]) == ("queued", "E-1", "Konu")
    assert (letter["package_sha256"], letter["package_size"]) == (SHA256, len(PACKAGE))
    assert (letter["document_id"], letter["package_filename"]) == (letters.DOCUMENT_ID, "yazı.eyp")
    assert await world.relay.relay.deps.blobs.get(SHA256, limit=10_000_000) == PACKAGE
    assert await world.relay.relay.jobs("kep_relay.submit") == [letter["recipients"][0]["recipient_id"]]
    assert UUID(letter["message_id"]).version == 7
    assert world.spooled() == []
    read = await world.get(answer.headers["location"])
    assert read.json()["recipients"] == letter["recipients"]
    unchanged = await world.get(answer.headers["location"], headers={"If-None-Match": read.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_the_subject_is_the_letters_own_unless_given(world: World) -> None:
    assert (await world.submit()).json()["subject"] == "Ğüzel bir deneme & <işaret>"


async def test_a_repeat_is_answered_with_the_first_answer(world: World) -> None:
    first = await world.submit(client_ref="a")
    again = await world.submit(client_ref="a")
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert world.letters == 1
    other = await world.submit("k2", client_ref="a")
    assert other.json()["message_id"] != first.json()["message_id"]


async def test_a_key_with_another_request_is_refused(world: World) -> None:
    assert (await world.submit(client_ref="a")).status_code == 202
    for change in ({"client_ref": "b"}, {"client_ref": "a", "package": letters.package(subject="x")}):
        answer = await world.submit(**change)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")
    assert world.letters == 1


async def test_keys_of_different_clients_do_not_meet(world: World) -> None:
    other = await world.gateway.key("messages:send", institutions=(10000001,), client_id="other")
    assert (await world.submit()).json()["message_id"] != (await world.submit(key=other)).json()["message_id"]


async def test_many_at_once_with_one_key_make_one_letter(world: World) -> None:
    answers = await asyncio.gather(*(world.submit() for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert all(answer.headers.get("retry-after") for answer in answers if answer.status_code == 409)
    ids = {answer.json()["message_id"] for answer in answers if answer.status_code == 202}
    assert len(ids) == 1
    assert world.letters == 1


REFUSALS: list[tuple[dict[str, Any], int, str, str | None]] = [
    ({"idempotency_key": None}, 400, "idempotency-key-missing", None),
    ({"package": None}, 422, "validation-failed", "/package"),
    ({"package": b""}, 422, "not-a-package", None),
    ({"package": b"%PDF-1.7 not a package"}, 422, "not-a-package", None),
    ({"package": PACKAGE[:-100]}, 422, "package-invalid", None),
    ({"package": BAD_PACKAGE}, 422, "package-invalid", "/package/~1NihaiOzet~1NihaiOzet.xml"),
    ({"package_sha256": "0" * 64}, 422, "digest-mismatch", "/message/package_sha256"),
    ({"recipients": []}, 422, "validation-failed", "/message/recipients"),
    ({"surprise": 1}, 422, "validation-failed", "/message/surprise"),
    ({"institution_no": 10000006}, 403, "institution-forbidden", None),
    ({"expires_at": "2020-01-01T00:00:00Z"}, 422, "validation-failed", "/message/expires_at"),
    ({"recipients": [{"detsis_no": 19999999}]}, 422, "recipient-unknown", "/message/recipients/0/detsis_no"),
    ({"recipients": [{"detsis_no": 10000002}, {"detsis_no": 10000003}]}, 422, "recipient-inactive",
     "/message/recipients/1/detsis_no"),
    ({"recipients": [{"detsis_no": 10000004}]}, 422, "recipient-kep-missing", "/message/recipients/0/detsis_no"),
    ({"recipients": [{"detsis_no": 10000005}]}, 422, "recipient-kep-inactive", "/message/recipients/0/detsis_no"),
]  # fmt: skip


async def test_what_is_wrong_is_said_and_leaves_nothing(world: World) -> None:
    for number, (change, status, code, pointer) in enumerate(REFUSALS):
        answer = await world.submit(**{"idempotency_key": f"k{number}", **change})
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code), answer.text
        assert not problem["retryable"]
        assert pointer is None or pointer in [item["pointer"] for item in problem["errors"]]
        assert (world.letters, world.keys, world.spooled()) == (0, 0, [])
    assert [call for call in world.relay.line.calls if call[0] == "PUT"] == []
    assert (await world.submit("k5")).status_code == 202, "a refused request's key is free again"


async def test_confidential_letters_never_travel_by_kep_whatever_the_policy(world: World) -> None:
    await world.gateway.institution(10000001, package_findings="pass", signatures="pass")
    for degree in (SecurityCode.SECRET, SecurityCode.TOP_SECRET):
        answer = await world.submit(package=letters.package(security_code=degree))
        assert (answer.status_code, answer.json()["code"]) == (422, "confidentiality-forbidden")
    assert world.letters == 0


async def test_the_institutions_policy_decides_about_findings(world: World) -> None:
    for policy, expected in (("warn", True), ("pass", False)):
        await world.gateway.institution(10000001, package_findings=policy, signatures="pass")
        answer = await world.submit(policy, package=BAD_PACKAGE)
        assert answer.status_code == 202, answer.text
        assert bool(answer.json()["package_findings"]) is expected
        assert answer.json()["package_sha256"] == hashlib.sha256(BAD_PACKAGE).hexdigest()


async def test_signatures_that_cannot_be_checked_are_said_or_waited_for(world: World) -> None:
    """The signer is away: ``warn`` accepts and says so, ``refuse`` asks to come back."""
    rules = [finding["rule"] for finding in (await world.submit()).json()["package_findings"]]
    assert rules.count("signature.not-checked") == 2
    await world.gateway.institution(10000001, signatures="refuse")
    answer = await world.submit("k2")
    assert (answer.status_code, answer.json()["code"]) == (503, "signer-unavailable")
    assert world.letters == 1


async def test_an_institution_without_mailbox_is_told_so(world: World) -> None:
    key = await world.gateway.key("messages:send", institutions=(10000006,), client_id="other")
    answer = await world.submit(key=key)
    assert (answer.status_code, answer.json()["code"]) == (409, "mailbox-missing")
    assert world.keys == 0


async def test_a_key_for_several_institutions_must_name_one(world: World) -> None:
    key = await world.gateway.key("messages:send", institutions=(10000001, 10000006), client_id="both")
    answer = await world.submit(key=key)
    assert answer.json()["errors"][0]["pointer"] == "/message/institution_no"
    assert (await world.submit(key=key, institution_no=10000001)).status_code == 202


async def test_a_directory_that_is_away_does_not_stop_letters(world: World) -> None:
    world.directory.line.down = True
    answer = await world.submit(recipients=[{"detsis_no": 19999999}])
    assert answer.status_code == 202, answer.text


async def test_too_large_packages_are_refused_before_anything_is_kept(database_url: str, tmp_path: Path) -> None:
    async with running_gateway(database_url, tmp_path, max_package_bytes=1000) as gateway:
        await gateway.institution(10000001)
        key = await gateway.key("messages:send", institutions=(10000001,))
        headers = {"X-Api-Key": key, "Idempotency-Key": "k"}
        for size in (1001, 2_000_000):
            files = {"message": (None, '{"recipients":[{"detsis_no":10000002}]}', "application/json"),
                     "package": ("a.eyp", b"x" * size)}  # fmt: skip
            answer = await gateway.http.post("/v1/outbound-messages", files=files, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
        assert list(gateway.settings.spool_directory.iterdir()) == []


async def test_an_upload_that_breaks_off_leaves_nothing(world: World) -> None:
    request = world.gateway.http.build_request(
        "POST", "/v1/outbound-messages",
        files={"message": (None, '{"recipients":[{"detsis_no":10000002}]}', "application/json"), "package": ("a", PACKAGE)},
    )  # fmt: skip
    body = b"".join([chunk async for chunk in request.stream])  # type: ignore[union-attr]
    headers = {"X-Api-Key": world.key, "Idempotency-Key": "k1", "Content-Type": request.headers["content-type"]}
    answer = await world.gateway.http.post("/v1/outbound-messages", content=body[:-300], headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "upload-truncated")
    assert answer.json()["retryable"]
    host, port = world.gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(
        f"POST /v1/outbound-messages HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode()
    )
    writer.write(body[:-300])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await reader.read()
    assert (world.letters, world.keys, world.spooled()) == (0, 0, [])


@pytest.mark.parametrize("step", ["PUT /internal/v1/packages", "PUT /internal/v1/outbound-messages"])
async def test_when_relays_answer_is_lost_a_repeat_continues_with_the_same_letter(world: World, step: str) -> None:
    world.relay.line.lose_answer_of = lambda method, path: f"{method} {path}".startswith(step)
    answer = await world.submit()
    assert (answer.status_code, answer.json()["code"]) == (503, "service-unavailable")
    assert answer.json()["retryable"]
    decided = world.count("SELECT count(DISTINCT message_id) FROM gateway.idempotency_keys WHERE state = 'interrupted'")
    assert decided == 1
    again = await world.submit()
    assert again.status_code == 202, again.text
    assert world.letters == 1
    assert (await world.submit()).content == again.content


async def test_a_letter_that_got_through_stays_accepted_though_its_recipient_closed_meanwhile(world: World) -> None:
    """The answer was lost after the letter was stored: a repeat must not say refused while the letter goes out."""
    world.relay.line.lose_answer_of = lambda method, path: method == "PUT" and "outbound-messages" in path
    assert (await world.submit()).status_code == 503
    with psycopg.connect(world.database_url, autocommit=True) as connection:
        connection.execute("UPDATE detsis_sync.units SET active = false WHERE detsis_no = 10000002")
    assert (await world.submit("k2")).json()["code"] == "recipient-inactive"
    assert (await world.submit()).status_code == 202
    assert world.letters == 1


async def test_while_relay_is_down_nothing_is_accepted_and_afterwards_the_same_key_works(world: World) -> None:
    world.relay.line.down = True
    for _ in range(2):
        answer = await world.submit()
        assert (answer.status_code, answer.json()["code"]) == (503, "service-unavailable")
    world.relay.line.down = False
    assert (await world.submit()).status_code == 202
    assert world.letters == 1


async def test_a_claim_whose_owner_vanished_is_taken_over_after_a_minute(world: World) -> None:
    with psycopg.connect(world.database_url, autocommit=True) as connection:
        world.relay.line.down = True
        await world.submit()
        connection.execute("UPDATE gateway.idempotency_keys SET state = 'claimed', claimed_at = %s", (START,))
        decided = connection.execute("SELECT message_id FROM gateway.idempotency_keys").fetchone()
    world.relay.line.down = False
    answer = await world.submit()
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency-in-progress")
    assert int(answer.headers["retry-after"]) > 0
    world.clock.moment += timedelta(seconds=60)
    answer = await world.submit()
    assert answer.status_code == 202
    assert decided is not None
    assert answer.json()["message_id"] == str(decided[0])


async def test_who_lost_the_claim_does_not_send(world: World) -> None:
    """A slow first try, overtaken after a minute: only one of them reaches the step that cannot be taken back."""
    gate = world.directory.line.gate = asyncio.Event()
    slow = asyncio.create_task(world.submit())
    while world.keys == 0:
        await asyncio.sleep(0.02)
    world.clock.moment += timedelta(seconds=61)
    world.directory.line.gate = None
    overtaking = await world.submit()
    assert overtaking.status_code == 202
    gate.set()
    assert (await slow).status_code == 409
    assert world.letters == 1
    assert (await world.submit()).content == overtaking.content


async def test_lists_events_and_cancel(world: World) -> None:
    ids = [(await world.submit(f"k{n}", client_ref=f"ref-{n}")).json()["message_id"] for n in range(3)]
    first = (await world.get("/v1/outbound-messages", params={"limit": 2})).json()
    rest = (await world.get("/v1/outbound-messages", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert {item["message_id"] for item in first["messages"] + rest["messages"]} == set(ids)
    assert rest["next_cursor"] is None
    found = (await world.get("/v1/outbound-messages", params={"client_ref": "ref-1", "state": "queued"})).json()
    assert [item["message_id"] for item in found["messages"]] == [ids[1]]
    since = {"updated_since": "2026-11-20T08:00:00+00:00"}
    assert len((await world.get("/v1/outbound-messages", params=since)).json()["messages"]) == 3
    assert (await world.get("/v1/outbound-messages", params={"cursor": "garbage"})).status_code == 422
    path = f"/v1/outbound-messages/{ids[0]}"
    assert (await world.get(f"{path}/events")).json()[0]["to_state"] == "queued"
    assert (await world.get(f"{path}/evidence")).json() == []
    missing = await world.get(f"{path}/evidence/{ids[0]}/content")
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")
    cancelled = await world.gateway.http.post(f"{path}/cancel", headers={"X-Api-Key": world.key})
    assert cancelled.json()["message"]["state"] == "cancelled"
    assert len(cancelled.json()["cancelled"]) == 1


async def test_a_resend_happens_once_per_key(world: World) -> None:
    path = (await world.submit()).headers["location"]
    headers = {"X-Api-Key": world.key, "Idempotency-Key": "again"}

    async def resend() -> httpx.Response:
        return await world.gateway.http.post(f"{path}/resend", headers=headers)

    early = await resend()
    assert (early.status_code, early.json()["code"]) == (409, "state-conflict")
    await world.gateway.http.post(f"{path}/cancel", headers=headers)
    world.relay.line.lose_answer_of = lambda _method, path: path.endswith("/resend")
    assert (await resend()).status_code == 503
    first, second = await resend(), await resend()
    assert first.status_code == second.status_code == 202
    assert first.content == second.content
    assert first.json()["resend_of"] == path.rpartition("/")[2]
    assert world.letters == 2
    reused = await world.submit("again")
    assert reused.json()["code"] == "idempotency-key-reused"
    assert (await world.gateway.http.post(f"{path}/resend", headers={"X-Api-Key": world.key})).status_code == 400


async def test_another_institutions_letter_does_not_exist(world: World) -> None:
    path = (await world.submit()).headers["location"]
    stranger = await world.gateway.key("messages:read", "messages:send", institutions=(10000006,), client_id="stranger")
    headers = {"X-Api-Key": stranger, "Idempotency-Key": "x"}
    for method, target in (("GET", path), ("GET", f"{path}/events"), ("GET", f"{path}/evidence"),
                           ("POST", f"{path}/cancel"), ("POST", f"{path}/resend")):  # fmt: skip
        answer = await world.gateway.http.request(method, target, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), target
    assert (await world.gateway.http.get("/v1/outbound-messages", headers=headers)).json()["messages"] == []


async def test_mailboxes_and_ledger(world: World) -> None:
    await world.submit()
    assert (await world.get("/v1/mailboxes")).json()["mailboxes"][0]["mailbox_id"] == "a-1"
    readiness = (await world.get("/v1/mailboxes/a-1/readiness")).json()
    assert not readiness["ready"]
    stranger = await world.gateway.key("messages:read", institutions=(10000006,), client_id="stranger")
    answer = await world.gateway.http.get("/v1/mailboxes/a-1/readiness", headers={"X-Api-Key": stranger})
    assert answer.status_code == 404
    ledger = (await world.gateway.admin("GET", "/v1/ledger")).json()["outbound"]
    assert (ledger["accepted"], ledger["in_flight"], ledger["imbalance"]) == (1, 1, 0)
    body = {"institution_no": 10000006, "address": "b@hs98.kep.tr", "username": "b", "password": "geheim-1",
            "smtp": {"host": "127.0.0.1", "port": 465}, "imap": {"host": "127.0.0.1", "port": 993},
            "signing_key_id": "b"}  # fmt: skip
    answer = await world.gateway.admin("PUT", "/v1/mailboxes/b-1", json=body)
    assert answer.status_code == 200, answer.text
    shown = await world.gateway.admin("GET", "/v1/mailboxes/b-1")
    assert shown.json()["configuration"]["password"] is None
    assert "geheim-1" not in shown.text + answer.text
    body["institution_no"] = 10000007
    assert (await world.gateway.admin("PUT", "/v1/mailboxes/b-2", json=body)).status_code == 404
    assert (await world.gateway.admin("GET", "/v1/mailboxes/nothing")).status_code == 404


async def test_the_directory_answers_through_the_gateway(world: World) -> None:
    key = await world.gateway.key("directory:read", institutions=(10000001,), client_id="reader")
    headers = {"X-Api-Key": key}
    page = (await world.gateway.http.get("/v1/directory/units", params={"q": "deneme"}, headers=headers)).json()
    assert [unit["detsis_no"] for unit in page["units"]] == [10000002]
    unit = await world.gateway.http.get("/v1/directory/units/10000002", headers=headers)
    assert unit.json()["unit"]["sendable"]
    assert unit.headers["cache-control"] == "private, max-age=60"
    etag = {"If-None-Match": unit.headers["etag"]}
    assert (await world.gateway.http.get("/v1/directory/units/10000002", headers=headers | etag)).status_code == 304
    assert (await world.gateway.http.get("/v1/directory/units/19999999", headers=headers)).status_code == 404
    assert (await world.gateway.http.get("/v1/directory/status", headers=headers)).status_code == 200
    body = {"recipients": [10000002, 10000003, 19999999], "mode": "mirror"}
    resolved = (await world.gateway.http.post("/v1/directory/resolve", json=body, headers=headers)).json()
    assert [item["problem"] for item in resolved["recipients"]] == [None, "recipient-inactive", "recipient-unknown"]
    account = {"account_id": "10000001", "endpoint": "https://127.0.0.1:1/x.asmx", "password": "geheim-2"}
    answer = await world.gateway.admin("PUT", "/v1/directory/accounts/10000001", json=account)
    assert answer.status_code == 200, answer.text
    assert "geheim-2" not in answer.text
    run = await world.gateway.admin("POST", "/v1/directory/accounts/10000001/refreshes")
    assert (run.status_code, run.json()["state"]) == (202, "running"), run.text
