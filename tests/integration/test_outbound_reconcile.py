"""Lost answers, dead processes, lost jobs: every letter goes on, and none goes twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from services.kep_relay.drivers.protocol import TemporaryFailure
from services.kep_relay.outbound import moves
from services.kep_relay.outbound.history import EventKind
from services.kep_relay.outbound.moves import Row
from shared.domain.message import OutboundState
from shared.errors import DomainError, ErrorCode
from tests.support.database import unreachable
from tests.support.relay import START, Relay, running_relay


@pytest.fixture
async def relay(database_url: str, tmp_path: Path) -> AsyncIterator[Relay]:
    async with running_relay(database_url, tmp_path / "blobs") as running:
        yield running


async def unknown_outcome(relay: Relay) -> tuple[UUID, UUID]:
    message_id = await relay.hand_over(10000002)
    recipient_id = (await relay.letter(message_id)).recipients[0].recipient_id
    await relay.submit(recipient_id)
    assert (await relay.row(recipient_id)).state == OutboundState.OUTCOME_UNKNOWN
    return message_id, recipient_id


async def begin_and_die(relay: Relay, recipient_id: UUID, instance_id: UUID | None = None) -> None:
    """A process that writes the intent and is never heard of again."""
    letter = await moves.claim(
        relay.deps.database,
        recipient_id,
        uuid4(),
        instance_id=instance_id or uuid4(),
        now=relay.clock.now(),
        seconds=900,
    )
    assert letter is not None
    async with relay.deps.database.unit_of_work() as work:
        assert await moves.move(
            work,
            recipient_id=recipient_id,
            message_id=letter.message.message_id,
            from_state=OutboundState.QUEUED,
            to_state=OutboundState.SUBMITTING,
            kind=EventKind.ATTEMPT,
            detail=None,
            at=relay.clock.now(),
            claim_token=letter.token,
            values={Row.attempts: 1, Row.last_attempt_at: relay.clock.now(), Row.next_attempt_at: None},
        )


async def test_a_message_the_provider_shows_is_submitted_and_never_sent_again(relay: Relay) -> None:
    relay.provider.lose_answers = 1
    message_id, recipient_id = await unknown_outcome(relay)
    assert await relay.jobs("kep_relay.reconcile") == [str(recipient_id)]
    await relay.reconcile(recipient_id)
    row = await relay.row(recipient_id)
    assert (row.state, row.submitted_at, row.outcome_unknown_since) == ("submitted", START, None)
    relay.clock.moment += timedelta(hours=2)
    await relay.submit(recipient_id)
    await relay.reconcile(recipient_id)
    assert relay.provider.calls == 1
    assert [event.kind for event in await relay.events(message_id)][-1] == "reconciled"


async def test_a_message_that_stays_absent_is_sent_again_unchanged_after_the_window(relay: Relay) -> None:
    relay.provider.drop_messages = 1
    _message_id, recipient_id = await unknown_outcome(relay)
    before = await relay.row(recipient_id)
    while True:
        row = await relay.row(recipient_id)
        if row.state != OutboundState.OUTCOME_UNKNOWN:
            break
        assert relay.clock.moment < START + timedelta(minutes=17)
        assert row.next_attempt_at is not None
        relay.clock.moment = row.next_attempt_at
        await relay.reconcile(recipient_id)
        await relay.submit(recipient_id) if relay.clock.moment < START + timedelta(minutes=15) else None
    assert row.state == OutboundState.QUEUED
    assert relay.clock.moment >= START + timedelta(minutes=15)
    assert relay.provider.calls == 1
    await relay.submit(recipient_id)
    after = await relay.row(recipient_id)
    assert after.state == OutboundState.SUBMITTED
    assert (after.composed_sha256, after.message_id_header) == (before.composed_sha256, before.message_id_header)
    assert relay.provider.copies() == {before.message_id_header: 1}


async def test_a_provider_that_cannot_be_asked_proves_nothing(relay: Relay) -> None:
    relay.provider.lose_answers = 1
    relay.provider.searchable = False
    _message_id, recipient_id = await unknown_outcome(relay)
    relay.clock.moment += timedelta(days=2)
    await relay.reconcile(recipient_id)
    row = await relay.row(recipient_id)
    assert row.state == OutboundState.OUTCOME_UNKNOWN
    assert row.next_attempt_at is not None
    assert row.next_attempt_at > relay.clock.moment
    relay.provider.searchable = True
    await relay.reconcile(recipient_id)
    assert (await relay.row(recipient_id)).state == OutboundState.SUBMITTED


async def test_evidence_settles_an_unknown_outcome(relay: Relay) -> None:
    relay.provider.lose_answers = 1
    _message_id, recipient_id = await unknown_outcome(relay)
    await relay.execute("UPDATE outbound_recipients SET state = 'accepted', version = version + 1")
    await relay.reconcile(recipient_id)
    assert (await relay.row(recipient_id)).state == "accepted"


async def test_evidence_faster_than_the_answer_is_not_overwritten(relay: Relay) -> None:
    relay.provider.answering.clear()
    message_id = await relay.hand_over(10000002)
    recipient_id = (await relay.letter(message_id)).recipients[0].recipient_id
    task = asyncio.create_task(relay.submit(recipient_id))
    await relay.provider.reached.wait()
    await relay.execute("UPDATE outbound_recipients SET state = 'delivered', version = version + 1")
    relay.provider.answering.set()
    await task
    row = await relay.row(recipient_id)
    assert (row.state, row.submitted_at, row.claim_token) == ("delivered", START, None)


async def test_a_process_that_dies_in_submission_leaves_an_unknown_outcome(relay: Relay) -> None:
    message_id = await relay.hand_over(10000002)
    recipient_id = (await relay.letter(message_id)).recipients[0].recipient_id
    await begin_and_die(relay, recipient_id)
    assert (await relay.ledger.read()).outbound.imbalance == 0
    await relay.submit(recipient_id)
    assert relay.provider.calls == 0
    await relay.side.sweep.sweep()
    row = await relay.row(recipient_id)
    assert (row.state, row.claim_token) == (OutboundState.OUTCOME_UNKNOWN, None)
    assert await relay.jobs("kep_relay.reconcile") == [str(recipient_id)]
    assert "interrupted" in [event.kind for event in await relay.events(message_id)]


async def test_a_living_process_keeps_what_it_holds(relay: Relay) -> None:
    relay.provider.answering.clear()
    message_id = await relay.hand_over(10000002)
    recipient_id = (await relay.letter(message_id)).recipients[0].recipient_id
    task = asyncio.create_task(relay.submit(recipient_id))
    await relay.provider.reached.wait()
    await relay.side.sweep.sweep()
    assert (await relay.row(recipient_id)).state == OutboundState.SUBMITTING
    relay.provider.answering.set()
    await task
    assert (await relay.row(recipient_id)).state == OutboundState.SUBMITTED


async def test_a_process_that_lost_its_claim_does_not_write_its_outcome(relay: Relay) -> None:
    relay.provider.answering.clear()
    message_id = await relay.hand_over(10000002)
    recipient_id = (await relay.letter(message_id)).recipients[0].recipient_id
    task = asyncio.create_task(relay.submit(recipient_id))
    await relay.provider.reached.wait()
    await relay.execute("DELETE FROM instances")
    await relay.side.sweep.sweep()
    relay.provider.answering.set()
    await task
    # … unless it is certain: the provider's late word settles what was unknown.
    assert (await relay.row(recipient_id)).state == OutboundState.SUBMITTED
    assert set(relay.provider.copies().values()) == {1}


async def test_a_late_refusal_leaves_the_outcome_to_those_who_look(relay: Relay) -> None:
    relay.provider.answering.clear()
    relay.provider.answers.append(TemporaryFailure("provider-unavailable", "busy"))
    message_id = await relay.hand_over(10000002)
    recipient_id = (await relay.letter(message_id)).recipients[0].recipient_id
    task = asyncio.create_task(relay.submit(recipient_id))
    await relay.provider.reached.wait()
    await relay.execute("DELETE FROM instances")
    await relay.side.sweep.sweep()
    relay.provider.answering.set()
    await task
    assert (await relay.row(recipient_id)).state == OutboundState.OUTCOME_UNKNOWN


async def test_a_claim_of_a_process_that_died_before_the_intent_is_taken_over(relay: Relay) -> None:
    message_id = await relay.hand_over(10000002)
    recipient_id = (await relay.letter(message_id)).recipients[0].recipient_id
    await moves.claim(
        relay.deps.database, recipient_id, uuid4(), instance_id=uuid4(), now=relay.clock.now(), seconds=900
    )
    await relay.side.sweep.sweep()
    assert (await relay.row(recipient_id)).claim_token is None
    await relay.submit(recipient_id)
    assert len(relay.provider.sent) == 1


async def test_losing_the_whole_job_table_loses_no_letter(relay: Relay) -> None:
    relay.provider.lose_answers = 1
    _one, unknown = await unknown_outcome(relay)
    two = await relay.hand_over(10000002, 10000003)
    waiting = [item.recipient_id for item in (await relay.letter(two)).recipients]
    await relay.execute("DELETE FROM procrastinate_events")
    await relay.execute("DELETE FROM procrastinate_jobs")
    relay.clock.moment += timedelta(minutes=1)
    await relay.side.sweep.sweep()
    await relay.side.sweep.sweep()
    assert sorted(await relay.jobs("kep_relay.submit")) == sorted(str(item) for item in waiting)
    assert await relay.jobs("kep_relay.reconcile") == [str(unknown)]


async def test_what_blocks_is_looked_at_again(relay: Relay) -> None:
    from shared.contracts.directory import ResolutionProblem

    relay.register.problems[10000002] = ResolutionProblem.NO_KEP_ADDRESS
    message_id = await relay.hand_over(10000002)
    recipient_id = (await relay.letter(message_id)).recipients[0].recipient_id
    await relay.submit(recipient_id)
    await relay.side.sweep.sweep()
    assert (await relay.row(recipient_id)).state == OutboundState.BLOCKED
    relay.register.problems.clear()
    relay.clock.moment += timedelta(minutes=1)
    await relay.side.sweep.sweep()
    await relay.submit(recipient_id)
    assert (await relay.row(recipient_id)).state == OutboundState.SUBMITTED


async def test_a_letter_that_cannot_be_sent_in_time_expires(relay: Relay) -> None:
    message_id = await relay.hand_over(10000002, 10000003, expires_at=START + timedelta(hours=1))
    swept, tried = [item.recipient_id for item in (await relay.letter(message_id)).recipients]
    relay.clock.moment += timedelta(hours=1)
    await relay.submit(tried)
    assert (await relay.row(tried)).state == OutboundState.EXPIRED
    await relay.side.sweep.sweep()
    assert (await relay.row(swept)).state == OutboundState.EXPIRED
    assert relay.provider.calls == 0
    ledger = (await relay.ledger.read()).outbound
    assert (ledger.accepted, ledger.terminal, ledger.imbalance) == (2, 2, 0)


async def test_missing_evidence_asks_for_attention_and_is_taken_back_when_it_comes(relay: Relay) -> None:
    message_id = await relay.hand_over(10000002)
    recipient_id = (await relay.letter(message_id)).recipients[0].recipient_id
    await relay.submit(recipient_id)
    await relay.side.sweep.sweep()
    assert (await relay.row(recipient_id)).attention == []
    relay.clock.moment += timedelta(hours=24)
    await relay.side.sweep.sweep()
    await relay.side.sweep.sweep()
    assert (await relay.row(recipient_id)).attention == ["evidence_overdue"]
    await relay.ledger.publish()
    assert relay.deps.registry.get_sample_value("kepgw_evidence_overdue") == 1
    await relay.execute("UPDATE outbound_recipients SET state = 'delivered'")
    await relay.side.sweep.sweep()
    assert (await relay.row(recipient_id)).attention == []
    assert [event.kind for event in await relay.events(message_id)].count("attention") == 2


async def test_the_ledger_shows_a_letter_that_nothing_will_move(relay: Relay) -> None:
    message_id = await relay.hand_over(10000002, 10000003)
    first = (await relay.letter(message_id)).recipients[0].recipient_id
    assert (await relay.ledger.read()).outbound.imbalance == 0
    await relay.execute(
        "UPDATE outbound_recipients SET state = 'retry_wait', next_attempt_at = NULL WHERE recipient_id = :id", id=first
    )
    assert (await relay.ledger.read()).outbound.imbalance == 1
    await relay.execute("DELETE FROM outbound_recipients WHERE recipient_id = :id", id=first)
    await relay.ledger.publish()
    value = relay.deps.registry.get_sample_value("kepgw_ledger_imbalance_messages", {"direction": "outbound"})
    assert value == 1


async def test_a_claim_that_could_not_be_given_back_does_not_hold_the_letter(relay: Relay, database_url: str) -> None:
    """The database goes while a letter is in hand: neither why it waits nor that it is free can be written."""
    message_id = await relay.hand_over(10000002)
    recipient_id = (await relay.letter(message_id)).recipients[0].recipient_id
    relay.register.gate = asyncio.Event()
    relay.register.fault = DomainError(ErrorCode.DIRECTORY_UNAVAILABLE, "away")
    task = asyncio.create_task(relay.submit(recipient_id))
    await relay.register.asked.wait()
    assert await relay.side.claims.let_go() == 0  # somebody works on it
    with unreachable(database_url):
        relay.register.gate.set()
        with pytest.raises(DomainError):
            await task
        with pytest.raises(DomainError):
            await relay.side.claims.let_go()
    await relay.execute("DELETE FROM procrastinate_jobs")
    await relay.side.sweep.sweep()
    assert await relay.jobs("kep_relay.submit") == []  # the process lives, and its claim runs for a long time yet
    assert await relay.side.claims.let_go() == 1
    assert await relay.side.claims.let_go() == 0
    await relay.side.sweep.sweep()
    assert await relay.jobs("kep_relay.submit") == [str(recipient_id)]
    relay.register.fault = None
    await relay.submit(recipient_id)
    assert (await relay.row(recipient_id)).state == OutboundState.SUBMITTED
    assert set(relay.provider.copies().values()) == {1}


async def test_an_intent_that_its_own_process_lost_is_looked_into(database_url: str, tmp_path: Path) -> None:
    async with running_relay(database_url, tmp_path / "blobs", instance_ttl_seconds=1) as relay:
        message_id = await relay.hand_over(10000002)
        recipient_id = (await relay.letter(message_id)).recipients[0].recipient_id
        await begin_and_die(relay, recipient_id, relay.deps.instance.instance_id)
        await relay.side.sweep.sweep()
        assert (await relay.row(recipient_id)).state == OutboundState.SUBMITTING
        stop = asyncio.Event()
        keeping = asyncio.create_task(relay.side.claims.keep(stop))
        async with asyncio.timeout(30):
            while relay.deps.registry.get_sample_value("kepgw_swept_rows_total", {"what": "lost_claims"}) != 1:
                await asyncio.sleep(0.05)
        stop.set()
        await keeping
        await relay.side.sweep.sweep()
        assert (await relay.row(recipient_id)).state == OutboundState.OUTCOME_UNKNOWN
        assert await relay.jobs("kep_relay.reconcile") == [str(recipient_id)]
