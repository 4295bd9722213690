"""Evidence from the raw mail to the letter's state, on a real database, with a signer that says what it is told."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from services.kep_relay.tables import EvidenceVerdictRow, OutboundEventRow
from shared.clock import FixedClock
from shared.contracts.signatures import SignatureFormat
from shared.domain.verdict import Conclusion
from tests.support.inbound import SENDER_NO, Inbound, ScriptedSigner, running_inbound, scripted_signer, until
from tests.support.mails import dispatch, evidence_mail, evidence_xml, letter

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ID = "<letter-1@kepgw.test>"


@dataclass
class World:
    inbound: Inbound
    signer: ScriptedSigner
    clock: FixedClock
    uid: int = 0

    async def receive(self, raw: bytes, mailbox_id: str = "a-1") -> None:
        self.uid += 1
        await self.inbound.take_in(raw, mailbox_id, uid=self.uid)

    async def receive_evidence(self, *codes: int, original_id: str = ID) -> None:
        for code in codes:
            await self.receive(evidence_mail(evidence_xml(code, original_id=original_id)))

    async def later(self, **delta: float) -> None:
        self.clock.moment += timedelta(**delta)
        await self.inbound.deps.instance.renew()
        await self.inbound.sweep()
        await self.inbound.run_jobs()


@pytest.fixture
async def world(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    clock = FixedClock(NOW)
    changes = getattr(request, "param", {})
    async with (
        scripted_signer() as (signer, url),
        running_inbound(database_url, tmp_path, signer_url=url, clock=clock, **changes) as inbound,
    ):
        server = {"host": "127.0.0.1", "port": 1}
        await inbound.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap=server)
        await inbound.put_mailbox("b-1", 10000002, "b@hs99.kep.tr", imap=server)
        yield World(inbound, signer, clock)


async def test_evidence_advances_the_letter_and_leaves_its_history(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID)
    await world.receive_evidence(10, 20, 40)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.attention, row.reason_code) == ("delivered", [], None)
    assert row.delivered_at == datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    await world.receive_evidence(60)
    assert (await world.inbound.recipient(recipient_id)).state == "read"
    async with world.inbound.deps.database.reading() as session:
        events = (
            await session.scalars(
                select(OutboundEventRow).where(OutboundEventRow.kind == "evidence").order_by(OutboundEventRow.sequence)
            )
        ).all()
    assert [(event.from_state, event.to_state) for event in events] == [
        ("submitted", "accepted"), ("accepted", "relayed"), ("relayed", "delivered"), ("delivered", "read"),
    ]  # fmt: skip
    assert all(event.evidence_id for event in events)
    for evidence in await world.inbound.evidence():
        assert await world.inbound.deps.blobs.get(evidence.sha256, limit=100_000)
        assert await world.inbound.deps.blobs.get(evidence.raw_sha256, limit=100_000)
        assert evidence.correlated_by == "original-id"


async def test_order_and_repetition_change_nothing(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID)
    await world.receive_evidence(60, 40, 40, 10, 20, 60)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.attention) == ("read", [])
    assert row.delivered_at is not None
    assert [evidence.code for evidence in await world.inbound.evidence()] == [60, 40, 10, 20]
    assert [raw.state for raw in await world.inbound.raw_mails()].count("duplicate") == 2


async def test_late_delivery_wins_over_unreachable_and_asks_for_a_look(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID)
    await world.receive_evidence(10, 31)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.reason_code) == ("relay_failed", "evidence.31")
    await world.receive_evidence(40)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.reason_code, row.attention) == ("delivered", None, ["evidence_contradiction"])
    assert len(await world.inbound.evidence()) == 3


async def test_unknown_kind_is_kept_and_flagged(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID)
    await world.receive_evidence(70)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.attention) == ("submitted", ["evidence_unknown"])
    (evidence,) = await world.inbound.evidence()
    assert (evidence.code, evidence.evidence_type) == (None, "AcceptanceRejectionByRecipient")


async def test_evidence_settles_a_letter_whose_outcome_was_unknown(world: World) -> None:
    recipient_id = await world.inbound.outgoing(
        ID, state="outcome_unknown", outcome_unknown_since=NOW, submitted_at=None
    )
    await world.receive_evidence(10)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.outcome_unknown_since, row.next_attempt_at) == ("accepted", None, None)
    assert row.submitted_at is not None


@pytest.mark.parametrize("fails", [SignatureFormat.SMIME, SignatureFormat.XADES])
async def test_failed_evidence_moves_nothing_but_is_kept(world: World, fails: SignatureFormat) -> None:
    recipient_id = await world.inbound.outgoing(ID)
    world.signer.conclusions[fails] = Conclusion.FAILED
    await world.receive_evidence(40)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.attention) == ("submitted", ["evidence_unverified"])
    (evidence,) = await world.inbound.evidence()
    assert (evidence.conclusion, evidence.recipient_id) == ("failed", recipient_id)


async def test_forgery_does_not_suppress_the_genuine_piece(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID)
    world.signer.conclusions[SignatureFormat.XADES] = Conclusion.FAILED
    await world.receive(evidence_mail(evidence_xml(40, original_id=ID, identifier="same", reason="forged")))
    world.signer.conclusions.clear()
    await world.receive(evidence_mail(evidence_xml(40, original_id=ID, identifier="same")))
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.attention) == ("delivered", ["evidence_unverified"])


async def test_wholly_unsigned_evidence_proves_nothing(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID)
    world.signer.unsigned = {SignatureFormat.SMIME, SignatureFormat.XADES}
    await world.receive_evidence(40)
    assert (await world.inbound.recipient(recipient_id)).state == "submitted"
    world.signer.unsigned = {SignatureFormat.XADES}
    await world.receive_evidence(10)
    assert (await world.inbound.recipient(recipient_id)).state == "accepted"


async def test_undecided_evidence_advances_flagged_until_it_is_settled(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID)
    world.signer.conclusions[SignatureFormat.XADES] = Conclusion.INDETERMINATE
    world.signer.retry_after_seconds = 30
    await world.receive_evidence(40)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.attention) == ("delivered", ["evidence_unverified"])
    world.signer.conclusions.clear()
    await world.later(seconds=20)
    assert (await world.inbound.recipient(recipient_id)).attention == ["evidence_unverified"]
    await world.later(seconds=60)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.attention) == ("delivered", [])
    (evidence,) = await world.inbound.evidence()
    async with world.inbound.deps.database.reading() as session:
        verdicts = (await session.scalars(select(EvidenceVerdictRow).order_by(EvidenceVerdictRow.sequence))).all()
    assert [verdict.conclusion for verdict in verdicts] == ["indeterminate", "passed"]
    assert evidence.verify_at is None


@pytest.mark.parametrize("world", [{"unverified_evidence": "hold"}], indirect=True)
async def test_policy_hold_waits_for_the_settled_verdict(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID)
    world.signer.conclusions[SignatureFormat.XADES] = Conclusion.INDETERMINATE
    world.signer.retry_after_seconds = 30
    await world.receive_evidence(40)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.attention) == ("submitted", ["evidence_unverified"])
    world.signer.conclusions.clear()
    await world.later(seconds=60)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.attention) == ("delivered", [])


async def test_signer_away_is_no_verdict(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID)
    world.signer.away = True
    await world.receive_evidence(40)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.attention) == ("submitted", [])
    (evidence,) = await world.inbound.evidence()
    assert (evidence.conclusion, evidence.recipient_id) == (None, recipient_id)
    await world.later(seconds=20)
    world.signer.away = False
    await world.later(seconds=20)
    assert (await world.inbound.recipient(recipient_id)).state == "delivered"


async def test_what_a_dead_job_had_still_to_verify_is_taken_up_again(world: World) -> None:
    """A mail is read and its contents are verified by one job; the rows alone say that the second is due."""
    recipient_id = await world.inbound.outgoing(ID)
    world.signer.gate = asyncio.Event()
    for number, raw in enumerate(
        (evidence_mail(evidence_xml(40, original_id=ID)), dispatch(letter(("a.eyp", b"PK\x03\x04"))))
    ):
        await world.inbound.store(raw, uid=number)
        reading = asyncio.create_task(world.inbound.run_jobs())

        async def asked(number: int = number) -> bool:
            return len(world.signer.asked) > number

        await until(asked)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    assert {raw.state for raw in await world.inbound.raw_mails()} == {"ingested"}
    assert [row.state for row in await world.inbound.letters()] == ["parsed"]
    assert await world.inbound.ledger_imbalance() == 0
    world.signer.gate.set()
    await world.later(seconds=10)
    assert len(world.signer.asked) == 2  # for all that others know the job is still at it
    await world.later(seconds=15)
    assert (await world.inbound.recipient(recipient_id)).state == "delivered"
    assert [row.state for row in await world.inbound.letters()] == ["available"]


async def test_the_letters_envelope_is_judged_once_for_the_evidence_in_it_too(world: World) -> None:
    await world.receive(dispatch(letter(("a.eyp", b"PK\x03\x04")), evidence_xml(10)), "b-1")
    assert [item.format for item in world.signer.asked] == [
        SignatureFormat.SMIME, SignatureFormat.SMIME, SignatureFormat.XADES,
    ]  # fmt: skip
    (evidence,) = await world.inbound.evidence()
    assert (evidence.envelope_conclusion, evidence.conclusion) == ("passed", "passed")


async def test_correlation_in_its_order(world: World) -> None:
    """Without the Message-ID: the provider's own id learned from 10, the digest, iletiID, References."""
    digest = hashlib.sha256(b"the mail").digest()
    first = await world.inbound.outgoing(ID)
    second = await world.inbound.outgoing("<second@x>", composed_sha256=digest.hex(), composed_size=8)
    third = await world.inbound.outgoing("<third@x>", rem_id="rem-of-third")
    fourth = await world.inbound.outgoing("<fourth@x>")
    mails = [
        evidence_mail(evidence_xml(10, original_id=ID.strip("<>"), dispatch_id="<d-1@hs98>")),
        evidence_mail(evidence_xml(40, original_id=None, identifier="1", dispatch_id="d-1@hs98")),
        evidence_mail(evidence_xml(60, original_id="<other@x>", identifier="2"), X_REM_Message_Identifier="<d-1@hs98>"),
        evidence_mail(evidence_xml(40, original_id=None, identifier="3", digest=digest)),
        evidence_mail(evidence_xml(40, original_id=None, identifier="4"), X_TR_REM_iletiID="rem-of-third"),
        evidence_mail(evidence_xml(40, original_id=None, identifier="5"), In_Reply_To="<fourth@x>"),
    ]
    for mail in mails:
        await world.receive(mail)
    assert [(evidence.recipient_id, evidence.correlated_by) for evidence in await world.inbound.evidence()] == [
        (first, "original-id"), (first, "dispatch-id"), (first, "dispatch-id"), (second, "digest"), (third, "rem-id"),
        (fourth, "references"),
    ]  # fmt: skip
    for recipient_id, state in ((first, "read"), (second, "delivered"), (third, "delivered"), (fourth, "delivered")):
        assert (await world.inbound.recipient(recipient_id)).state == state


