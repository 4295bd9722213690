"""The outgoing side's internal HTTP interface."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from services.kep_relay.mailboxes import AddressBook
from services.kep_relay.readiness import ReadinessOfMailboxes
from services.kep_relay.routes.mailboxes import mailbox_routes
from services.kep_relay.routes.outbound import outbound_routes
from services.kep_relay.routes.packages import package_routes
from services.kep_relay.tables import MailboxRow
from shared.contracts.signatures import SigningKey, SigningPurpose
from shared.domain.identifiers import new_id
from shared.http import internal_app
from shared.telemetry.metrics import HttpMetrics, new_registry
from tests.support.relay import PACKAGE, START, Relay, mailbox_configuration, running_relay, submission

LIMIT = 100_000
OURS = {"institution": 10000001}


@pytest.fixture
async def relay(database_url: str, tmp_path: Path) -> AsyncIterator[Relay]:
    async with running_relay(database_url, tmp_path / "blobs") as running:
        yield running


@pytest.fixture
async def http(relay: Relay) -> AsyncIterator[httpx.AsyncClient]:
    async def key(key_id: str) -> SigningKey | None:
        if key_id != "a-signing":
            return None
        return SigningKey(
            key_id=key_id, institution_no=10000001, purposes=[SigningPurpose.KEP_MESSAGE], certificate_sha256="0" * 64,
            subject="KURUM A", not_after=START + timedelta(days=20),
        )  # fmt: skip

    readiness = ReadinessOfMailboxes(
        mailboxes=relay.deps.mailboxes,
        addresses=AddressBook(relay.deps.settings.kep_domains),
        driver=relay.provider,
        key=key,
        clock=relay.clock,
    )
    app = internal_app("kep_relay", tokens={"gateway": SecretStr("t")}, metrics=HttpMetrics(new_registry()))
    for routes in (
        package_routes(relay.deps.blobs, max_bytes=LIMIT),
        outbound_routes(relay.deps.database, relay.deps.blobs, relay.side.acceptance),
        mailbox_routes(relay.deps.database, relay.deps.mailboxes, readiness, relay.ledger),
    ):
        app.include_router(routes, prefix="/internal/v1")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://relay/internal/v1", headers={"Authorization": "Bearer t"}
    ) as client:
        yield client


async def put_letter(http: httpx.AsyncClient, message_id: UUID, *numbers: int, **changes) -> httpx.Response:
    digest = hashlib.sha256(PACKAGE).hexdigest()
    stored = await http.put(f"/packages/{digest}", content=PACKAGE)
    assert stored.json() == {"sha256": digest, "size": len(PACKAGE)}
    body = submission(digest, len(PACKAGE), numbers, **changes)
    return await http.put(f"/outbound-messages/{message_id}", json=body.model_dump(mode="json"))


async def test_a_letter_is_put_read_and_listed(http: httpx.AsyncClient) -> None:
    message_id = new_id()
    created = await put_letter(http, message_id, 10000002, 10000003)
    assert created.status_code == 201
    assert (await put_letter(http, message_id, 10000002, 10000003)).status_code == 200
    assert (await put_letter(http, message_id, 10000004)).json()["code"] == "state-conflict"
    letter = (await http.get(f"/outbound-messages/{message_id}", params=OURS)).json()
    assert letter == created.json()
    assert letter["state"] == "queued"
    assert letter["state_counts"] == {"queued": 2}
    assert (letter["recipients"][0]["message_id_header"]).endswith("@hs98.kep.tr>")
    page = (await http.get("/outbound-messages", params={**OURS, "state": "queued"})).json()
    assert [item["message_id"] for item in page["messages"]] == [str(message_id)]
    assert (await http.get("/outbound-messages", params={**OURS, "state": "read"})).json()["messages"] == []
    events = (await http.get(f"/outbound-messages/{message_id}/events", params=OURS)).json()
    assert [event["kind"] for event in events] == ["handed_over", "handed_over"]
    assert (await http.get(f"/outbound-messages/{message_id}/evidence", params=OURS)).json() == []


async def test_pages_cover_everything_once(http: httpx.AsyncClient, relay: Relay) -> None:
    message_ids = []
    for _ in range(5):
        message_ids.append(str(await relay.hand_over(10000002)))
        relay.clock.moment += timedelta(seconds=1)

    async def walk(**parameters) -> list[str]:
        seen, cursor = [], None
        while True:
            query = {**OURS, "limit": 2, **parameters} | ({"cursor": cursor} if cursor else {})
            page = (await http.get("/outbound-messages", params=query)).json()
            seen += [item["message_id"] for item in page["messages"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return seen

    assert await walk() == message_ids[::-1]
    assert await walk(updated_since=START.isoformat()) == message_ids
    assert await walk(updated_since=(START + timedelta(seconds=3)).isoformat()) == message_ids[3:]
    beyond = base64.urlsafe_b64encode(f"0001-01-01T00:00:00+14:00|{new_id()}".encode()).decode()
    for cursor in ("???", beyond):
        bad = await http.get("/outbound-messages", params={**OURS, "cursor": cursor})
        assert bad.json()["code"] == "validation-failed"


async def test_nothing_of_another_institution_is_visible(http: httpx.AsyncClient) -> None:
    message_id = new_id()
    await put_letter(http, message_id, 10000002)
    other = {"institution": 10000055}
    for method, path, body in (
        ("GET", f"/outbound-messages/{message_id}", None),
        ("GET", f"/outbound-messages/{message_id}/events", None),
        ("GET", f"/outbound-messages/{message_id}/evidence", None),
        ("GET", f"/outbound-messages/{message_id}/evidence/{new_id()}/content", None),
        ("POST", f"/outbound-messages/{message_id}/cancel", None),
        ("POST", f"/outbound-messages/{message_id}/resend", {"message_id": str(new_id())}),
        ("GET", "/mailboxes/a-1/readiness", None),
    ):
        answer = await http.request(method, path, params=other, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), path
        missing = await http.request(method, path, json=body)
        assert missing.json()["code"] == "validation-failed", path
    assert (await http.get("/outbound-messages", params=other)).json()["messages"] == []
    assert (await http.get("/mailboxes", params=other)).json() == []


@pytest.mark.parametrize(
    ("path_digest", "content", "code"),
    [
        (hashlib.sha256(b"other").hexdigest(), PACKAGE, "digest-mismatch"),
        ("zz", PACKAGE, "validation-failed"),
        (hashlib.sha256(b"x" * (LIMIT + 1)).hexdigest(), b"x" * (LIMIT + 1), "too-large"),
    ],
)
async def test_a_package_that_is_not_what_it_claims_is_not_kept(
    http: httpx.AsyncClient, relay: Relay, path_digest: str, content: bytes, code: str
) -> None:
    answer = await http.put(f"/packages/{path_digest}", content=content)
    assert answer.json()["code"] == code
    assert await relay.deps.blobs.size(hashlib.sha256(content).hexdigest()) is None


async def test_what_is_to_be_signed_follows_from_the_package_and_its_name(
    http: httpx.AsyncClient, relay: Relay
) -> None:
    digest = hashlib.sha256(PACKAGE).hexdigest()

    async def content(package: bytes = PACKAGE, **params: str) -> httpx.Response:
        return await http.post(f"/message-contents/{digest}", content=package, params={"filename": "a.EYP"} | params)

    answer = await content(document_id="ABC/1")
    assert answer.headers["X-Content-SHA256"] == hashlib.sha256(answer.content).hexdigest()
    parts = message_from_bytes(answer.content).get_payload()
    assert [part.get_filename() for part in parts] == [None, "ABC-1.eyp"]
    assert parts[1].get_payload(decode=True) == PACKAGE
    assert (await content(document_id="ABC/1", filename="another.eyp")).content == answer.content
    assert (await content(document_id="ABC/2")).content != answer.content
    nameless = message_from_bytes((await content(document_id="")).content).get_payload()
    assert nameless[1].get_filename() == f"{digest[:32]}.eyp"
    assert (await content(b"other")).json()["code"] == "digest-mismatch"
    assert (await content(b"x" * (LIMIT + 1))).json()["code"] == "too-large"
    assert (await http.post("/message-contents/zz", params={"filename": "a"})).json()["code"] == "validation-failed"
    assert await relay.deps.blobs.size(digest) is None


async def test_from_a_mailbox_without_a_key_only_what_brings_its_signature_goes(http: httpx.AsyncClient) -> None:
    body = mailbox_configuration(signing_key_id=None)
    stored = await http.put("/mailboxes/a-1", params=OURS, json=body.model_dump(mode="json"))
    assert stored.json()["configuration"]["signing_key_id"] is None
    checks = {item["id"]: item for item in (await http.get("/mailboxes/a-1/readiness", params=OURS)).json()["checks"]}
    assert (checks["signing-key"]["ok"], checks["certificate"]["ok"]) == (True, True)
    message_id = new_id()
    refused = await put_letter(http, message_id, 10000002)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation-failed")
    assert [item["pointer"] for item in refused.json()["errors"]] == ["/message_signature"]
    assert (await http.get(f"/outbound-messages/{message_id}", params=OURS)).status_code == 404


async def test_cancel_and_resend(http: httpx.AsyncClient) -> None:
    message_id, again = new_id(), new_id()
    await put_letter(http, message_id, 10000002)
    cancelled = (await http.post(f"/outbound-messages/{message_id}/cancel", params=OURS)).json()
    assert len(cancelled["cancelled"]) == 1
    assert cancelled["message"]["state"] == "cancelled"
    path = f"/outbound-messages/{message_id}/resend"
    first = await http.post(path, params=OURS, json={"message_id": str(again)})
    second = await http.post(path, params=OURS, json={"message_id": str(again)})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["resend_of"] == str(message_id)
    assert first.json()["message_id"] == second.json()["message_id"] == str(again)


async def test_a_mailbox_is_configured_without_ever_showing_its_password(http: httpx.AsyncClient, relay: Relay) -> None:
    body = mailbox_configuration(password="s3cret-value")
    answer = await http.put("/mailboxes/a-1", params=OURS, json=body.model_dump(mode="json"))
    assert answer.status_code == 200
    listed = await http.get("/mailboxes", params=OURS)
    assert "s3cret-value" not in answer.text + listed.text
    assert listed.json()[0]["configuration"]["password"] is None
    async with relay.deps.database.reading() as session:
        stored = await session.scalar(select(MailboxRow.password_token))
    assert stored is not None
    assert b"s3cret-value" not in stored
    kept = mailbox_configuration(password=None, username="changed")
    assert (await http.put("/mailboxes/a-1", params=OURS, json=kept.model_dump(mode="json"))).status_code == 200
    second = mailbox_configuration(address="another@hs98.kep.tr")
    conflict = await http.put("/mailboxes/a-2", params=OURS, json=second.model_dump(mode="json"))
    assert conflict.json()["code"] == "state-conflict"
    receiving = mailbox_configuration(address="another@hs98.kep.tr", sends=False)
    assert (await http.put("/mailboxes/a-2", params=OURS, json=receiving.model_dump(mode="json"))).status_code == 201


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"address": "someone@example.com"}, "validation-failed"),
        ({"address": "no address"}, "validation-failed"),
        ({"password": None}, "validation-failed"),
        ({"institution_no": 10000042}, "institution-forbidden"),
    ],
)
async def test_a_mailbox_that_makes_no_sense_is_refused(http: httpx.AsyncClient, changes, code) -> None:
    body = mailbox_configuration(**changes)
    answer = await http.put("/mailboxes/new", params=OURS, json=body.model_dump(mode="json"))
    assert answer.json()["code"] == code


async def test_readiness_names_what_is_missing(http: httpx.AsyncClient, relay: Relay) -> None:
    async def checks() -> dict[str, bool]:
        answer = (await http.get("/mailboxes/a-1/readiness", params=OURS)).json()
        assert answer["ready"] == all(item["ok"] for item in answer["checks"])
        return {item["id"]: item["ok"] for item in answer["checks"]}

    assert await checks() == {
        "configuration": True, "account": True, "submission": True, "polling": False, "signing-key": True,
        "certificate": True,
    }  # fmt: skip
    await relay.execute("UPDATE mailboxes SET last_successful_poll_at = :now", now=relay.clock.moment)
    assert all((await checks()).values())
    relay.clock.moment += timedelta(days=21)
    assert not (await checks())["certificate"]
    await relay.execute("UPDATE mailboxes SET stopped_at = now(), stopped_reason = 'x', signing_key_id = 'gone'")
    assert {name for name, ok in (await checks()).items() if not ok} == {
        "account", "polling", "signing-key", "certificate",
    }  # fmt: skip


async def test_the_ledger_balances(http: httpx.AsyncClient) -> None:
    await put_letter(http, new_id(), 10000002, 10000003)
    ledger = (await http.get("/ledger")).json()
    assert (ledger["outbound"]["accepted"], ledger["outbound"]["in_flight"], ledger["outbound"]["imbalance"]) == (
        2,
        2,
        0,
    )


async def test_a_call_without_the_service_token_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.get("/ledger", headers={"Authorization": "Bearer wrong"})
    assert answer.json()["code"] == "unauthenticated"
