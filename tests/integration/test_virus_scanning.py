"""Failure case 35 of kep.md section 7: what a virus scanner says about incoming mail, over its own protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from services.kep_relay.tables import ClassifiedIncidentRow, EvidenceRow, InboundMessageRow
from shared.eyp import SecurityCode
from tests.support.clamd import MARK, Clamd, clamd
from tests.support.database import fresh_database
from tests.support.delivering import plain_letter, put, settled
from tests.support.failure_cases import Bench, Party, bench, until
from tests.support.mails import evidence_mail, evidence_xml
from tests.unit.eyp import letters

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scanner() -> AsyncIterator[Clamd]:
    async with clamd() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(database_server: str, tmp_path_factory: pytest.TempPathFactory, scanner: Clamd) -> AsyncIterator[Bench]:
    address = f"tcp://127.0.0.1:{scanner.port}"
    with fresh_database(database_server) as url:
        async with bench(url, tmp_path_factory.mktemp("scanning"), clamd_address=address, clamd_seconds=2) as made:
            yield made


async def withheld(world: Bench, party: Party, row: InboundMessageRow, raw: bytes) -> None:
    """Its bytes are kept, handed to nobody, and the institution was told."""
    mine = {"institution": party.number}
    assert row.state == "quarantined"
    for path in ("raw", "package", "parts/1"):
        answer = await world.relay.http.get(f"/inbound-messages/{row.message_id}/{path}", params=mine)
        assert (answer.status_code, answer.json()["code"]) == (409, "state-conflict")
    assert row.raw_sha256 is not None
    assert await world.relay.deps.blobs.get(row.raw_sha256, limit=10_000_000) == raw
    events = (await world.relay.http.get("/events", params=mine | {"after": 0})).json()["events"]
    told = [(item["message_id"], item["reason_code"]) for item in events if item["type"] == "inbound-message.withheld"]
    assert told == [(str(row.message_id), row.reason_code)]
    [mail, *_] = world.kephs.providers.messages(party.address)
    assert not mail.seen
    await world.balanced()


async def test_case_35_virus_found_quarantines_the_bytes_and_keeps_the_evidence(world: Bench) -> None:
    party = await world.party()
    evidence = evidence_xml(10, original_id=f"<{uuid4()}@x>", identifier=str(uuid4()))
    bad = plain_letter(("a.pdf", b"%PDF" + MARK))
    await put(world, party, bad, evidence_mail(evidence), plain_letter(("b.pdf", b"%PDF")))
    first, second = await settled(world, party, 2)
    assert (first.reason_code, first.reason) == ("virus-found", "the virus scanner found Test.Mark-1")
    assert second.state == "available", "the mails behind it are read as ever"
    await withheld(world, party, first, bad)
    async with world.relay.deps.database.reading() as session:
        found = await session.scalars(select(EvidenceRow.code).where(EvidenceRow.mailbox_id == party.mailbox_id))
        assert list(found) == [10]
    leased = await world.relay.http.post(
        "/inbound-messages/leases", params={"institution": party.number},
        json={"institution_nos": [party.number], "client_id": "ebys"},
    )  # fmt: skip
    assert [item["message_id"] for item in leased.json()["messages"]] == [str(second.message_id)]


async def test_case_35_virus_in_an_evidence_mail_is_somebodys_case_and_the_evidence_counts(world: Bench) -> None:
    party = await world.party()
    raw = evidence_mail(evidence_xml(40, original_id=f"<{uuid4()}@x>", identifier=str(uuid4()), reason=MARK.decode()))
    await put(world, party, raw)
    [row] = await settled(world, party)
    await withheld(world, party, row, raw)
    async with world.relay.deps.database.reading() as session:
        found = await session.scalars(select(EvidenceRow.code).where(EvidenceRow.mailbox_id == party.mailbox_id))
        assert list(found) == [40]


async def test_case_35_mail_too_large_for_the_scanner_is_a_case_for_a_person(world: Bench, scanner: Clamd) -> None:
    party, raw = await world.party(), plain_letter(("a.pdf", bytes(400_000)))
    scanner.limit = 100_000
    try:
        await put(world, party, raw)
        [row] = await settled(world, party)
    finally:
        scanner.limit = 100_000_000
    assert row.reason_code == "not-scanned"
    await withheld(world, party, row, raw)


async def judged(world: Bench, party: Party) -> InboundMessageRow:
    """The party's one letter once there is a verdict."""

    async def done() -> InboundMessageRow | None:
        rows = await world.arrived(party)
        return rows[0] if rows and rows[0].verifications else None

    row: InboundMessageRow = await until(done, "a verdict")
    return row


async def call(
    world: Bench, party: Party, row: InboundMessageRow, verb: str, body: dict[str, object]
) -> httpx.Response:
    path = f"/inbound-messages/{row.message_id}/{verb}"
    return await world.relay.http.post(path, params={"institution": party.number}, json=body)


