"""Two working days for refusing a letter: started with it, reminded of, ended by a person, by registering or by silence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.clock import FixedClock
from shared.eyp import Person, PersonName
from tests.support.inbound import SENDER_NO, Inbound, ScriptedSigner, running_inbound, scripted_signer
from tests.support.mails import dispatch, letter
from tests.unit.eyp import letters

FRIDAY = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
DUE = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
MINE = {"institution": SENDER_NO}
PACKAGE = letters.package()
REASON = {"rule": "R.30", "text": "Ek pakette yok."}
REFUSAL = {"decision": "refused", "decided_by": "F. Örnek", "reasons": [REASON]}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(FRIDAY)


@pytest.fixture
async def signer_and_url() -> AsyncIterator[tuple[ScriptedSigner, str]]:
    async with scripted_signer() as pair:
        yield pair


@pytest.fixture
async def relay(
    database_url: str, tmp_path: Path, clock: FixedClock, signer_and_url: tuple[ScriptedSigner, str]
) -> AsyncIterator[Inbound]:
    async with running_inbound(database_url, tmp_path, signer_url=signer_and_url[1], clock=clock) as inbound:
        await inbound.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        yield inbound


async def received(relay: Inbound, package: bytes = PACKAGE, **options: Any) -> str:
    await relay.take_in(dispatch(letter(("a.eyp", package), **options)), uid=1)
    return str((await relay.letters())[-1].message_id)


async def acceptance(relay: Inbound, message_id: str) -> dict[str, Any] | None:
    shown = await relay.http.get(f"/inbound-messages/{message_id}", params=MINE)
    found: dict[str, Any] | None = shown.json()["acceptance"]
    return found


async def decided(relay: Inbound, message_id: str, body: dict[str, Any]) -> tuple[int, Any]:
    answer = await relay.http.post(f"/inbound-messages/{message_id}/acceptance", params=MINE, json=body)
    return answer.status_code, answer.json()


async def told(relay: Inbound) -> list[tuple[str, str, str]]:
    events = (await relay.http.get("/events", params=MINE)).json()["events"]
    return [
        (item["type"].removeprefix("inbound-message."), item["acceptance"], item["rule"])
        for item in events
        if item["due_at"]
    ]


async def at(relay: Inbound, clock: FixedClock, moment: datetime) -> None:
    clock.moment = moment
    await relay.sweep()


async def test_silence_ends_it_after_two_reminders(relay: Inbound, clock: FixedClock) -> None:
    message_id = await received(relay)
    found = await acceptance(relay, message_id)
    assert found is not None
    assert (found["state"], found["rule"], found["last_day"]) == ("pending", "L.9", "2026-11-24")
    assert datetime.fromisoformat(found["due_at"]) == DUE
    await at(relay, clock, FRIDAY + timedelta(hours=40))
    assert await told(relay) == []
    await at(relay, clock, DUE - (DUE - FRIDAY) / 2)
    await at(relay, clock, datetime(2026, 11, 24, 6, 0, tzinfo=UTC))
    assert await told(relay) == [("acceptance-due", "pending", "L.9")] * 2
    await at(relay, clock, DUE)
    await at(relay, clock, DUE + timedelta(hours=1))
    assert (await told(relay))[2:] == [("acceptance-decided", "deemed-accepted", "L.10")]
    found = await acceptance(relay, message_id)
    assert found is not None
    assert (found["state"], found["decided_rule"], found["decided_by"]) == ("deemed-accepted", "L.10", None)
    (row,) = await relay.letters()
    assert row.state == "available", "it is offered all the same"
    assert (await decided(relay, message_id, REFUSAL))[0] == 409


async def test_who_was_away_is_reminded_once(relay: Inbound, clock: FixedClock) -> None:
    await received(relay)
    await at(relay, clock, DUE - timedelta(minutes=1))
    await at(relay, clock, DUE - timedelta(seconds=30))
    assert await told(relay) == [("acceptance-due", "pending", "L.9")]


async def test_a_refusal_is_written_down_once(relay: Inbound, clock: FixedClock) -> None:
    message_id = await received(relay)
    status, answer = await decided(relay, message_id, REFUSAL)
    assert (status, answer["state"], answer["decided_by"], answer["reasons"]) == (200, "refused", "F. Örnek", [REASON])
    clock.moment += timedelta(hours=1)
    assert await decided(relay, message_id, REFUSAL) == (200, answer), "the same again is the same answer"
    other = REFUSAL | {"decided_by": "Başkası"}
    assert (await decided(relay, message_id, other))[0] == 409
    assert (await decided(relay, message_id, {"decision": "accepted", "decided_by": "F. Örnek"}))[0] == 409
    await at(relay, clock, DUE + timedelta(hours=1))
    assert await told(relay) == [("acceptance-decided", "refused", "L.9")], "nothing runs out any more"


async def test_registering_accepts(relay: Inbound, clock: FixedClock) -> None:
    message_id = await received(relay)
    lease = {"institution_nos": [SENDER_NO], "client_id": "ebys"}
    leased = (await relay.http.post("/inbound-messages/leases", params=MINE, json=lease)).json()
    body = {"lease_token": leased["lease_token"], "registry_no": "2026-1"}
    answer = await relay.http.post(f"/inbound-messages/{message_id}/ack", params=MINE, json=body)
    assert answer.status_code == 200, answer.text
    found = await acceptance(relay, message_id)
    assert found is not None
    assert (found["state"], found["decided_by"]) == ("accepted", "ebys")
    await at(relay, clock, DUE + timedelta(hours=1))
    assert await told(relay) == [("acceptance-decided", "accepted", "L.9")]


async def test_registering_after_the_period_decides_nothing_any_more(relay: Inbound, clock: FixedClock) -> None:
    """Whether the sweep or the document system comes first must not change what the law says."""
    message_id = await received(relay)
    clock.moment = DUE + timedelta(seconds=1)
    lease = {"institution_nos": [SENDER_NO], "client_id": "ebys"}
    leased = (await relay.http.post("/inbound-messages/leases", params=MINE, json=lease)).json()
    body = {"lease_token": leased["lease_token"], "registry_no": "2026-1"}
    assert (await relay.http.post(f"/inbound-messages/{message_id}/ack", params=MINE, json=body)).status_code == 200
    found = await acceptance(relay, message_id)
    assert found is not None
    assert (found["state"], found["decided_rule"], found["decided_by"]) == ("deemed-accepted", "L.10", None)


async def test_signer_away_does_not_stop_the_clock(
    relay: Inbound, clock: FixedClock, signer_and_url: tuple[ScriptedSigner, str]
) -> None:
    signer_and_url[0].away = True
    message_id = await received(relay)
    await at(relay, clock, DUE)
    found = await acceptance(relay, message_id)
    assert found is not None
    assert found["state"] == "deemed-accepted"


@pytest.mark.parametrize(
    "body",
    [
        {"decision": "refused", "decided_by": "x"},
        {"decision": "accepted", "decided_by": "x", "reasons": [REASON]},
        {"decision": "pending", "decided_by": "x"},
        {"decision": "deemed-accepted", "decided_by": "x"},
        {"decision": "refused", "reasons": [REASON]},
        {"decision": "refused", "decided_by": "x", "reasons": [REASON] * 51},
    ],
)
async def test_decisions_that_cannot_be_written_down(relay: Inbound, body: dict[str, Any]) -> None:
    message_id = await received(relay)
    assert (await decided(relay, message_id, body))[0] == 422
    found = await acceptance(relay, message_id)
    assert found is not None
    assert found["state"] == "pending"


async def test_letters_of_persons_and_letters_without_a_package_have_no_period(relay: Inbound) -> None:
    person = letters.package(originator=Person(PersonName("Ayşe", "Örnek"), "10000000146"))
    message_id = await received(relay, person)
    assert await acceptance(relay, message_id) is None
    assert (await decided(relay, message_id, REFUSAL))[0] == 409
    await relay.take_in(dispatch(letter(("a.pdf", b"%PDF"), message_id="<other@a>")), uid=2)
    assert await acceptance(relay, str((await relay.letters())[-1].message_id)) is None
