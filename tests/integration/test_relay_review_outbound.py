"""What stays true when clocks jump, answers come late, bytes rot and parts of the machine are slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from services.kep_relay.leadership import Leadership
from services.kep_relay.sweeper import Sweeper
from shared.domain.message import OutboundState
from tests.support.inbound import ID_OF_TESTS, running_inbound, scripted_signer
from tests.support.kep_provider import MemoryProvider
from tests.support.mails import evidence_mail, evidence_xml
from tests.support.relay import PACKAGE, SENDER_NO, Relay, running_relay


@pytest.fixture
async def relay(database_url: str, tmp_path: Path) -> AsyncIterator[Relay]:
    async with running_relay(database_url, tmp_path / "blobs") as running:
        yield running


async def one_letter(relay: Relay) -> UUID:
    message_id = await relay.hand_over(10000002)
    return (await relay.letter(message_id)).recipients[0].recipient_id


async def test_a_clock_that_jumps_ahead_sends_nothing_twice(relay: Relay) -> None:
    """After the jump the process looks dead and the window over, while its submission is still running."""
    relay.provider.answering.clear()
    recipient_id = await one_letter(relay)
    task = asyncio.create_task(relay.submit(recipient_id))
    await relay.provider.reached.wait()
    relay.clock.moment += timedelta(hours=1)
    await relay.side.sweep.sweep()
    await relay.reconcile(recipient_id)
    assert (await relay.row(recipient_id)).state == OutboundState.OUTCOME_UNKNOWN
    relay.provider.answering.set()
    await task
    # The answer was late, but it was a proper one.
    row = await relay.row(recipient_id)
    assert (row.state, row.outcome_unknown_since, row.next_attempt_at) == ("submitted", None, None)
    await relay.submit(recipient_id)
    assert set(relay.provider.copies().values()) == {1}


async def test_no_letter_collects_jobs_while_it_waits_its_turn(database_url: str, tmp_path: Path) -> None:
    async with running_relay(database_url, tmp_path / "blobs", instance_ttl_seconds=1) as relay:
        recipient_id = await one_letter(relay)
        await asyncio.sleep(1.1)  # the life sign has run out: every job is put back
        for _round in range(5):
            relay.clock.moment += timedelta(seconds=20)
            await relay.side.sweep.sweep()
            await relay.submit(recipient_id)
        assert len(await relay.jobs("kep_relay.submit")) <= 2


def damage(directory: Path, sha256: str) -> None:
    path = directory / sha256[:2] / sha256[2:4] / sha256
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


async def test_a_damaged_message_is_not_sent(relay: Relay, tmp_path: Path) -> None:
    recipient_id = await one_letter(relay)
    relay.provider.drop_messages = 0
    relay.desk.fault = None
    await relay.execute("UPDATE mailboxes SET stopped_at = now()")
    await relay.submit(recipient_id)
    await relay.execute("UPDATE mailboxes SET stopped_at = NULL")
    package = (await relay.letter((await relay.row(recipient_id)).message_id)).package_sha256
    damage(tmp_path / "blobs", package)
    await relay.execute("UPDATE outbound_recipients SET state = 'queued', next_attempt_at = NULL")
    await relay.submit(recipient_id)
    row = await relay.row(recipient_id)
    assert (row.state, row.reason_code, row.composed_sha256) == ("retry_wait", "durability-unavailable", None)
    await relay.deps.blobs.put(PACKAGE, limit=1_000_000)
    relay.provider.lose_answers = 0
    relay.clock.moment += timedelta(minutes=1)
    from services.kep_relay.drivers.protocol import TemporaryFailure

    relay.provider.answers.append(TemporaryFailure("provider-unavailable", "later"))
    await relay.submit(recipient_id)
    composed = (await relay.row(recipient_id)).composed_sha256
    assert composed is not None
    damage(tmp_path / "blobs", composed)
    relay.clock.moment += timedelta(minutes=1)
    await relay.submit(recipient_id)
    row = await relay.row(recipient_id)
    assert (row.state, row.reason_code) == ("retry_wait", "durability-unavailable")
    assert relay.provider.sent == []


async def test_evidence_that_waits_for_its_verdict_keeps_the_letter_from_going_again(
    database_url: str, tmp_path: Path
) -> None:
    from datetime import UTC, datetime

    from shared.clock import FixedClock

    now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    clock, provider = FixedClock(now), MemoryProvider()
    async with (
        scripted_signer() as (signer, url),
        running_inbound(database_url, tmp_path, signer_url=url, clock=clock, driver=provider) as inbound,
    ):
        await inbound.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        recipient_id = await inbound.outgoing(
            ID_OF_TESTS, state="outcome_unknown", outcome_unknown_since=now, last_attempt_at=now, submitted_at=None,
            next_attempt_at=now, attempts=1,
        )  # fmt: skip
        signer.away = True
        await inbound.take_in(evidence_mail(evidence_xml(10, original_id=ID_OF_TESTS)), uid=1)
        clock.moment += timedelta(hours=1)
        await inbound.outbound.jobs.reconcile.task(recipient_id=str(recipient_id))
        row = await inbound.recipient(recipient_id)
        assert row.state == "outcome_unknown"
        assert row.next_attempt_at is not None
        signer.away = False
        await inbound.sweep()
        await inbound.run_jobs()
        assert (await inbound.recipient(recipient_id)).state == "accepted"


async def test_a_part_of_the_sweep_that_breaks_does_not_keep_the_others_from_their_turn(relay: Relay) -> None:
    done = asyncio.Event()

    async def broken() -> None:
        raise ValueError("a row of a later version")

    async def sound() -> None:
        done.set()

    sweeper = Sweeper(
        leadership=Leadership(relay.deps.database), sweeps=[broken, sound], gauges=[], ledger=relay.ledger,
        queue=relay.deps.queue, blobs=relay.deps.blobs, metrics=relay.deps.metrics, interval_seconds=0.2,
    )  # fmt: skip
    stop = asyncio.Event()
    task = asyncio.create_task(sweeper.run(stop))
    await asyncio.wait_for(done.wait(), 5)
    stop.set()
    await task


async def test_flags_are_looked_for_by_index(relay: Relay) -> None:
    from sqlalchemy import text

    async with relay.deps.database.reading() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await session.scalars(
            text(
                "EXPLAIN SELECT recipient_id FROM outbound_recipients"
                " WHERE state NOT IN ('submitted', 'accepted', 'relayed') AND 'evidence_overdue' = ANY (attention)"
            )
        )
        assert "ix_outbound_recipients_overdue" in "\n".join(plan)
