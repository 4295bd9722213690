"""The short memory of answers, and the bounds of the door to DETSİS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.detsis_sync.clients import DetsisClients
from services.detsis_sync.live.calls import LiveBounds, LiveCalls
from services.detsis_sync.live.memory import ShortMemory
from services.detsis_sync.metrics import DirectoryMetrics
from services.detsis_sync.soap.account import DetsisAccount, DetsisHttpSettings
from services.detsis_sync.soap.client import DetsisClient
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason
from services.detsis_sync.soap.wire import Operation
from shared.clock import FixedClock
from shared.domain.identifiers import DetsisNumber
from shared.errors import DomainError, ErrorCode

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


def answering(*values: int) -> Callable[[], Awaitable[int]]:
    left = list(values)

    async def ask() -> int:
        return left.pop(0)

    return ask


def failing(code: ErrorCode) -> Callable[[], Awaitable[int]]:
    async def ask() -> int:
        raise DomainError(code, "no")

    return ask


async def test_an_answer_serves_until_it_is_old(clock: FixedClock) -> None:
    memory: ShortMemory[str, int] = ShortMemory(clock, fresh_seconds=10)
    ask = answering(1, 2)
    first = await memory.get("a", ask)
    clock.moment += timedelta(seconds=9)
    second = await memory.get("a", ask)
    clock.moment += timedelta(seconds=1)
    third = await memory.get("a", ask)
    assert [(found.value, found.cached) for found in (first, second, third)] == [(1, False), (1, True), (2, False)]
    assert (second.as_of, third.as_of) == (NOW, clock.moment)


async def test_an_old_answer_serves_marked_while_there_is_no_new_one(clock: FixedClock) -> None:
    memory: ShortMemory[str, int] = ShortMemory(clock, fresh_seconds=10, keep_seconds=60)
    await memory.get("a", answering(1))
    clock.moment += timedelta(seconds=59)
    kept = await memory.get("a", failing(ErrorCode.DIRECTORY_UNAVAILABLE))
    assert (kept.value, kept.stale, kept.as_of) == (1, True, NOW)
    with pytest.raises(DomainError):
        await memory.get("a", failing(ErrorCode.DIRECTORY_REFUSED))
    clock.moment += timedelta(seconds=1)
    with pytest.raises(DomainError):
        await memory.get("a", failing(ErrorCode.DIRECTORY_UNAVAILABLE))


async def test_many_who_want_the_same_ask_once_and_one_who_gives_up_takes_it_from_nobody(clock: FixedClock) -> None:
    memory: ShortMemory[str, int] = ShortMemory(clock, fresh_seconds=10)
    released, asked = asyncio.Event(), 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await released.wait()
        return 7

    waiting = [asyncio.create_task(memory.get("a", ask)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    released.set()
    assert [found.value for found in await asyncio.gather(*waiting[1:])] == [7] * 4
    assert asked == 1


async def test_what_is_held_is_bounded_and_the_oldest_goes_first(clock: FixedClock) -> None:
    memory: ShortMemory[int, int] = ShortMemory(clock, fresh_seconds=10, largest=10, weigh=lambda value: value)
    for key in range(4):
        await memory.get(key, answering(4))
    assert [key for key, _value in memory.fresh()] == [3, 2]
    await memory.get(9, answering(11))
    assert [key for key, _value in memory.fresh()] == [3, 2], "too heavy to be held at all"


ACCOUNT = DetsisAccount(DetsisNumber(10000001), "10000001", SecretStr("x"), "https://localhost:1/")
OTHER = DetsisAccount(DetsisNumber(10000002), "10000002", SecretStr("x"), "https://localhost:1/")
ELSEWHERE = DetsisAccount(DetsisNumber(10000003), "10000003", SecretStr("x"), "https://localhost:2/")


def door(clock: FixedClock, *, seconds: float = 60, concurrency: int = 8) -> LiveCalls:
    bounds = LiveBounds(seconds=seconds, operation_seconds={}, rest_seconds=15, concurrency=concurrency)
    return LiveCalls(DetsisClients(DetsisHttpSettings(), clock), clock, DirectoryMetrics(CollectorRegistry()), bounds)


async def told(_client: DetsisClient) -> str:
    return "told"


async def test_details_of_one_institution_leave_room_for_letters_and_for_others(clock: FixedClock) -> None:
    calls = door(clock, concurrency=8)
    released, running = asyncio.Event(), 0

    async def slow(_client: DetsisClient) -> str:
        nonlocal running
        running += 1
        await released.wait()
        return "late"

    waiting = [asyncio.create_task(calls.ask(ACCOUNT, Operation.CONTACTS, slow)) for _ in range(20)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert running == 2, "a quarter"
    assert await calls.ask(ACCOUNT, Operation.CORRESPONDENCE_PACKAGE, told) == "told"
    assert await calls.ask(OTHER, Operation.CONTACTS, told) == "told"
    released.set()
    assert await asyncio.gather(*waiting) == ["late"] * 20


async def test_waiting_for_a_turn_ends_too_and_is_no_failure_of_detsis(clock: FixedClock) -> None:
    calls = door(clock, concurrency=1)
    released = asyncio.Event()

    async def slow(_client: DetsisClient) -> str:
        await released.wait()
        return "late"

    first = asyncio.create_task(calls.ask(ACCOUNT, Operation.UNIT, slow))
    await asyncio.sleep(0)
    until = asyncio.get_running_loop().time() + 0.02
    with pytest.raises(DomainError) as caught:
        await calls.ask(ACCOUNT, Operation.UNIT, told, until=until)
    assert (caught.value.code, caught.value.retry_after_seconds) == (ErrorCode.DIRECTORY_UNAVAILABLE, 5)
    released.set()
    assert await first == "late"
    assert await calls.ask(ACCOUNT, Operation.UNIT, told) == "told"


@pytest.mark.parametrize(
    ("reason", "resting"),
    [
        (FailureReason.MALFORMED, {"contacts of ACCOUNT"}),
        (FailureReason.CONNECTION, {"contacts of ACCOUNT", "units of ACCOUNT"}),
    ],
)
async def test_a_failed_question_rests_by_itself_and_an_unreachable_endpoint_as_a_whole(
    clock: FixedClock, reason: FailureReason, resting: set[str]
) -> None:
    calls = door(clock)

    async def broken(_client: DetsisClient) -> str:
        raise DirectoryCallError(reason, "operation", "broken")

    with pytest.raises(DirectoryCallError):
        await calls.ask(ACCOUNT, Operation.CONTACTS, broken)
    found = set()
    for name, account, operation in (
        ("contacts of ACCOUNT", ACCOUNT, Operation.CONTACTS),
        ("units of ACCOUNT", ACCOUNT, Operation.UNIT),
        ("contacts elsewhere", ELSEWHERE, Operation.CONTACTS),
    ):
        try:
            await calls.ask(account, operation, told)
        except DomainError:
            found.add(name)
    assert found == resting
    clock.moment += timedelta(seconds=15)
    assert await calls.ask(ACCOUNT, Operation.CONTACTS, told) == "told"


async def test_a_refusal_lets_the_next_question_pass(clock: FixedClock) -> None:
    calls = door(clock)

    async def refused(_client: DetsisClient) -> str:
        raise DirectoryCallError(FailureReason.IN_BAND, "operation", "no", refused=True)

    with pytest.raises(DirectoryCallError):
        await calls.ask(ACCOUNT, Operation.UNIT, refused)
    assert await calls.ask(ACCOUNT, Operation.UNIT, told) == "told"
