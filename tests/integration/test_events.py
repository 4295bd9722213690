"""Verdicts that change by themselves, the events that tell of it, and how events are followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from services.kep_relay.events import VerdictNews, tell
from services.kep_relay.tables import EvidenceVerdictRow, InboundVerificationRow
from shared.clock import FixedClock
from shared.contracts.events import EventType
from shared.contracts.signatures import Maturity, SignatureFormat
from shared.domain.verdict import Conclusion
from tests.support.inbound import SENDER_NO, Inbound, ScriptedSigner, running_inbound, scripted_signer
from tests.support.mails import dispatch, evidence_mail, evidence_xml, letter
from tests.unit.eyp import letters

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINE = {"institution": SENDER_NO}
PACKAGE = letters.package()
PASSED = VerdictNews(Conclusion.PASSED, Maturity.FINAL)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
async def signer_and_url() -> AsyncIterator[tuple[ScriptedSigner, str]]:
    async with scripted_signer() as pair:
        yield pair


@pytest.fixture
def signer(signer_and_url: tuple[ScriptedSigner, str]) -> ScriptedSigner:
    return signer_and_url[0]


@pytest.fixture
async def relay(
    database_url: str, tmp_path: Path, clock: FixedClock, signer_and_url: tuple[ScriptedSigner, str]
) -> AsyncIterator[Inbound]:
    async with running_inbound(database_url, tmp_path, signer_url=signer_and_url[1], clock=clock) as inbound:
        await inbound.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        yield inbound


async def followed(relay: Inbound, **query: Any) -> list[tuple[int, str, str | None, str, str]]:
    answer = await relay.http.get("/events", params=MINE | query)
    assert answer.status_code == 200, answer.text
    return [
        (item["position"], item["type"], item["previous_conclusion"], item["conclusion"], item["maturity"])
        for item in answer.json()["events"]
    ]


async def later(relay: Inbound, clock: FixedClock, passed: timedelta) -> None:
    clock.moment += passed
    await relay.sweep()
    await relay.run_jobs()


async def test_an_open_verdict_settles_by_itself_and_is_told_once(
    relay: Inbound, signer: ScriptedSigner, clock: FixedClock
) -> None:
    signer.conclusions[SignatureFormat.CADES] = Conclusion.INDETERMINATE
    signer.retry_after_seconds = 60
    await relay.take_in(dispatch(letter(("a.eyp", PACKAGE))), uid=1)
    (before,) = await relay.letters()
    for _ in range(5):
        await later(relay, clock, timedelta(hours=2))
    (still,) = await relay.letters()
    assert (still.conclusion, still.verifications) == ("indeterminate", 6)
    assert (still.version, still.updated_at) == (before.version, before.updated_at), "nobody is told of nothing new"
    signer.conclusions.clear()
    await later(relay, clock, timedelta(hours=2))
    (row,) = await relay.letters()
    assert (row.conclusion, row.maturity, row.verify_at) == ("passed", "final", None)
    async with relay.deps.database.reading() as session:
        kept = await session.scalars(
            select(InboundVerificationRow.conclusion).order_by(InboundVerificationRow.sequence)
        )
        assert list(kept) == ["indeterminate", "passed"], "the same open verdict is kept once"
    assert await followed(relay) == [
        (1, "inbound-message.available", None, "indeterminate", "final"),
        (2, "inbound-message.verdict-changed", "indeterminate", "passed", "final"),
    ]


async def test_a_preliminary_verdict_is_looked_at_again_when_its_grace_period_is_over(
    relay: Inbound, signer: ScriptedSigner, clock: FixedClock
) -> None:
    signer.final_after = NOW + timedelta(hours=24)
    await relay.take_in(dispatch(letter(("a.eyp", PACKAGE))), uid=1)
    (row,) = await relay.letters()
    assert (row.conclusion, row.maturity, row.verify_at) == ("passed", "preliminary", NOW + timedelta(hours=24))
    shown = (await relay.http.get(f"/inbound-messages/{row.message_id}", params=MINE)).json()
    assert (shown["conclusion"], shown["maturity"]) == ("passed", "preliminary")
    asked = len(signer.asked)
    await later(relay, clock, timedelta(hours=23))
    assert len(signer.asked) == asked, "before that there is nothing to learn"
    # The list of after the grace period is late.
    await later(relay, clock, timedelta(hours=2))
    (row,) = await relay.letters()
    assert (row.maturity, row.verify_at) == ("preliminary", clock.moment + timedelta(minutes=30))
    signer.final_after = None
    await later(relay, clock, timedelta(hours=1))
    (row,) = await relay.letters()
    assert (row.conclusion, row.maturity, row.verify_at) == ("passed", "final", None)
    assert [item[2:] for item in await followed(relay)] == [
        (None, "passed", "preliminary"),
        ("passed", "passed", "final"),
    ]


async def test_a_revocation_that_turns_up_within_the_grace_period_is_told(
    relay: Inbound, signer: ScriptedSigner, clock: FixedClock
) -> None:
    signer.final_after = NOW + timedelta(hours=24)
    await relay.take_in(dispatch(letter(("a.eyp", PACKAGE))), uid=1)
    signer.conclusions[SignatureFormat.CADES] = Conclusion.FAILED
    await later(relay, clock, timedelta(hours=25))
    (row,) = await relay.letters()
    assert (row.state, row.conclusion, row.reason_code, row.verify_at) == (
        "available", "failed", "signature-failed", None,
    )  # fmt: skip
    assert (await followed(relay))[-1][1:] == ("inbound-message.verdict-changed", "passed", "failed", "final")


async def test_evidence_settles_and_is_told(relay: Inbound, signer: ScriptedSigner, clock: FixedClock) -> None:
    signer.conclusions[SignatureFormat.XADES] = Conclusion.INDETERMINATE
    signer.retry_after_seconds = 60
    await relay.take_in(evidence_mail(evidence_xml(40)), uid=1)
    await later(relay, clock, timedelta(hours=2))
    await later(relay, clock, timedelta(hours=2))
    assert await followed(relay) == [], "its first verdict is in its letter's history"
    signer.conclusions.clear()
    await later(relay, clock, timedelta(hours=2))
    ((_, kind, previous, conclusion, _maturity),) = await followed(relay)
    assert (kind, previous, conclusion) == ("evidence.verdict-changed", "indeterminate", "passed")
    async with relay.deps.database.reading() as session:
        kept = await session.scalars(select(EvidenceVerdictRow.conclusion).order_by(EvidenceVerdictRow.sequence))
        assert list(kept) == ["indeterminate", "passed"]


async def _write(relay: Inbound, number: int, institution_no: int = SENDER_NO) -> None:
    for _ in range(number):
        async with relay.deps.database.unit_of_work() as work:
            await tell(
                work, EventType.INBOUND_AVAILABLE, PASSED, institution_no=institution_no, message_id=uuid4(), at=NOW
            )


async def test_positions_have_no_gaps_and_no_event_appears_before_an_earlier_one(relay: Inbound) -> None:
    seen: list[int] = []

    async def follow() -> None:
        while len(seen) < 60:
            answer = await relay.http.get("/events", params=MINE | {"after": seen[-1] if seen else 0, "limit": 7})
            seen.extend(item["position"] for item in answer.json()["events"])

    async def roll_back() -> None:
        for _ in range(10):
            with pytest.raises(ZeroDivisionError):
                async with relay.deps.database.unit_of_work() as work:
                    await tell(
                        work, EventType.INBOUND_AVAILABLE, PASSED, institution_no=SENDER_NO, message_id=None, at=NOW
                    )
                    raise ZeroDivisionError

    async with asyncio.timeout(30):
        await asyncio.gather(follow(), roll_back(), *(_write(relay, 20) for _ in range(3)))
    assert seen == list(range(1, 61))


async def test_reading_is_confined_bounded_and_can_wait(relay: Inbound, signer: ScriptedSigner) -> None:
    await _write(relay, 3)
    await _write(relay, 2, institution_no=SENDER_NO + 1)
    assert [item[0] for item in await followed(relay)] == [1, 2, 3]
    assert [item[0] for item in await followed(relay, after=1, limit=1)] == [2]
    assert await followed(relay, type="evidence.verdict-changed") == []
    passed_over = (await relay.http.get("/events", params=MINE | {"type": "evidence.verdict-changed"})).json()
    assert passed_over == {"events": [], "next_after": 3}, "a rare kind must not cost a look at all events each time"
    full = (await relay.http.get("/events", params=MINE | {"type": "inbound-message.available", "limit": 1})).json()
    assert full["next_after"] == full["events"][0]["position"]
    ahead = (await relay.http.get("/events", params=MINE | {"type": "evidence.verdict-changed", "after": 9})).json()
    assert ahead["next_after"] == 9
    nothing = (await relay.http.get("/events", params=MINE | {"after": 3})).json()
    assert nothing == {"events": [], "next_after": 3}
    for wrong in ({"after": -1}, {"limit": 0}, {"limit": 501}, {"wait": 31}, {"type": "x"}):
        assert (await relay.http.get("/events", params=MINE | wrong)).status_code == 422
    waiting = asyncio.create_task(followed(relay, after=3, wait=20))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await relay.take_in(dispatch(letter(("a.eyp", PACKAGE))), uid=1)
    async with asyncio.timeout(15):
        assert [item[0] for item in await waiting] == [4]
