"""A short memory of answers: bounded in number and age, and one question at a time for each key."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from shared.clock import Clock
from shared.errors import DomainError, ErrorCode

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Remembered(Generic[Value]):
    """An answer, when it was given, and whether it was asked for just now."""

    value: Value
    as_of: datetime
    cached: bool
    stale: bool = False
    """Older than answers are used for, but there is none better: DETSİS did not answer."""


class ShortMemory(Generic[Key, Value]):
    """Answers by key. Who asks for a key somebody is already asking for waits for that answer.

    ``fresh_seconds`` is how long an answer is used; for ``keep_seconds`` it still serves when there is no new one.
    ``largest`` bounds the sum of what ``weigh`` says of the values; the oldest go first.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        fresh_seconds: float,
        keep_seconds: float = 0,
        largest: int = 1000,
        weigh: Callable[[Value], int] = lambda _value: 1,
    ) -> None:
        self._clock = clock
        self._fresh = timedelta(seconds=fresh_seconds)
        self._keep = max(self._fresh, timedelta(seconds=keep_seconds))
        self._largest = largest
        self._weigh = weigh
        self._held: OrderedDict[Key, tuple[datetime, Value, int]] = OrderedDict()
        self._weight = 0
        self._under_way: dict[Key, asyncio.Task[tuple[datetime, Value]]] = {}

    async def get(self, key: Key, ask: Callable[[], Awaitable[Value]]) -> Remembered[Value]:
        """The answer for ``key``: a fresh one held, else what ``ask`` brings.

        When ``ask`` raises DIRECTORY_UNAVAILABLE an older answer that is still held is given, marked stale; everything
        else it raises goes to all who wait.
        """
        held = self._held.get(key)
        if held is not None and self._clock.now() - held[0] < self._fresh:
            return Remembered(held[1], held[0], cached=True)
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(key, ask))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        try:
            # shielded: one who gives up waiting does not take the answer from the others
            as_of, value = await asyncio.shield(task)
        except DomainError as error:
            held = self._held.get(key)
            if error.code is not ErrorCode.DIRECTORY_UNAVAILABLE or held is None:
                raise
            if self._clock.now() - held[0] >= self._keep:
                raise
            return Remembered(held[1], held[0], cached=True, stale=True)
        return Remembered(value, as_of, cached=False)

    def fresh(self) -> Iterator[tuple[Key, Value]]:
        """What is held and fresh, newest first."""
        now = self._clock.now()
        for key, (at, value, _weight) in reversed(self._held.items()):
            if now - at < self._fresh:
                yield key, value

    async def _ask(self, key: Key, ask: Callable[[], Awaitable[Value]]) -> tuple[datetime, Value]:
        value = await ask()
        now = self._clock.now()
        self._hold(key, now, value)
        return now, value

    def _hold(self, key: Key, now: datetime, value: Value) -> None:
        self._drop(key)
        weight = self._weigh(value)
        if self._keep <= timedelta(0) or weight > self._largest:
            return
        self._held[key] = now, value, weight
        self._weight += weight
        while self._held and (self._weight > self._largest or now - next(iter(self._held.values()))[0] >= self._keep):
            self._drop(next(iter(self._held)))

    def _drop(self, key: Key) -> None:
        if (held := self._held.pop(key, None)) is not None:
            self._weight -= held[2]

    def _finished(self, key: Key, task: asyncio.Task[tuple[datetime, Value]]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at, so that a failure nobody waited for is no noise in the log