async def test_evidence_is_confined_to_the_mailboxs_institution(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID)
    await world.receive(evidence_mail(evidence_xml(40, original_id=ID)), "b-1")
    assert (await world.inbound.recipient(recipient_id)).state == "submitted"
    (evidence,) = await world.inbound.evidence()
    assert (evidence.institution_no, evidence.recipient_id) == (10000002, None)


async def test_evidence_before_its_letter_is_kept_and_tried_again(world: World) -> None:
    await world.receive_evidence(40)
    (evidence,) = await world.inbound.evidence()
    assert (evidence.recipient_id, evidence.conclusion) == (None, "passed")
    assert world.inbound.registry.get_sample_value("kepgw_evidence_uncorrelated") in {None, 0.0}
    await world.later(seconds=1)
    assert world.inbound.registry.get_sample_value("kepgw_evidence_uncorrelated") == 1
    recipient_id = await world.inbound.outgoing(ID)
    await world.later(seconds=30)
    assert (await world.inbound.recipient(recipient_id)).state == "delivered"


async def test_evidence_inside_a_dispatch_is_kept_with_the_letter(world: World) -> None:
    await world.receive(dispatch(letter(("a.eyp", b"PK\x03\x04")), evidence_xml(10)), "b-1")
    (evidence,) = await world.inbound.evidence()
    (received,) = await world.inbound.letters()
    assert (evidence.inbound_message_id, evidence.recipient_id) == (received.message_id, None)
    assert evidence.correlate_at is None
    await world.later(seconds=1)
    assert world.inbound.registry.get_sample_value("kepgw_evidence_uncorrelated") == 0
    assert world.inbound.registry.get_sample_value("kepgw_evidence_received_total", {"code": "10"}) == 1
