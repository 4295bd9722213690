"""Leases on a real PostgreSQL: nobody gets what another one holds, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.kep_relay.tables import InboundMessageRow, RawMailRow
from shared.clock import FixedClock
from shared.contracts.problems import Problem
from shared.domain.identifiers import new_id
from shared.errors import ErrorCode
from tests.support.inbound import SENDER_NO, Inbound, running_inbound

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINE = {"institution": SENDER_NO}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
async def relay(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Inbound]:
    async with running_inbound(
        database_url, tmp_path, signer_url="http://127.0.0.1:9", clock=clock, max_deliveries=3
    ) as inbound:
        await inbound.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        yield inbound


async def fill(relay: Inbound, number: int) -> list[str]:
    """So many available letters, the first one the oldest."""
    ids = []
    async with relay.deps.database.unit_of_work() as work:
        for position in range(number):
            raw_id, message_id = new_id(), new_id()
            ids.append(str(message_id))
            work.session.add(
                RawMailRow(
                    raw_mail_id=raw_id, mailbox_id="a-1", institution_no=SENDER_NO, folder="INBOX", uidvalidity=1,
                    uid=position + 1, sha256="0" * 64, size=1, received_at=NOW, state="ingested", kind="letter",
                    message_id=message_id,
                )
            )  # fmt: skip
            await work.session.flush()
            work.session.add(
                InboundMessageRow(
                    message_id=message_id, institution_no=SENDER_NO, mailbox_id="a-1",
                    mailbox_address="a@hs98.kep.tr", raw_mail_id=raw_id, raw_sha256="0" * 64, raw_size=1,
                    kind="letter", state="available", message_key=str(position), original_sha256="0" * 64,
                    original_size=1, received_at=NOW, available_at=NOW + timedelta(seconds=position) - timedelta(hours=1),
                    visible_at=NOW - timedelta(hours=1), updated_at=NOW,
                )
            )  # fmt: skip
    return ids


async def take(relay: Inbound, **changes: Any) -> tuple[str, list[str]]:
    body = {"institution_nos": [SENDER_NO], "client_id": "ebys", "max": 10, "seconds": 60} | changes
    answer = await relay.http.post("/inbound-messages/leases", params=MINE, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["lease_token"], [item["message_id"] for item in answer.json()["messages"]]


async def call(relay: Inbound, message_id: str, verb: str, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = await relay.http.post(f"/inbound-messages/{message_id}/{verb}", params=MINE, json=body)
    return answer.status_code, answer.json()


async def fault(relay: Inbound, message_id: str, verb: str, **body: Any) -> ErrorCode:
    answer = await relay.http.post(f"/inbound-messages/{message_id}/{verb}", params=MINE, json=body)
    return Problem.model_validate_json(answer.content).code


async def test_many_at_once_get_every_letter_exactly_once(relay: Inbound) -> None:
    ids = await fill(relay, 100)
    taken = await asyncio.gather(*(take(relay, max=3) for _ in range(60)))
    counted = Counter(message_id for _token, messages in taken for message_id in messages)
    assert counted == Counter(ids)
    assert len({token for token, _messages in taken}) == 60


async def test_oldest_first_and_the_state_shows(relay: Inbound) -> None:
    ids = await fill(relay, 5)
    token, first = await take(relay, max=2)
    assert first == ids[:2]
    assert (await take(relay, max=2))[1] == ids[2:4]
    status, letter = await call(relay, ids[0], "ack", lease_token=token, registry_no="E-1")
    assert (status, letter["state"], letter["registry_no"], letter["delivery_count"]) == (200, "consumed", "E-1", 1)


async def test_acknowledging_again_with_the_same_number_is_the_same(relay: Inbound) -> None:
    (message_id,) = await fill(relay, 1)
    token, _ = await take(relay)
    for given in (token, token, "whatever"):
        status, letter = await call(relay, message_id, "ack", lease_token=given, registry_no="E-1")
        assert (status, letter["registry_no"]) == (200, "E-1")
    assert await fault(relay, message_id, "ack", lease_token=token, registry_no="E-2") is ErrorCode.STATE_CONFLICT


async def test_lost_lease_can_change_nothing(relay: Inbound, clock: FixedClock) -> None:
    (message_id,) = await fill(relay, 1)
    token, _ = await take(relay)
    clock.moment += timedelta(seconds=61)
    for verb, body in (("ack", {"registry_no": "1"}), ("nack", {}), ("renew", {})):
        assert await fault(relay, message_id, verb, lease_token=token, **body) is ErrorCode.LEASE_LOST
    second, messages = await take(relay)
    assert messages == [message_id]
    for verb, body in (("ack", {"registry_no": "1"}), ("nack", {}), ("renew", {})):
        assert await fault(relay, message_id, verb, lease_token=token, **body) is ErrorCode.LEASE_LOST
    assert (await call(relay, message_id, "ack", lease_token=second, registry_no="1"))[0] == 200


async def test_renewed_lease_holds_longer(relay: Inbound, clock: FixedClock) -> None:
    (message_id,) = await fill(relay, 1)
    token, _ = await take(relay)
    clock.moment += timedelta(seconds=50)
    status, leased = await call(relay, message_id, "renew", lease_token=token, seconds=100)
    assert (status, leased["lease_token"]) == (200, token)
    clock.moment += timedelta(seconds=90)
    assert (await take(relay))[1] == []
    assert (await call(relay, message_id, "ack", lease_token=token, registry_no="1"))[0] == 200


async def test_given_back_letter_comes_again_after_its_delay(relay: Inbound, clock: FixedClock) -> None:
    (message_id,) = await fill(relay, 1)
    token, _ = await take(relay)
    status, letter = await call(relay, message_id, "nack", lease_token=token, delay_seconds=30, reason="busy")
    assert (status, letter["state"]) == (200, "available")
    assert (await take(relay))[1] == []
    clock.moment += timedelta(seconds=30)
    assert (await take(relay))[1] == [message_id]


async def test_letter_nobody_confirms_becomes_a_dead_letter_and_can_be_driven_again(
    relay: Inbound, clock: FixedClock
) -> None:
    (message_id,) = await fill(relay, 1)
    for _ in range(3):
        assert (await take(relay))[1] == [message_id]
        clock.moment += timedelta(seconds=61)
        await relay.sweep()
    row = (await relay.letters())[0]
    assert (row.state, row.reason_code) == ("dead_lettered", "too-many-deliveries")
    assert (await take(relay))[1] == []
    assert relay.registry.get_sample_value("kepgw_dead_letters") == 1
    assert (await call(relay, message_id, "redrive"))[1]["state"] == "available"
    token, messages = await take(relay)
    assert messages == [message_id]
    assert (await call(relay, message_id, "ack", lease_token=token, registry_no="1"))[0] == 200
    assert await relay.ledger_imbalance() == 0


async def test_rejecting_too_often_is_a_dead_letter_too(relay: Inbound) -> None:
    (message_id,) = await fill(relay, 1)
    for _ in range(3):
        token, messages = await take(relay)
        assert messages == [message_id]
        _status, letter = await call(relay, message_id, "nack", lease_token=token)
    assert letter["state"] == "dead_lettered"


async def test_waiting_ends_with_the_first_letter(relay: Inbound, clock: FixedClock) -> None:
    assert (await take(relay, wait=0.2))[1] == []
    waiting = asyncio.create_task(take(relay, wait=10))
    await asyncio.sleep(0.1)
    (message_id,) = await fill(relay, 1)
    assert (await asyncio.wait_for(waiting, 5))[1] == [message_id]


async def test_everything_is_confined_to_the_callers_institutions(relay: Inbound) -> None:
    (message_id,) = await fill(relay, 1)
    token, _ = await take(relay)
    other = {"institution": 10000002}
    body = {"lease_token": token, "registry_no": "1"}
    for verb in ("ack", "nack", "renew", "redrive"):
        answer = await relay.http.post(f"/inbound-messages/{message_id}/{verb}", params=other, json=body)
        assert answer.status_code in {404, 422}, verb
    for what in ("", "/package", "/raw", "/parts/1", "/verification"):
        assert (await relay.http.get(f"/inbound-messages/{message_id}{what}", params=other)).status_code == 404
    assert (await relay.http.get("/inbound-messages", params=other)).json()["messages"] == []
    assert (await relay.http.get("/inbound-messages")).status_code == 422
    answer = await relay.http.post(
        "/inbound-messages/leases", params=other, json={"institution_nos": [SENDER_NO], "client_id": "x"}
    )
    assert Problem.model_validate_json(answer.content).code is ErrorCode.INSTITUTION_FORBIDDEN


async def test_pages_are_complete_and_in_order(relay: Inbound) -> None:
    ids = await fill(relay, 7)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        parameters = MINE | {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await relay.http.get("/inbound-messages", params=parameters)).json()
        seen += [item["message_id"] for item in page["messages"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ids
    assert UUID(seen[0])
    assert (await relay.http.get("/inbound-messages", params=MINE | {"cursor": "x"})).status_code == 422
    leased = await relay.http.get("/inbound-messages", params=MINE | {"state": "leased"})
    assert leased.json()["messages"] == []
