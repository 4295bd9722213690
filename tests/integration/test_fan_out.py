"""One letter, several consumers: exactly one registers it, others have copies, and nothing that breaks changes that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from services.kep_relay.inbound import consumer_routing
from services.kep_relay.inbound.classified import Degree, rules_of
from services.kep_relay.inbound.metrics import InboundMetrics
from services.kep_relay.inbound.sealing import Sealing
from shared.clock import FixedClock
from shared.eyp import Distribution, Organisation, SecurityCode
from tests.support.database import fresh_database
from tests.support.inbound import SENDER_NO, Inbound, ScriptedSigner, running_inbound, scripted_signer
from tests.support.mails import dispatch, letter
from tests.unit.eyp import letters

pytestmark = pytest.mark.asyncio(loop_scope="module")

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
MINE, THEIRS = {"institution": SENDER_NO}, {"institution": 10000002}
HR, LAW = 10000010, 10000020
TO_HR = letters.package(distributions=(Distribution(Organisation("10000002", unit_number=str(HR))),))
PLAIN = letters.package()
RULES: dict[str, dict[str, Any]] = {
    "hr": {"position": 10, "rules": [{"mode": "exclusive", "match": {"units": [HR], "has_package": True}}]},
    "law": {
        "position": 20,
        "rules": [
            {"mode": "exclusive", "match": {"subjects": ["dava"]}},
            {"mode": "copy", "match": {"sender_addresses": ["*@hs98.kep.tr"]}},
        ],
    },
    "archive": {"rules": [{"mode": "copy", "match": {}}]},
}


class World:
    """The incoming side; letters are told from each other by their subjects."""

    def __init__(self, relay: Inbound, clock: FixedClock, signer: ScriptedSigner) -> None:
        self.relay, self.clock, self.signer = relay, clock, signer
        self.uid = 0

    async def receive(self, subject: str, package: bytes | None = PLAIN) -> str:
        """Take a letter in; its id."""
        await self.send(subject, package)
        await self.relay.run_jobs()
        return str((await self.relay.letters())[-1].message_id)

    async def send(self, subject: str, package: bytes | None = PLAIN) -> None:
        self.uid += 1
        attachments = [("a.eyp", package)] if package is not None else []
        original = letter(*attachments, subject=subject, message_id=f"<{self.uid}@kepgw.test>")
        await self.relay.store(dispatch(original), uid=self.uid)

    async def call(self, method: str, path: str, of: dict[str, int] = MINE, **body: Any) -> Any:
        answer = await self.relay.http.request(method, path, params=of, json=body or None)
        return answer.status_code, answer.json() if answer.content else None

    async def take(self, consumer: str = "default", **more: Any) -> dict[str, Any]:
        body = {"institution_nos": [SENDER_NO], "client_id": f"ebys-{consumer}", "consumer": consumer, **more}
        status, found = await self.call("POST", "/inbound-messages/leases", **body)
        assert status == 200, found
        return {**found, "ids": [item["message_id"] for item in found["messages"]]}

    async def routing(self, message_id: str) -> dict[str, Any]:
        status, found = await self.call("GET", f"/inbound-messages/{message_id}/routing")
        assert status == 200, found
        return {**found, "states": {item["consumer"]: item["state"] for item in found["copies"]}}

    async def move(self, message_id: str, consumer: str, *copies: str) -> tuple[int, Any]:
        decision = {"consumer": consumer, "copies": list(copies), "decided_by": "F. Örnek", "reason": "başka birimin"}
        found: tuple[int, Any] = await self.call("POST", f"/inbound-messages/{message_id}/routing", **decision)
        return found

    async def letter(self, message_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.call("GET", f"/inbound-messages/{message_id}"))[1]
        return found

    async def enter(self, *names: str) -> None:
        for name in names:
            status, found = await self.call("PUT", f"/consumers/{name}", institution_no=SENDER_NO, **RULES[name])
            assert status == 200, found

    async def execute(self, *statements: str) -> None:
        async with self.relay.deps.database.unit_of_work() as work:
            for statement in statements:
                await work.session.execute(text(statement))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(database_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    clock = FixedClock(START)
    with fresh_database(database_server) as url:
        async with (
            scripted_signer() as (signer, signer_url),
            running_inbound(
                url, tmp_path_factory.mktemp("fan-out"), signer_url=signer_url, clock=clock, max_deliveries=2
            ) as relay,
        ):
            await relay.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
            yield World(relay, clock, signer)


@pytest_asyncio.fixture(loop_scope="module")
async def world(running: World) -> AsyncIterator[World]:
    """What a test left is nobody's any more."""
    yield running
    await running.execute(
        "DELETE FROM kep_relay.consumers",
        "DELETE FROM kep_relay.inbound_copies",
        "DELETE FROM kep_relay.inbound_routings",
        "UPDATE kep_relay.inbound_messages SET state = 'archived', lease_token = NULL, lease_expires_at = NULL,"
        " verify_at = NULL",
        "DROP TRIGGER IF EXISTS killing ON kep_relay.inbound_copies",
        "DROP TRIGGER IF EXISTS killing ON kep_relay.inbound_routings",
    )
    running.clock.moment = START


