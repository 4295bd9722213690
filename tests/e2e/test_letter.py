"""The main job over real processes: one letter, its evidence, and everything that is refused on the way in."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from services.cli.journey import Correspondents, Journey, Package, play
from services.cli.supervisor.state import SERVICES
from tests.support.stack import (
    MEDIA_TYPE,
    PATIENCE,
    PROCESSES,
    A,
    B,
    Stack,
    codes,
    problem,
    recipient_of,
    wait_until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_journey(stack: Stack, tmp_path: Path) -> None:
    package, file = stack.package(), tmp_path / "package"
    file.write_bytes(package)
    copies_before = stack.delivered_packages()
    who = Correspondents(stack.sender, A, stack.recipient, B, stack.institution(B)["name"])
    told: list[str] = []
    journey = play(who, Package(file, "letter.eyp"), told.append, seconds=PATIENCE)
    assert isinstance(journey, Journey)
    assert journey.sha256 == hashlib.sha256(package).hexdigest()
    assert journey.state == "read"
    assert journey.evidence == (10, 20, 40, 60)
    assert len(journey.stations) == len(told)
    new = list(stack.delivered_packages())
    for digest in copies_before:
        new.remove(digest)
    assert new == [journey.sha256], "once at the recipient's mailbox, byte for byte"


def test_a_letter_in_every_detail(stack: Stack) -> None:
    package, correlation = stack.package(), f"e2e-{uuid4()}"
    sent = stack.send(package, headers={"X-Correlation-ID": correlation})
    assert sent["state"] == "queued"
    assert sent["package_sha256"] == hashlib.sha256(package).hexdigest()

    delivered = stack.wait_for(sent["message_id"], "delivered")
    recipient = recipient_of(delivered)
    assert recipient["kep_address"] == stack.institution(B)["kep_address"]
    assert recipient["address_source"] == "live"
    assert recipient["attention"] == []
    assert recipient["attempts"] == 1
    assert recipient["delivered_at"] is not None
    assert stack.copies(sent) == 1

    letter, token = _lease(stack, sent)
    assert letter["conclusion"] == "passed"
    assert letter["sender_address"] == stack.institution(A)["kep_address"]
    assert _download(stack.recipient, f"/inbound-messages/{letter['message_id']}/package") == package
    assert recipient_of(stack.message(sent["message_id"]))["read_at"] is None, "a lease is not yet a receipt"
    verification = stack.recipient.json("GET", f"/inbound-messages/{letter['message_id']}/verification")
    components = {item["component"]: item["report"]["conclusion"] for item in verification["components"]}
    assert {"envelope", "sender-signature", "package-signature", "package-seal"} <= set(components)
    assert set(components.values()) == {"passed"}
    stack.recipient.json(
        "POST", f"/inbound-messages/{letter['message_id']}/ack", json={"lease_token": token, "registry_no": "2026-1"}
    )

    stack.wait_for(sent["message_id"], "read")
    records = stack.evidence(sent["message_id"])
    assert codes(records) == [10, 20, 40, 60]
    for record in records:
        assert record["signature_conclusion"] == "passed"
        for form in ("evidence", "mail"):
            path = f"/outbound-messages/{sent['message_id']}/evidence/{record['evidence_id']}/content?form={form}"
            content = _download(stack.sender, path)
            if form == "evidence":
                assert hashlib.sha256(content).hexdigest() == record["sha256"]
                assert len(content) == record["size"]
            else:
                assert b"Content-Type: multipart/signed" in content
    issued = stack.control("GET", "/evidence", params={"message_id": recipient["message_id_header"]}).json()
    assert sorted(item["code"] for item in issued) == [10, 20, 40, 60]
    assert {item["identifier"] for item in issued} == {record["identifier"] for record in records}

    states = [event["to_state"] for event in stack.events(sent["message_id"]) if event["to_state"]]
    order = ["queued", "submitting", "submitted", "accepted", "relayed", "delivered", "read"]
    assert [state for state in states if state in order] == sorted(states, key=order.index)
    assert states[-1] == "read"

    # The id the client gave joins the logs of everyone who had a hand in it.
    for name in ("gateway", "kep_relay", "signer"):
        wait_until(
            lambda name=name: any(line.get("correlation_id") == correlation for line in stack.log_lines(name)),
            PATIENCE,
            f"the correlation id in the log of {name}",
        )
    # Also what came back by mail, which began under ids of its own.
    folded = [
        line for line in stack.log_lines("kep_relay")
        if line.get("correlation_id") == correlation and line["event"] == "evidence_folded"
    ]  # fmt: skip
    assert sorted(line["code"] for line in folded) == [10, 20, 40, 60]
    assert {line["message_id"] for line in folded} == {sent["message_id"]}
    assert all(line["arrived_under"] not in {"", correlation} for line in folded)


def _lease(stack: Stack, sent: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """B's lease of the letter ``sent``."""
    wanted = recipient_of(sent)["message_id_header"].strip("<>")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        leased = stack.recipient.json(
            "POST", "/inbound-messages/leases", json={"max": 100, "seconds": PATIENCE, "wait": 2}
        )
        found = None
        for letter in leased["messages"] if leased else []:
            if (letter["message_id_header"] or "").strip("<>") == wanted:
                found = letter
                continue
            path = f"/inbound-messages/{letter['message_id']}/nack"
            # Each is touched once: one that comes round too often is dead.
            stack.recipient.json("POST", path, json={"lease_token": leased["lease_token"], "delay_seconds": PATIENCE})
        if found is not None:
            return found, leased["lease_token"]
    pytest.fail("B was not given the letter")


