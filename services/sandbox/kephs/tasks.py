"""The work a provider does after it has said yes: kept in its store, done in order of due time, survives a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import structlog
from pydantic import TypeAdapter

from services.sandbox.kephs.plan import Timeline
from services.sandbox.kephs.store import MailStore, TaskRow

_AFTER_FAILURE = timedelta(seconds=1)
_log = structlog.get_logger()


@dataclass(frozen=True)
class Examine:
    """A submitted message is in ``Sent``: accept it (10) or reject it (11)."""

    account: str
    uid: int
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class Relay:
    """An accepted message goes to one recipient's provider."""

    account: str
    uid: int
    recipient: str
    dispatch_id: str
    acceptance_id: str
    gives_up_at: str | None = None
    """ISO moment after which an unreachable provider means 31; set at the first failure."""
    late: bool = False
    """31 was already issued for it on purpose; it is relayed all the same."""


@dataclass(frozen=True)
class TakeIn:
    """An envelope waits in transit at the recipient's provider: 20 or 21, then 40 or 41."""

    uid: int
    recipient: str
    relayed: bool
    accepted: bool = False
    """20 was already issued; only delivery is left."""


@dataclass(frozen=True)
class SendEvidence:
    """Evidence goes to the letter's sender."""

    identifier: str


@dataclass(frozen=True)
class ProveRetrieval:
    """A recipient has read a letter: 60."""

    account: str
    folder: str
    uid: int


Task: TypeAlias = Examine | Relay | TakeIn | SendEvidence | ProveRetrieval
_KINDS: Mapping[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind) for kind in (Examine, Relay, TakeIn, SendEvidence, ProveRetrieval)
}
"""Made once: making one takes longer than a signature."""


def pack(task: Task) -> tuple[str, str]:
    """Kind and JSON payload, for the store."""
    kind = type(task).__name__
    return kind, _KINDS[kind].dump_json(task).decode()


def unpack(row: TaskRow) -> Task:
    """The opposite of ``pack``."""
    task: Task = _KINDS[row.kind].validate_json(row.payload)
    return task


class TaskRunner:
    """Does the store's tasks one after another; a failing one is put off and does not hold up the others."""

    def __init__(self, store: MailStore, clock: Timeline, perform: Callable[[int, Task], Awaitable[None]]) -> None:
        self._store = store
        self._clock = clock
        self._perform = perform
        self._woken = asyncio.Event()
        self._closing = False
        store.on_task = self._woken.set

    async def aclose(self, running: asyncio.Task[None]) -> None:
        """Stop ``running``, the task that executes ``run``; what is unfinished stays noted in the store."""
        # A flag besides the cancellation: before Python 3.12 asyncio.wait_for, inside aiosmtplib, forgets one
        # that comes in the same moment as the answer.
        self._closing = True
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def run(self) -> None:
        """Work until ``aclose``."""
        while not self._closing:
            self._woken.clear()
            row = self._store.next_task()
            if row is not None and row.due_at <= self._clock.now():
                await self._attempt(row)
                await asyncio.sleep(0)  # SMTP and IMAP sessions of this process come first
            else:
                await self._wait(row)

    async def _attempt(self, row: TaskRow) -> None:
        try:
            await self._perform(row.id, unpack(row))
        except Exception:  # noqa: BLE001 - one bad item must not stop the next; it is logged and tried again
            _log.exception("kep_task_failed", kind=row.kind)
            self._store.postpone(row.id, self._clock.now() + _AFTER_FAILURE, row.payload)

    async def _wait(self, row: TaskRow | None) -> None:
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._woken.wait())]
        if row is not None:
            waits.append(asyncio.ensure_future(self._clock.wait_until(row.due_at)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