async def test_without_consumers_everything_is_as_it_was(world: World) -> None:
    message_id = await world.receive("Dava dosyası")
    assert await world.take() | {"messages": 0, "lease_token": 0, "expires_at": 0} == {
        "role": "responsible", "ids": [message_id], "messages": 0, "lease_token": 0, "expires_at": 0,
    }  # fmt: skip
    found = await world.routing(message_id)
    assert (found["consumer"], found["copies"], found["decisions"]) == ("default", [], [])
    status, problem = await world.call(
        "POST", "/inbound-messages/leases", institution_nos=[SENDER_NO], client_id="x", consumer="hr"
    )
    assert (status, problem["code"]) == (404, "not-found"), "a misspelt name would wait for ever"


async def test_rules_decide_once_and_are_written_down(world: World) -> None:
    await world.enter("hr", "law", "archive")
    hr = await world.receive("DAVA: personel", TO_HR)
    law = await world.receive("Dava dilekçesi")
    other = await world.receive("Genel yazı", None)
    routings = {message_id: await world.routing(message_id) for message_id in (hr, law, other)}
    assert {message_id: found["consumer"] for message_id, found in routings.items()} == {
        hr: "hr", law: "law", other: "default",
    }  # fmt: skip
    (decision,) = routings[hr]["decisions"]
    assert [(item["consumer"], item["rule"], item["outcome"], item["because"]) for item in decision["rules"]] == [
        ("hr", 1, "responsible", [f"units: {HR}", "has_package: true"]),
        ("law", 1, "outranked", ["subjects: dava"]),
        ("law", 2, "copy", ["sender_addresses: *@hs98.kep.tr"]),
        ("archive", 1, "copy", []),
    ]
    assert decision["decided_by"] is None
    assert {name: (await world.take(name, role="responsible"))["ids"] for name in ("hr", "law", "default")} == {
        "hr": [hr], "law": [law], "default": [other],
    }  # fmt: skip
    # Rules that come later leave what is offered where it is; so does another verdict.
    await world.call("PUT", "/consumers/archive", institution_no=SENDER_NO, position=1, rules=[{"match": {}}])
    await world.call("POST", f"/inbound-messages/{hr}/verify")
    await world.relay.run_jobs()
    assert (await world.routing(hr))["decisions"] == routings[hr]["decisions"]
    assert await world.relay.ledger_imbalance() == 0


