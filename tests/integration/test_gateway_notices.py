"""Ordering a notice of refusal over the public interface."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.kep_relay.tables import AcceptanceRow, InboundMessageRow, RawMailRow
from shared.domain.identifiers import new_id
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.neighbours import ServedRelay, served_relay
from tests.support.relay import START

OWNER = 10000001
ORDER = {"decided_by": "G. Deneme"}


@dataclass
class World:
    gateway: RunningGateway
    relay: ServedRelay
    key: str

    async def order(self, message_id: UUID, idempotency_key: str | None = "first", **changes: Any) -> httpx.Response:
        headers = {"X-Api-Key": changes.pop("key", self.key)}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        path = f"/v1/inbound-messages/{message_id}/refusal-notice"
        return await self.gateway.http.post(path, headers=headers, json=ORDER | changes)

    async def get(self, path: str) -> Any:
        answer = await self.gateway.http.get(path, headers={"X-Api-Key": self.key})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, **changes: Any) -> UUID:
        """A refused letter of another administration."""
        message_id, raw_id, sha256 = new_id(), new_id(), hashlib.sha256(b"mail").hexdigest()
        async with self.relay.relay.deps.database.unit_of_work() as work:
            work.session.add(
                RawMailRow(
                    raw_mail_id=raw_id, mailbox_id="a-1", institution_no=OWNER, folder="INBOX", uidvalidity=1,
                    uid=raw_id.int % 2**31, sha256=sha256, size=4, received_at=START, state="ingested",
                )
            )  # fmt: skip
            await work.session.flush()
            work.session.add(
                InboundMessageRow(
                    message_id=message_id, institution_no=OWNER, mailbox_id="a-1",
                    mailbox_address="kurum.a@hs98.kep.tr", raw_mail_id=raw_id, raw_sha256=sha256, raw_size=4,
                    kind="letter", state="available", message_key=str(message_id), original_sha256=sha256,
                    original_size=4, sender_address="b@hs99.kep.tr", message_id_header="<letter@b>",
                    verifications=1, received_at=START, updated_at=START,
                )
            )  # fmt: skip
            await work.session.flush()
            fields: dict[str, Any] = {
                "message_id": message_id, "institution_no": OWNER, "state": "refused", "rule": "L.9",
                "rules_of": START.date(), "started_at": START, "due_at": START + timedelta(days=4),
                "last_day": (START + timedelta(days=4)).date(), "estimated": False, "decided_at": START,
                "decided_by": "F. Örnek", "reasons": [{"rule": "R.30", "text": "Ek yok."}],
            }  # fmt: skip
            work.session.add(AcceptanceRow(**(fields | changes)))
        return message_id


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with (
        served_relay(database_url, tmp_path / "blobs") as relay,
        running_gateway(database_url, tmp_path, kep_relay_url=relay.url, clock=relay.relay.clock) as gateway,
    ):
        await gateway.institution(OWNER)
        key = await gateway.key("messages:send", "messages:read", institutions=(OWNER,), client_id="ebys")
        yield World(gateway, relay, key)


async def test_it_is_ordered_once_and_followed_like_a_letter(world: World) -> None:
    message_id = await world.refused()
    answer = await world.order(message_id, text="Ek ayrıca gönderilebilir.")
    assert answer.status_code == 202, answer.text
    notice = answer.json()
    assert (notice["kind"], notice["reply_to"], notice["state"]) == ("notice", str(message_id), "queued")
    assert answer.headers["location"] == f"/v1/outbound-messages/{notice['message_id']}"
    assert (await world.get(answer.headers["location"]))["kind"] == "notice"
    assert (await world.get(f"/v1/inbound-messages/{message_id}"))["refusal_notice_id"] == notice["message_id"]
    listed = (await world.get("/v1/outbound-messages"))["messages"]
    assert [item["message_id"] for item in listed] == [notice["message_id"]]
    history = await world.get(f"{answer.headers['location']}/events")
    assert [(item["kind"], item["detail"]) for item in history][1] == (
        "notice_ordered", f"refusal of {message_id}, sent by order of G. Deneme",
    )  # fmt: skip
    again = await world.order(message_id, text="Ek ayrıca gönderilebilir.")
    assert (again.json(), again.headers["idempotency-replayed"]) == (notice, "true")
    other_key = await world.order(message_id, "second", text="Ek ayrıca gönderilebilir.")
    assert (other_key.status_code, other_key.json()["message_id"]) == (202, notice["message_id"])
    assert other_key.headers["location"] == answer.headers["location"]
    assert (await world.order(message_id, "third")).json()["code"] == "state-conflict"
    assert (await world.order(message_id, "first")).json()["code"] == "idempotency-key-reused"
    proof = await world.gateway.http.get(
        f"{answer.headers['location']}/proof", headers={"X-Api-Key": world.key}, timeout=60
    )
    assert proof.status_code == 200, proof.text
    with zipfile.ZipFile(io.BytesIO(proof.content)) as archive:
        assert "Ek ayrıca gönderilebilir." in archive.read("notice/text.txt").decode()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"idempotency_key": None}, 400, "idempotency-key-missing"),
        ({"decided_by": ""}, 422, "validation-failed"),
        ({"decided_by": "a\nb"}, 422, "validation-failed"),
        ({"text": "x" * 2001}, 422, "validation-failed"),
        ({"reasons": []}, 422, "validation-failed"),
    ],
)
async def test_orders_that_are_none(world: World, changes: dict[str, Any], status: int, code: str) -> None:
    answer = await world.order(await world.refused(), **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_who_only_takes_letters_sends_no_notice(world: World) -> None:
    reader = await world.gateway.key("inbound:consume", institutions=(OWNER,), client_id="reader")
    answer = await world.order(await world.refused(), key=reader)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope-missing")


async def test_what_was_refused_can_be_ordered_again_with_the_same_key(world: World) -> None:
    message_id = await world.refused(state="deemed-accepted", decided_by=None, decided_rule="L.10", reasons=[])
    answer = await world.order(message_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "state-conflict")
    assert (await world.order(message_id)).json()["code"] == "state-conflict"