def _download(api: Any, path: str) -> bytes:
    return bytes(api.call("GET", path).content)


def test_answer_is_replayed(stack: Stack) -> None:
    package, key = stack.package(), str(uuid4())
    first = stack.post(package, headers={"Idempotency-Key": key})
    second = stack.post(package, headers={"Idempotency-Key": key})
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json() == first.json()
    assert (first.headers["Idempotency-Replayed"], second.headers["Idempotency-Replayed"]) == ("false", "true")
    stack.wait_for(first.json()["message_id"], "delivered")
    assert stack.copies(first.json()) == 1
    assert sum(digest == hashlib.sha256(package).hexdigest() for digest in stack.delivered_packages()) == 1


SCRIPTED: dict[int, tuple[str, list[int], str | None]] = {
    # DETSİS number: state, evidence, what the reason names
    10000003: ("delivered", [10, 40], None),  # the same provider: nothing is relayed
    10000011: ("undelivered", [10, 20, 41], "evidence.41"),  # full@
    10000012: ("relay_failed", [10, 31], "evidence.31"),  # down@
    10000013: ("relay_failed", [10, 21], "evidence.21"),  # reject@
    10000014: ("delivered", [10, 20, 40], None),  # slow@
    10000015: ("delivered", [10, 31, 40], None),  # late40@: the later 40 wins over 31
    10000016: ("undelivered", [10, 20, 41], "evidence.41"),  # unknown@
    10000017: ("rejected", [11], "evidence.11"),  # refuse@
    10000018: ("accepted", [10], None),  # lost@
    10000019: ("delivered", [10, 20, 40], None),  # repeated@
    10000020: ("delivered", [10, 20, 40], None),  # disordered@
}


def test_every_scripted_fate_ends_where_evidence_leads(stack: Stack) -> None:
    sent = {number: stack.send(stack.package(number), number)["message_id"] for number in SCRIPTED}
    for number, (state, evidence, reason_code) in SCRIPTED.items():
        message = stack.wait_for(sent[number], state)
        found = wait_until(
            lambda number=number, evidence=evidence: (
                records if set(evidence) <= set(codes(records := stack.evidence(sent[number]))) else None
            ),
            PATIENCE,
            f"evidence {evidence} for {number}",
        )
        message = stack.wait_for(sent[number], state)
        recipient = recipient_of(message)
        assert set(codes(found)) == set(evidence), number
        assert recipient["evidence_codes"] == sorted(evidence), number
        if reason_code is not None:
            assert recipient["reason_code"] == reason_code, number
        assert ("evidence_contradiction" in recipient["attention"]) == (number == 10000015), number
        failed = state in {"undelivered", "relay_failed", "rejected"}
        assert (recipient["delivered_at"] is not None) == (state == "delivered"), number
        assert failed == (reason_code is not None)
    ledger = stack.ledger()
    assert ledger["outbound"]["imbalance"] == ledger["inbound"]["imbalance"] == 0


# What is refused leaves nothing behind


@pytest.fixture
def nothing_stored(stack: Stack) -> Iterator[None]:
    """Around a refused request: no letter more, no file more, nothing on its way."""
    before = stack.stored_files(), stack.ledger()["outbound"]["accepted"], len(stack.folder(A, "Sent"))
    yield
    after = stack.stored_files(), stack.ledger()["outbound"]["accepted"], len(stack.folder(A, "Sent"))
    assert after[0] - before[0] == set()
    assert after[1:] == before[1:]


