"""The outgoing side running by itself: worker, sweeper and life sign on the machine's clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from services.kep_relay.drivers.protocol import TemporaryFailure
from services.kep_relay.leadership import Leadership
from services.kep_relay.sweeper import Sweeper
from shared.clock import SystemClock
from shared.errors import DomainError, ErrorCode
from tests.support.relay import Relay, running_relay

QUICK: dict[str, Any] = {
    "retry_pauses_seconds": [0.2],
    "blocked_pauses_seconds": [0.3],
    "reconcile_pauses_seconds": [0.2],
    "reconcile_window_seconds": 1,
    "instance_ttl_seconds": 2,
    "sweep_interval_seconds": 0.3,
}


def sweeper(relay: Relay) -> Sweeper:
    return Sweeper(
        leadership=Leadership(relay.deps.database),
        sweeps=[relay.side.sweep.sweep],
        ledger=relay.ledger,
        queue=relay.deps.queue,
        blobs=relay.deps.blobs,
        metrics=relay.deps.metrics,
        interval_seconds=relay.deps.settings.sweep_interval_seconds,
    )


@asynccontextmanager
async def at_work(relay: Relay) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    parts = [relay.deps.queue.run_worker(stop), sweeper(relay).run(stop), relay.deps.instance.run(stop)]
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


def all_in(relay: Relay, message_ids: list[UUID], state: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        letters = [await relay.letter(message_id) for message_id in message_ids]
        return all(letter.state == state for letter in letters)

    return check


async def test_letters_go_out_by_themselves_whatever_was_down(database_url: str, tmp_path: Path) -> None:
    """Directory, signer and provider are down one after the other; each letter goes out exactly once."""
    async with running_relay(database_url, tmp_path, clock=SystemClock(), **QUICK) as relay, at_work(relay):
        relay.register.fault = DomainError(ErrorCode.DIRECTORY_UNAVAILABLE, "no answer")
        message_ids = [await relay.hand_over(10000002, 10000003) for _ in range(3)]
        await until(all_in(relay, message_ids, "retry_wait"))
        relay.desk.fault = DomainError(ErrorCode.SIGNER_UNAVAILABLE, "no answer")
        relay.register.fault = None
        await asyncio.sleep(0.5)
        relay.provider.answers.extend(TemporaryFailure("provider-unavailable", "451") for _ in range(4))
        relay.provider.lose_answers = 1
        relay.provider.drop_messages = 1
        relay.desk.fault = None
        await until(all_in(relay, message_ids, "submitted"))
        assert sorted(relay.provider.copies().values()) == [1] * 6
        ledger = await relay.ledger.read()
        assert (ledger.outbound.accepted, ledger.outbound.in_flight, ledger.outbound.imbalance) == (6, 6, 0)


async def test_with_all_jobs_lost_the_sweeper_carries_on(database_url: str, tmp_path: Path) -> None:
    async with running_relay(database_url, tmp_path, clock=SystemClock(), **QUICK) as relay:
        message_ids = [await relay.hand_over(10000002) for _ in range(3)]
        await relay.execute("DELETE FROM procrastinate_events")
        await relay.execute("DELETE FROM procrastinate_jobs")
        async with at_work(relay):
            await until(all_in(relay, message_ids, "submitted"))
        assert sorted(relay.provider.copies().values()) == [1, 1, 1]


async def test_stopping_finishes_the_submission_in_hand_and_begins_nothing_new(
    database_url: str, tmp_path: Path
) -> None:
    async with running_relay(database_url, tmp_path, clock=SystemClock(), submissions_per_mailbox=1, **QUICK) as relay:
        relay.provider.pause = 0.5
        message_ids = [await relay.hand_over(10000002) for _ in range(4)]
        async with at_work(relay) as stop:
            await relay.provider.reached.wait()
            stop.set()
        states = [(await relay.letter(message_id)).state for message_id in message_ids]
        assert sorted(states) == ["queued", "queued", "queued", "submitted"]
        assert relay.provider.calls == 1


async def test_a_process_that_loses_its_life_sign_begins_nothing(database_url: str, tmp_path: Path) -> None:
    async with running_relay(database_url, tmp_path, clock=SystemClock(), instance_ttl_seconds=1) as relay:
        message_id = await relay.hand_over(10000002)
        recipient_id = (await relay.letter(message_id)).recipients[0].recipient_id
        await asyncio.sleep(1.1)
        await relay.submit(recipient_id)
        assert relay.provider.calls == 0
        with contextlib.suppress(DomainError):
            await relay.deps.instance.check()
            raise AssertionError("not alive, yet said to be")
        await relay.deps.instance.renew()
        await relay.submit(recipient_id)
        assert relay.provider.calls == 1


async def test_one_process_leads_and_another_takes_over(database_url: str, tmp_path: Path) -> None:
    async with running_relay(database_url, tmp_path) as relay:
        first, second = Leadership(relay.deps.database), Leadership(relay.deps.database)
        assert await first.hold()
        assert not await second.hold()
        assert await first.hold()
        await relay.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        )
        assert not await first.hold()
        assert await second.hold()
        await second.release()
        assert await first.hold()
        await first.release()
