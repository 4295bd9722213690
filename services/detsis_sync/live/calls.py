"""The one door to DETSİS for people who wait: bounded in time and number, and left alone after failures."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from services.detsis_sync.clients import DetsisClients
from services.detsis_sync.metrics import DirectoryMetrics
from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.soap.client import DetsisClient
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason
from services.detsis_sync.soap.wire import Operation
from shared.clock import Clock
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")

LETTERS = frozenset({Operation.CORRESPONDENCE_PACKAGE, Operation.UNIT})
"""What letters wait for: never held up by questions about details."""

LISTS = tuple(
    operation.name
    for operation in (
        Operation.MAIN_INSTITUTIONS, Operation.CHILDREN, Operation.UNITS_BY_NAME, Operation.FILE_PLAN,
        Operation.NUMBERS_OF_FORMER,
    )
)  # fmt: skip
"""What DETSİS may take longer for."""


@dataclass(frozen=True)
class LiveBounds:
    """How long DETSİS is waited for, and how many questions wait at once."""

    seconds: float
    """For one question, waiting for its turn included."""
    operation_seconds: Mapping[str, float]
    """By the name of the ``Operation`` member, instead."""
    rest_seconds: float
    """How long an operation, or an endpoint that cannot be reached, is left alone after a failure."""
    concurrency: int
    """Questions under way at one endpoint; one account has at most half of them, details half of that."""


class LiveCalls:
    """Asks DETSİS. Nothing is retried, and a slow DETSİS cannot pile up work here."""

    def __init__(self, clients: DetsisClients, clock: Clock, metrics: DirectoryMetrics, bounds: LiveBounds) -> None:
        self._clients = clients
        self._clock = clock
        self._metrics = metrics
        self._bounds = bounds
        half = max(1, bounds.concurrency // 2)
        self._at_endpoint = _Places(bounds.concurrency)
        self._of_account = _Places(half)
        self._for_details = _Places(max(1, half // 2))
        # An endpoint (operation None) or one operation of it: one institution's mistyped address must not turn the
        # others to the mirror, and one slow question must not silence the quick ones.
        self._resting_until: dict[tuple[str, Operation | None], datetime] = {}
        self._letter_failed = False

    @property
    def seconds(self) -> float:
        """How long one question may take."""
        return self._bounds.seconds

    async def ask(
        self,
        account: DetsisAccount,
        operation: Operation,
        question: Callable[[DetsisClient], Awaitable[Answer]],
        *,
        until: float | None = None,
    ) -> Answer:
        """Ask one question as ``account``; ``until`` ends it at a moment of the running loop's clock.

        Raises ``DomainError``: DIRECTORY_UNAVAILABLE when DETSİS does not answer, rests after a failure or has too
        many questions waiting; DIRECTORY_REFUSED when it says no.
        """
        self._refuse_while_resting(account.endpoint, operation)
        seconds = self._bounds.operation_seconds.get(operation.name, self._bounds.seconds)
        if until is not None:
            seconds = min(seconds, until - asyncio.get_running_loop().time())
        began: float | None = None
        result = "answered"
        try:
            async with asyncio.timeout(seconds), self._turn(account, operation):
                began = time.monotonic()
                answer = await question(self._clients.of(account))
        except TimeoutError as error:
            if began is None:
                raise DomainError(
                    ErrorCode.DIRECTORY_UNAVAILABLE, "too many questions to DETSİS are waiting", retry_after_seconds=5
                ) from error
            result = "failed"
            failure = DirectoryCallError(FailureReason.TIMEOUT, operation, "no complete answer in time")
            self._rest(account.endpoint, operation, failure)
            raise failure from error
        except DirectoryCallError as error:
            result = "refused" if error.code is ErrorCode.DIRECTORY_REFUSED else "failed"
            if result == "failed":
                self._rest(account.endpoint, operation, error)
            elif operation in LETTERS:
                self._tell_down(operation)
            log.warning(
                "detsis_not_answering", refused=result == "refused", operation=operation.name, reason=str(error)
            )
            raise
        finally:
            if began is not None:
                self._metrics.live_calls.labels(operation.name, result).observe(time.monotonic() - began)
        if operation in LETTERS or not self._letter_failed:
            self._letter_failed = False
            self._metrics.live_up.set(1)
        self._resting_until.pop((account.endpoint, operation), None)
        self._resting_until.pop((account.endpoint, None), None)
        return answer

    @asynccontextmanager
    async def _turn(self, account: DetsisAccount, operation: Operation) -> AsyncIterator[None]:
        async with AsyncExitStack() as places:
            if operation not in LETTERS:
                await places.enter_async_context(self._for_details.of(account.institution_no))
            await places.enter_async_context(self._of_account.of(account.institution_no))
            await places.enter_async_context(self._at_endpoint.of(account.endpoint))
            yield

    def _refuse_while_resting(self, endpoint: str, operation: Operation) -> None:
        now = self._clock.now()
        for place in ((endpoint, None), (endpoint, operation)):
            until = self._resting_until.get(place)
            if until is not None and now < until:
                raise DomainError(
                    ErrorCode.DIRECTORY_UNAVAILABLE,
                    f"DETSİS is left alone for a moment after {operation.name} failed",
                    retry_after_seconds=max(1, int((until - now).total_seconds())),
                )

    def _rest(self, endpoint: str, operation: Operation, failure: DirectoryCallError) -> None:
        whole = failure.reason is FailureReason.CONNECTION
        until = self._clock.now() + timedelta(seconds=self._bounds.rest_seconds)
        self._resting_until[endpoint, None if whole else operation] = until
        if whole or operation in LETTERS:
            self._tell_down(operation)

    def _tell_down(self, operation: Operation) -> None:
        # A detail answered afterwards must not hide that letters are not.
        self._letter_failed = self._letter_failed or operation in LETTERS
        self._metrics.live_up.set(0)


class _Places:
    """A number of places for each key; only keys in use are held."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._semaphores: dict[object, asyncio.Semaphore] = {}
        self._users: defaultdict[object, int] = defaultdict(int)

    @asynccontextmanager
    async def of(self, key: object) -> AsyncIterator[None]:
        semaphore = self._semaphores.setdefault(key, asyncio.Semaphore(self._number))
        self._users[key] += 1
        try:
            async with semaphore:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._semaphores[key]