async def test_what_is_done_with_a_copy_never_touches_the_letter(world: World) -> None:
    await world.enter("hr", "archive")
    message_id = await world.receive("Personel", TO_HR)
    before = await world.letter(message_id)
    copy = await world.take("archive", seconds=60)
    assert (copy["role"], copy["ids"]) == ("copy", [message_id])
    path, token = f"/inbound-messages/{message_id}", {"lease_token": copy["lease_token"]}
    assert (await world.take("archive"))["ids"] == []
    status, renewed = await world.call("POST", f"{path}/renew", **token, seconds=600)
    assert (status, renewed["role"]) == (200, "copy")
    assert (await world.call("POST", f"{path}/nack", **token, delay_seconds=30, reason="meşgul"))[0] == 200
    assert (await world.take("archive"))["ids"] == []
    world.clock.moment += timedelta(seconds=30)
    second = await world.take("archive")
    token = {"lease_token": second["lease_token"]}
    world.clock.moment += timedelta(seconds=301)
    await world.relay.sweep()
    assert (await world.routing(message_id))["states"] == {"archive": "dead_lettered"}
    for verb in ("ack", "nack", "renew"):
        status, problem = await world.call("POST", f"{path}/{verb}", **token)
        assert (status, problem["code"]) == (409, "lease-lost"), verb
    assert await world.letter(message_id) == before
    assert world.relay.registry.get_sample_value("kepgw_dead_letters") == 0

    redrive = await world.relay.http.post(f"{path}/redrive", params=MINE | {"copy_of": "archive"})
    assert redrive.status_code == 200
    third = await world.take("archive")
    token = {"lease_token": third["lease_token"]}
    for _again in range(2):
        status, acked = await world.call("POST", f"{path}/ack", **token, registry_no="ARŞİV-1")
        assert (status, acked) == (200, before), "the number is the copy's"
    found = await world.routing(message_id)
    assert [(item["state"], item["reference"], item["delivery_count"]) for item in found["copies"]] == [
        ("acknowledged", "ARŞİV-1", 1)
    ]

    mine = await world.take("hr")
    status, problem = await world.call("POST", f"{path}/ack", lease_token=mine["lease_token"])
    assert (status, [item["pointer"] for item in problem["errors"]]) == (422, ["/registry_no"])
    status, acked = await world.call("POST", f"{path}/ack", lease_token=mine["lease_token"], registry_no="E-1")
    assert (status, acked["state"], acked["registry_no"], acked["consumer"]) == (200, "consumed", "E-1", "hr")
    assert acked["acceptance"]["state"] == "accepted"
    assert await world.relay.ledger_imbalance() == 0


async def test_a_copy_is_given_out_although_the_letter_is_registered(world: World) -> None:
    await world.enter("hr", "archive")
    message_id = await world.receive("Personel", TO_HR)
    mine = await world.take("hr")
    ack = {"lease_token": mine["lease_token"], "registry_no": "E-1"}
    assert (await world.call("POST", f"/inbound-messages/{message_id}/ack", **ack))[0] == 200
    copy = await world.take("archive")
    status, shown = await world.call(
        "POST", f"/inbound-messages/{message_id}/ack", lease_token=copy["lease_token"], registry_no="B-2"
    )
    assert (status, shown["registry_no"], shown["state"]) == (200, "E-1", "consumed")


@pytest.mark.parametrize("table", ["inbound_copies", "inbound_routings"])
async def test_a_process_killed_while_it_decides_has_decided_nothing(world: World, table: str) -> None:
    """The connection dies within the transaction: after the first copy, or before the decision is written down."""
    await world.enter("hr", "law", "archive")
    await world.execute(
        "CREATE OR REPLACE FUNCTION kep_relay.kill_me() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$",
        f"CREATE TRIGGER killing AFTER INSERT ON kep_relay.{table} FOR EACH ROW EXECUTE FUNCTION kep_relay.kill_me()",
    )
    message_id = await world.receive("Personel", TO_HR)
    row = (await world.relay.letters())[-1]
    assert (row.state, row.consumer, row.verifications) == ("parsed", "default", 0)
    assert (await world.routing(message_id))["copies"] == []
    assert (await world.take())["ids"] == []
    assert await world.relay.ledger_imbalance() == 0

    await world.execute(f"DROP TRIGGER killing ON kep_relay.{table}")
    world.clock.moment += timedelta(seconds=30)
    await world.relay.sweep()
    await world.relay.run_jobs()
    found = await world.routing(message_id)
    assert (found["consumer"], found["states"]) == ("hr", {"archive": "available", "law": "available"})
    assert [item["sequence"] for item in found["decisions"]] == [1]
    for name in ("hr", "law", "archive"):
        assert (await world.take(name))["ids"] == [message_id], "each once"
        assert (await world.take(name))["ids"] == []