def _to(number: int, **more: Any) -> dict[str, Any]:
    return {"institution_no": A, "recipients": [{"detsis_no": number}], **more}


REFUSED: dict[str, tuple[Callable[[Stack], httpx.Response], int, str]] = {
    "unknown recipient": (lambda s: s.post(s.package(), _to(10999999)), 422, "recipient-unknown"),
    "inactive recipient": (lambda s: s.post(s.package(), _to(10000031)), 422, "recipient-inactive"),
    "no KEP address": (lambda s: s.post(s.package(), _to(10000032)), 422, "recipient-kep-missing"),
    "not a package": (lambda s: s.post(b"%PDF-1.7 not a package"), 422, "not-a-package"),
    "an empty file": (lambda s: s.post(b""), 422, "not-a-package"),
    "half a package": (lambda s: s.post(s.package()[:6000]), 422, "package-invalid"),
    "over the limit": (lambda s: s.post(b"PK\x03\x04" + bytes(20_000_001)), 413, "too-large"),
    "another digest": (lambda s: s.post(s.package(), _to(B, package_sha256="0" * 64)), 422, "digest-mismatch"),
    "another institution": (
        lambda s: s.post(s.package(), {"institution_no": B, "recipients": [{"detsis_no": A}]}),
        403,
        "institution-forbidden",
    ),
    "malformed JSON": (lambda s: s.post(s.package(), '{"institution_no": 1000'), 400, "malformed-request"),
    "a field nobody knows": (lambda s: s.post(s.package(), _to(B, urgent=True)), 422, "validation-failed"),
    "no recipient": (
        lambda s: s.post(s.package(), {"institution_no": A, "recipients": []}),
        422,
        "validation-failed",
    ),
    "no Idempotency-Key": (
        lambda s: s.post(s.package(), headers={"Idempotency-Key": ""}),
        400,
        "idempotency-key-missing",
    ),
    "no API key": (lambda s: s.post(s.package(), headers={"Authorization": ""}), 401, "unauthenticated"),
    "a wrong API key": (
        lambda s: s.post(s.package(), headers={"Authorization": "Bearer kepgw_000000000000_" + "0" * 48}),
        401,
        "unauthenticated",
    ),
    "not a form": (lambda s: _plain_post(s, b"{}", "application/json"), 415, "unsupported-media-type"),
    "a form that ends early": (lambda s: _plain_post(s, _form(s.package())[:-3000], "multipart/form-data; boundary=xyz"), 400, "upload-truncated"),
}  # fmt: skip


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("case", REFUSED)
def test_refused(stack: Stack, case: str) -> None:
    request, status, code = REFUSED[case]
    answer = request(stack)
    assert (answer.status_code, problem(answer)) == (status, code), answer.text
    body = answer.json()
    assert body["trace_id"] == answer.headers["X-Correlation-ID"]
    assert body["status"] == status
    assert body["title"]
    _is_documented(stack, body)


def _is_documented(stack: Stack, body: dict[str, Any]) -> None:
    page = httpx.get(f"{stack.url}{body['type']}", trust_env=False, timeout=PATIENCE)
    assert page.status_code == 200
    assert body["code"] in page.text
    document = httpx.get(f"{stack.url}/openapi.json", trust_env=False, timeout=PATIENCE).json()
    answers = document["paths"]["/v1/outbound-messages"]["post"]["responses"]
    assert body["code"] in json.dumps(answers[str(body["status"])])


def _plain_post(stack: Stack, body: bytes, content_type: str) -> httpx.Response:
    headers = {
        "Authorization": f"Bearer {stack.gateway.keys[str(A)]}",
        "Idempotency-Key": str(uuid4()),
        "Content-Type": content_type,
    }
    return httpx.post(
        f"{stack.url}/v1/outbound-messages", content=body, headers=headers, trust_env=False, timeout=PATIENCE
    )


def _form(package: bytes) -> bytes:
    return (
        b'--xyz\r\nContent-Disposition: form-data; name="message"\r\nContent-Type: application/json\r\n\r\n'
        + json.dumps(_to(B)).encode()
        + b'\r\n--xyz\r\nContent-Disposition: form-data; name="package"; filename="a.eyp"\r\n'
        + f"Content-Type: {MEDIA_TYPE}\r\n\r\n".encode()
        + package
        + b"\r\n--xyz--\r\n"
    )


