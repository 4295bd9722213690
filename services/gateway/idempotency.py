"""Idempotency-Key: one piece of work per key, whatever happens in between.

A key's row decides the id of the letter before anything outside is asked, and is committed first.
So whoever continues after a crash, a timeout or a lost answer continues with the same id, and the
services behind treat it as the same letter.

``claimed`` → someone works on it · ``interrupted`` → a try ended without certainty, the next one
continues · ``done`` → the answer is stored and replayed. A refusal deletes the row.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from pydantic import BaseModel
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from services.gateway.callers import Caller
from services.gateway.metrics import ClaimOutcome, GatewayMetrics
from services.gateway.tables import IdempotencyKey
from shared.clock import Clock
from shared.db.session import Database
from shared.domain.identifiers import new_id
from shared.errors import DomainError, ErrorCode, Fault

_FORM = re.compile(r'"?([!#-~]{1,255})"?')
_SWEEP_EVERY_SECONDS = 3600
_FRESH = 10  # a claim younger than this part of the takeover time still has the other nine before it can be taken over
_CLAIMED, _INTERRUPTED, _DONE = "claimed", "interrupted", "done"


@dataclass(frozen=True)
class Claim:
    """The right to do the work of a key now. ``continued``: an earlier try may have got anywhere."""

    client_id: str
    key: str
    token: UUID
    message_id: UUID
    continued: bool
    claimed_at: datetime


@dataclass(frozen=True)
class Replay:
    """The work was done before; this is what was answered."""

    message_id: UUID
    answer: str


def read_header(value: str | None) -> str:
    """The key in an ``Idempotency-Key`` header, bare or as a quoted string.

    Raises IDEMPOTENCY_KEY_MISSING, VALIDATION_FAILED.
    """
    if value is None or not value.strip():
        raise DomainError(ErrorCode.IDEMPOTENCY_KEY_MISSING, "this operation needs an Idempotency-Key header")
    match = _FORM.fullmatch(value.strip())
    if not match:
        fault = Fault("/header/Idempotency-Key", "1 to 255 visible ASCII characters, without quotation marks inside")
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the Idempotency-Key is malformed", faults=[fault])
    return match[1]


def fingerprint(operation: str, message: BaseModel | None, *more: str) -> str:
    """What makes two requests the same one, however their JSON was spaced or ordered."""
    canonical = message.model_dump_json() if message is not None else ""
    return hashlib.sha256("\x1f".join([operation, canonical, *more]).encode()).hexdigest()


class IdempotencyKeys:
    """The keys of all clients."""

    def __init__(
        self, database: Database, clock: Clock, metrics: GatewayMetrics, *, takeover_seconds: int, retention_days: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._takeover = timedelta(seconds=takeover_seconds)
        self._retention = timedelta(days=retention_days)

    async def claim(self, caller: Caller, key: str, wanted: str) -> Claim | Replay:
        """Take the work of ``key`` on, or learn that it is done.

        ``wanted`` is the request's fingerprint. Raises IDEMPOTENCY_IN_PROGRESS, IDEMPOTENCY_KEY_REUSED,
        DURABILITY_UNAVAILABLE.
        """
        now, token = self._clock.now(), uuid4()
        new = insert(IdempotencyKey).values(
            client_id=caller.client_id, key=key, fingerprint=wanted, message_id=new_id(), state=_CLAIMED,
            claim_token=token, claimed_at=now, created_at=now,
        )  # fmt: skip
        async with self._database.autocommit() as session:
            made = await session.scalar(new.on_conflict_do_nothing().returning(IdempotencyKey.message_id))
        if made is not None:
            self._count(ClaimOutcome.NEW)
            return Claim(caller.client_id, key, token, made, continued=False, claimed_at=now)
        async with self._database.unit_of_work() as work:
            row = await work.session.scalar(
                select(IdempotencyKey)
                .where(IdempotencyKey.client_id == caller.client_id, IdempotencyKey.key == key)
                .with_for_update()
            )
            if row is None:  # released between the two statements
                raise self._in_progress(1)
            if row.fingerprint != wanted:
                self._count(ClaimOutcome.REUSED)
                raise DomainError(
                    ErrorCode.IDEMPOTENCY_KEY_REUSED, "this Idempotency-Key was used for a different request"
                )
            if row.state == _DONE:
                self._count(ClaimOutcome.REPLAYED)
                self._metrics.duplicates.labels("api").inc()
                return Replay(row.message_id, row.answer or "")
            age = now - row.claimed_at
            if row.state == _CLAIMED and age < self._takeover:
                raise self._in_progress(max(1, min(5, int((self._takeover - age).total_seconds()))))
            row.state, row.claim_token, row.claimed_at = _CLAIMED, token, now
            self._count(ClaimOutcome.CONTINUED)
            return Claim(caller.client_id, key, token, row.message_id, continued=True, claimed_at=now)

    @asynccontextmanager
    async def working(self, claim: Claim, *, uncertain: frozenset[ErrorCode] = frozenset()) -> AsyncIterator[None]:
        """Do the work inside the block; when it fails, this decides what becomes of the key.

        A refusal releases it. After anything else, ``uncertain`` refusals included, the work may have
        been done all the same: the key stays with its id, and a repeat of the request continues.
        """
        try:
            yield
        except DomainError as error:
            if error.retryable or error.code in uncertain:
                await self.interrupt(claim)
            else:
                await self.release(claim)
            raise
        except BaseException:
            await self.interrupt(claim)
            raise

    async def hold(self, claim: Claim) -> None:
        """Make sure, right before the step that cannot be taken back, that nobody took the claim over.

        A claim so fresh that nobody may have taken it over yet costs no question. Raises
        IDEMPOTENCY_IN_PROGRESS when someone did.
        """
        if self._clock.now() - claim.claimed_at < self._takeover / _FRESH:
            return
        async with self._database.autocommit() as session:
            held = await session.scalar(
                update(IdempotencyKey)
                .where(
                    IdempotencyKey.client_id == claim.client_id,
                    IdempotencyKey.key == claim.key,
                    IdempotencyKey.claim_token == claim.token,
                )
                .values(claimed_at=self._clock.now())
                .returning(IdempotencyKey.message_id)
                .execution_options(synchronize_session=False)
            )
        if held is None:
            raise self._in_progress(1)

    async def complete(self, claim: Claim, answer: str) -> None:
        """The work is done: keep the answer for whoever asks again."""
        await self._change(claim, state=_DONE, answer=answer, completed_at=self._clock.now())

    async def interrupt(self, claim: Claim) -> None:
        """This try ended without certainty: the next one continues at once, with the same id."""
        await self._change(claim, state=_INTERRUPTED)

    async def release(self, claim: Claim) -> None:
        """The request was refused and left nothing behind: the key is free again."""
        async with self._database.autocommit() as session:
            await session.execute(
                delete(IdempotencyKey).where(
                    IdempotencyKey.client_id == claim.client_id,
                    IdempotencyKey.key == claim.key,
                    IdempotencyKey.claim_token == claim.token,
                )
            )

    async def sweep(self, stop: asyncio.Event) -> None:
        """Background part: forgets keys after the retention time."""
        while not stop.is_set():
            async with self._database.unit_of_work() as work:
                horizon = self._clock.now() - self._retention
                await work.session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < horizon))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _SWEEP_EVERY_SECONDS)

    async def _change(self, claim: Claim, **values: object) -> None:
        """Nothing happens when another try has taken the claim over: that one decides."""
        async with self._database.autocommit() as session:
            await session.execute(
                update(IdempotencyKey)
                .where(
                    IdempotencyKey.client_id == claim.client_id,
                    IdempotencyKey.key == claim.key,
                    IdempotencyKey.claim_token == claim.token,
                )
                .values(**values)
                .execution_options(synchronize_session=False)
            )

    def _in_progress(self, seconds: int) -> DomainError:
        self._count(ClaimOutcome.IN_PROGRESS)
        return DomainError(
            ErrorCode.IDEMPOTENCY_IN_PROGRESS,
            "a request with this Idempotency-Key is being worked on",
            retry_after_seconds=seconds,
        )

    def _count(self, outcome: ClaimOutcome) -> None:
        self._metrics.claims.labels(outcome).inc()