async def test_a_person_moves_a_letter_and_the_one_before_has_lost_it(world: World) -> None:
    await world.enter("hr", "law", "archive")
    message_id = await world.receive("Personel", TO_HR)
    before = await world.take("hr")
    status, found = await world.move(message_id, "law", "hr")
    assert (status, found["consumer"]) == (200, "law")
    states = {item["consumer"]: item["state"] for item in found["copies"]}
    assert states == {"archive": "available", "hr": "available", "law": "withdrawn"}
    assert [(item["consumer"], item["copies"], item["decided_by"]) for item in found["decisions"]][1:] == [
        ("law", ["hr"], "F. Örnek")
    ]
    ack = {"lease_token": before["lease_token"], "registry_no": "E-1"}
    assert (await world.call("POST", f"/inbound-messages/{message_id}/ack", **ack))[1]["code"] == "lease-lost"
    assert (await world.move(message_id, "law", "hr"))[1] == found, "again changes nothing"

    status, problem = await world.move(message_id, "nobody", "default")
    assert (status, [item["pointer"] for item in problem["errors"]]) == (422, ["/consumer", "/copies/0"])
    mine = await world.take("law")
    assert (mine["role"], mine["ids"]) == ("responsible", [message_id])
    ack = {"lease_token": mine["lease_token"], "registry_no": "E-2"}
    assert (await world.call("POST", f"/inbound-messages/{message_id}/ack", **ack))[0] == 200
    assert (await world.move(message_id, "hr"))[0] == 409
    assert (await world.move(message_id, "law", "archive"))[0] == 200, "others may still get to know it"
    assert await world.relay.ledger_imbalance() == 0


async def test_a_dead_letter_lives_again_where_a_person_sends_it(world: World) -> None:
    await world.enter("hr")
    message_id = await world.receive("Personel", TO_HR)
    for _time in range(2):
        token = (await world.take("hr"))["lease_token"]
        await world.call("POST", f"/inbound-messages/{message_id}/nack", lease_token=token)
    assert (await world.letter(message_id))["state"] == "dead_lettered"
    assert (await world.move(message_id, "default"))[0] == 200
    assert (await world.take("hr"))["ids"] == []
    (found,) = (await world.take())["messages"]
    assert (found["consumer"], found["delivery_count"], found["reason_code"]) == ("default", 1, None)


async def test_what_a_deleted_consumer_had_goes_to_the_default(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_routing, "_AT_ONCE", 1)  # more letters than one statement has room for
    await world.enter("hr", "law", "archive")
    ids = [await world.receive("Personel", TO_HR) for _ in range(3)]
    done, held = await world.take("hr", max=1), await world.take("hr", max=1)
    ack = {"lease_token": done["lease_token"], "registry_no": "E-1"}
    assert (await world.call("POST", f"/inbound-messages/{ids[0]}/ack", **ack))[0] == 200
    for name in ("hr", "archive"):
        assert (await world.call("DELETE", f"/consumers/{name}"))[0] == 204
    assert (await world.call("DELETE", "/consumers/hr"))[0] == 404
    assert [(await world.letter(message_id))["consumer"] for message_id in ids] == ["hr", "default", "default"]
    assert (await world.take())["ids"] == ids[2:]
    ack = {"lease_token": held["lease_token"], "registry_no": "E-2"}
    assert (await world.call("POST", f"/inbound-messages/{ids[1]}/ack", **ack))[0] == 200, "a lease that runs goes on"
    found = await world.routing(ids[2])
    assert found["states"] == {"archive": "withdrawn", "law": "available"}
    assert [(item["consumer"], item["reason"]) for item in found["decisions"]] == [
        ("hr", None), ("default", "the consumer hr was deleted"),
    ]  # fmt: skip
    assert await world.relay.ledger_imbalance() == 0