@pytest.mark.usefixtures("nothing_stored")
def test_connection_ends_in_the_middle_of_the_upload(stack: Stack) -> None:
    body, address = _form(stack.package()), urlsplit(stack.url)
    correlation = f"e2e-{uuid4()}"
    head = (
        f"POST /v1/outbound-messages HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(body)}\r\n"
        f"Authorization: Bearer {stack.gateway.keys[str(A)]}\r\nIdempotency-Key: {uuid4()}\r\n"
        f"X-Correlation-ID: {correlation}\r\nContent-Type: multipart/form-data; boundary=xyz\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port)) as link:
        link.sendall(head.encode() + body[: len(body) // 2])
    # Nobody is there to answer; the request must be over all the same.
    wait_until(
        lambda: [line for line in stack.log_lines("gateway") if line.get("correlation_id") == correlation
                 and line["event"] == "request"],
        PATIENCE,
        "the gateway is done with the broken upload",
    )  # fmt: skip


def test_key_reused_for_another_body(stack: Stack) -> None:
    key = str(uuid4())
    first = stack.post(stack.package(), headers={"Idempotency-Key": key})
    assert first.status_code == 202
    stack.wait_for(first.json()["message_id"], "delivered")
    before = stack.ledger()["outbound"]["accepted"], stack.stored_files()
    again = stack.post(stack.package(), headers={"Idempotency-Key": key})
    assert (again.status_code, problem(again)) == (422, "idempotency-key-reused")
    _is_documented(stack, again.json())
    assert stack.ledger()["outbound"]["accepted"] == before[0]
    assert stack.stored_files() - before[1] == set()


def test_key_of_a_refused_request_is_free_again(stack: Stack) -> None:
    package, key = stack.package(), str(uuid4())
    refused = stack.post(package, _to(B, package_sha256="0" * 64), headers={"Idempotency-Key": key})
    assert problem(refused) == "digest-mismatch"
    accepted = stack.post(package, headers={"Idempotency-Key": key})
    assert accepted.status_code == 202
    stack.wait_for(accepted.json()["message_id"], "delivered")


def test_other_institutions_see_nothing(stack: Stack) -> None:
    sent = stack.send()
    stack.wait_for(sent["message_id"], "delivered")
    record = stack.evidence(sent["message_id"])[0]
    for path in ("", "/events", "/evidence", f"/evidence/{record['evidence_id']}/content"):
        answer = _get(stack, f"/v1/outbound-messages/{sent['message_id']}{path}", stack.gateway.keys[str(B)])
        assert (answer.status_code, problem(answer)) == (404, "not-found")


def _get(stack: Stack, path: str, key: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.get(f"{stack.url}{path}", headers=headers, trust_env=False, timeout=PATIENCE)


# What an operator sees


@pytest.mark.parametrize("name", PROCESSES)
def test_operators_interface(stack: Stack, name: str) -> None:
    assert stack.ops(name, "/livez").status_code == 200
    ready = stack.ops(name, "/readyz")
    assert ready.status_code == 200, ready.text
    assert set(ready.json()["checks"].values()) == {"ok"}
    metrics = stack.metrics(name)
    assert metrics["kepgw_ready", (("check", next(iter(ready.json()["checks"]))),)] == 1
    assert metrics["process_resident_memory_bytes", ()] > 0
    if name in SERVICES:
        assert any(sample.startswith("kepgw_http_requests") for sample, _labels in metrics)
    if name == "kep_relay":
        for direction in ("outbound", "inbound"):
            assert stack.metric(name, "kepgw_ledger_imbalance_messages", direction=direction) == 0


def test_documentation_needs_no_other_host(stack: Stack) -> None:
    for page in ("/docs", "/redoc", "/problems"):
        answer = _get(stack, page)
        assert answer.status_code == 200
        assert "text/html" in answer.headers["content-type"]
        for link in re.findall(r'(?:src|href|data-document|spec-url)="([^"]*)"', answer.text):
            assert link.startswith("/"), f"{page} reaches for {link}"
            assert _get(stack, link).status_code == 200, link
        policy = answer.headers["content-security-policy"]
        assert "http:" not in policy
        assert "https:" not in policy


def test_secrets_stay_out_of_the_logs(stack: Stack) -> None:
    secrets = [item["password"] for item in stack.world["institutions"] if item["password"]]
    secrets += [account["password"] for account in stack.world["detsis"]["accounts"]]
    secrets += [*stack.gateway.keys.values(), stack.gateway.admin_key]
    secrets += json.loads(stack.gateway.state.secret("service_tokens.json")).values()
    for name in PROCESSES:
        text = "\n".join(json.dumps(line, ensure_ascii=False) for line in stack.log_lines(name))
        assert not [secret for secret in secrets if secret in text], name