async def test_case_35_false_alarm_is_released_by_a_person_and_then_offered_once(world: Bench) -> None:
    party, stranger = await world.party(), await world.party()
    raw = plain_letter(("a.eyp", letters.package()), ("b.pdf", b"%PDF" + MARK))
    await put(world, party, raw)
    first = await judged(world, party)
    assert (first.state, first.reason_code) == ("quarantined", "virus-found"), "no verdict releases it"
    await withheld(world, party, first, raw)
    order: dict[str, object] = {"decided_by": "G. Deneme", "reason": "Yanlış alarm."}
    assert (await call(world, stranger, first, "release", order)).status_code == 404
    released = await call(world, party, first, "release", order)
    assert (released.status_code, released.json()["state"]) == (200, "parsed"), released.text

    async def offered() -> InboundMessageRow | None:
        [row] = await world.arrived(party)
        return row if row.state == "available" else None

    row: InboundMessageRow = await until(offered, "the letter to be offered")
    assert row.reason_code not in {"virus-found", "not-scanned"}
    assert (row.reason or "").endswith("; released by G. Deneme: Yanlış alarm.")
    mine = {"institution": party.number}
    assert (await world.relay.http.get(f"/inbound-messages/{row.message_id}/raw", params=mine)).content == raw
    events = (await world.relay.http.get("/events", params=mine | {"after": 0})).json()["events"]
    told = [item["type"].partition(".")[2] for item in events]
    assert told == ["withheld", "released", "available"]
    assert (await call(world, party, row, "release", order)).status_code == 409
    await world.balanced()


async def test_case_35_sender_of_a_refused_withheld_letter_can_be_told(world: Bench) -> None:
    party = await world.party()
    await put(world, party, plain_letter(("a.eyp", letters.package()), ("b.pdf", MARK)))
    row = await judged(world, party)
    reasons = [{"rule": "other", "text": "Ekte virüs bulundu."}]
    refusal = {"decision": "refused", "decided_by": "F. Örnek", "reasons": reasons}
    assert (await call(world, party, row, "acceptance", refusal)).status_code == 200
    order = {"decided_by": "F. Örnek", "client_id": "ebys", "correlation_id": "c", "notice_id": str(uuid4())}
    answer = await call(world, party, row, "refusal-notice", order)
    assert answer.status_code == 201, answer.text


async def test_case_35_withheld_letter_that_is_classified_is_sealed_and_stays_withheld(world: Bench) -> None:
    party = await world.party()
    package = letters.package(security_code=SecurityCode.SECRET)
    await put(world, party, plain_letter(("a.eyp", package), ("b.pdf", MARK)))

    async def sealed() -> InboundMessageRow | None:
        rows = await world.arrived(party)
        return rows[0] if rows and rows[0].state == "sealed" else None

    row: InboundMessageRow = await until(sealed, "the letter to be sealed")
    assert row.subject is None
    async with world.relay.deps.database.reading() as session:
        incident_id = await session.scalar(
            select(ClassifiedIncidentRow.incident_id).where(ClassifiedIncidentRow.message_id == row.message_id)
        )
    path, mine = f"/classified-incidents/{incident_id}", {"institution": party.number}
    assert (await world.relay.http.get(path, params=mine)).json()["state_before"] == "quarantined"
    answer = await world.relay.http.get(f"{path}/raw", params=mine)
    assert (answer.status_code, answer.json()["code"]) == (409, "state-conflict")
    order: dict[str, object] = {"decided_by": "G. Deneme", "reason": "Yanlış alarm."}
    assert (await call(world, party, row, "release", order)).status_code == 409


@pytest.mark.parametrize("fault", [b"", b"x" * 100_000, b"stream: OK", b"stream: \xff\x1b[2J ERROR\0", None])
async def test_case_35_scanner_that_cannot_be_asked_makes_the_mail_wait(
    world: Bench, scanner: Clamd, fault: bytes | None
) -> None:
    """Never offered unscanned, never put aside for a fault that is not the mail's; read once the scanner answers."""
    party = await world.party()
    scanner.answer, scanner.silent = fault, fault is None
    if fault == b"stream: OK":
        scanner.answer = b"stream: OKAY\0"
    before = world.metric("kepgw_virus_scans_total", result="unavailable")
    try:
        await put(world, party, plain_letter(("a.pdf", b"%PDF")))

        async def tried() -> bool:
            return world.metric("kepgw_virus_scans_total", result="unavailable") > before

        await until(tried, "a try to have it scanned")
        assert await world.arrived(party) == []
        [raw] = await world.raw_mails(party)
        assert raw.state == "stored"
    finally:
        scanner.answer, scanner.silent = None, False
    await world.move_clock(minutes=1)
    [row] = await settled(world, party)
    assert row.state == "available"