async def test_nobody_gets_a_copy_of_what_is_sealed(world: World) -> None:
    await world.enter("archive")
    secret = letters.package(security_code=SecurityCode.SECRET)
    await world.receive("Gizli", secret)
    row = (await world.relay.letters())[-1]
    assert row.state == "sealed"
    assert (await world.take("archive"))["ids"] == []
    for method, body in (("GET", {}), ("POST", {"consumer": "archive", "decided_by": "x", "reason": "x"})):
        status, problem = await world.call(method, f"/inbound-messages/{row.message_id}/routing", **body)
        assert (status, problem["code"]) == (403, "classified-sealed")


async def test_a_letter_that_turns_out_classified_is_taken_from_everybody(world: World) -> None:
    """As when the key of an encrypted letter comes after it was offered."""
    await world.enter("hr", "archive")
    message_id = await world.receive("Personel", TO_HR)
    copy, mine = await world.take("archive"), await world.take("hr")
    sealing = Sealing(world.relay.deps.database, world.clock, InboundMetrics(CollectorRegistry()))
    degree = Degree(stated=SecurityCode.SECRET, highest=SecurityCode.SECRET)
    await sealing.seal(UUID(message_id), degree, rules_of(START.date()))
    for leased in (copy, mine):
        body = {"lease_token": leased["lease_token"], "registry_no": "1"}
        status, problem = await world.call("POST", f"/inbound-messages/{message_id}/ack", **body)
        assert (status, problem["code"]) == (409, "lease-lost")
    world.clock.moment += timedelta(hours=1)
    await world.relay.sweep()
    assert (await world.take("archive"))["ids"] == []
    async with world.relay.deps.database.reading() as session:
        states = (await session.scalars(text("SELECT state FROM kep_relay.inbound_copies"))).all()
        reasons = (await session.scalars(text("SELECT rules FROM kep_relay.inbound_routings"))).all()
    assert (states, reasons) == (["withdrawn"], [[]])


async def test_consumers_are_counted_and_confined_to_their_institution(world: World) -> None:
    await world.enter("hr", "archive")
    message_id = await world.receive("Personel", TO_HR)
    await world.receive("Genel")
    await world.take("hr")
    status, found = await world.call("GET", "/consumers")
    assert status == 200
    assert [
        (item["name"], *(item[kind][state] for kind in ("letters", "copies") for state in ("available", "leased")))
        for item in found["consumers"]
    ] == [("hr", 0, 1, 0, 0), ("archive", 0, 0, 2, 0), ("default", 1, 0, 0, 0)]
    await world.relay.sweep()
    sample = world.relay.registry.get_sample_value
    assert [
        sample("kepgw_inbound_offered_messages", {"kind": kind, "state": state})
        for kind in ("letter", "copy")
        for state in ("available", "leased", "dead_lettered")
    ] == [1, 1, 0, 2, 0, 0]

    names = [item["name"] for item in (await world.call("GET", "/consumers", THEIRS))[1]["consumers"]]
    assert names == ["default"]
    for method, path in (("GET", "/consumers/hr"), ("DELETE", "/consumers/hr")):
        assert (await world.call(method, path, THEIRS))[0] == 404
    status, _ = await world.call("PUT", "/consumers/hr", THEIRS, institution_no=SENDER_NO, rules=[])
    assert status == 403
    for method in ("GET", "POST"):
        body = {"consumer": "default", "decided_by": "x", "reason": "x"} if method == "POST" else {}
        assert (await world.call(method, f"/inbound-messages/{message_id}/routing", THEIRS, **body))[0] == 404
    for method in ("PUT", "DELETE"):
        status, _ = await world.call(method, "/consumers/default", institution_no=SENDER_NO, rules=[])
        assert status == 422, "the default stays as it is"
