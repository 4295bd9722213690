"""Finds out who calls: looks keys up, remembers them for seconds, notes failures and last use."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from starlette.datastructures import Headers

from services.gateway import audit
from services.gateway.callers import Caller, Scope
from services.gateway.keys import PresentedKey, read_key
from services.gateway.metrics import GatewayMetrics, KeyOutcome
from services.gateway.rates import TokenBuckets
from services.gateway.tables import ApiKey, ClientInstitution
from shared.clock import Clock
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode

_MOST_REMEMBERED = 10_000
_NOTE_USE_EVERY_SECONDS = 30
_NO_DIGEST = bytes(32)


@dataclass(frozen=True)
class _Grant:
    """What the database says about a prefix; ``caller`` is None for one that nobody has."""

    caller: Caller | None
    key_sha256: bytes
    expires_at: datetime | None
    revoked_at: datetime | None
    read_at: datetime


class Authenticator:
    """Turns request headers into a ``Caller``."""

    def __init__(
        self, database: Database, clock: Clock, metrics: GatewayMetrics, buckets: TokenBuckets, *, cache_seconds: float
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._buckets = buckets
        self._remember = timedelta(seconds=cache_seconds)
        self._grants: OrderedDict[str, _Grant] = OrderedDict()
        self._used: dict[str, datetime] = {}
        self._noted: OrderedDict[tuple[str, KeyOutcome], datetime] = OrderedDict()

    async def authenticate(self, headers: Headers) -> Caller:
        """The caller behind ``Authorization: Bearer`` or ``X-Api-Key``.

        Raises ``DomainError``: UNAUTHENTICATED (in one wording, whatever is wrong with the key),
        RATE_LIMITED, DURABILITY_UNAVAILABLE when keys cannot be looked up.
        """
        presented = self._presented(headers)
        grant = await self._grant(presented.prefix)
        outcome = self._judge(grant, presented)
        if outcome is not KeyOutcome.ACCEPTED or grant.caller is None:
            await self._note_failure(presented.prefix, outcome)
            raise self._refusal(outcome)
        if wait := self._buckets.take(presented.prefix):
            self._metrics.keys.labels(KeyOutcome.RATE_LIMITED).inc()
            raise DomainError(ErrorCode.RATE_LIMITED, "too many requests with this API key", retry_after_seconds=wait)
        self._metrics.keys.labels(KeyOutcome.ACCEPTED).inc()
        self._used[presented.prefix] = self._clock.now()
        return grant.caller

    def forget(self, prefix: str) -> None:
        """Look the key up anew at its next use; other replicas do so within the cache time."""
        self._grants.pop(prefix, None)

    async def note_last_use(self, stop: asyncio.Event) -> None:
        """Background part: writes when keys were last used, a few times a minute instead of per request."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _NOTE_USE_EVERY_SECONDS)
            await self.write_last_use()

    async def write_last_use(self) -> None:
        """Write down the uses seen since the last call."""
        used, self._used = self._used, {}
        if not used:
            return
        async with self._database.unit_of_work() as work:
            for prefix, moment in sorted(used.items()):
                newest = func.greatest(ApiKey.last_used_at, moment)
                await work.session.execute(update(ApiKey).where(ApiKey.prefix == prefix).values(last_used_at=newest))

    def _presented(self, headers: Headers) -> PresentedKey:
        given: set[str] = set()
        if (authorization := headers.get("authorization")) is not None:
            scheme, _, credentials = authorization.strip().partition(" ")
            given.add(credentials.strip() if scheme.lower() == "bearer" else "")
        if (key := headers.get("x-api-key")) is not None:
            given.add(key.strip())
        # Every credential presented must be the same valid one: a second, different one is a mistake or an attack.
        if len(given) != 1:
            raise self._refusal(KeyOutcome.MALFORMED if given else KeyOutcome.MISSING)
        try:
            return read_key(given.pop())
        except ValueError:
            raise self._refusal(KeyOutcome.MALFORMED) from None

    def _refusal(self, outcome: KeyOutcome) -> DomainError:
        self._metrics.keys.labels(outcome).inc()
        detail = "no API key was presented" if outcome is KeyOutcome.MISSING else "the API key is not valid"
        return DomainError(ErrorCode.UNAUTHENTICATED, detail)

    def _judge(self, grant: _Grant, presented: PresentedKey) -> KeyOutcome:
        fits = hmac.compare_digest(grant.key_sha256, presented.sha256)
        if grant.caller is None:
            return KeyOutcome.UNKNOWN
        if not fits:
            return KeyOutcome.WRONG
        if grant.revoked_at is not None:
            return KeyOutcome.REVOKED
        if grant.expires_at is not None and grant.expires_at <= self._clock.now():
            return KeyOutcome.EXPIRED
        return KeyOutcome.ACCEPTED

    async def _grant(self, prefix: str) -> _Grant:
        now = self._clock.now()
        known = self._grants.get(prefix)
        if known is not None and now - known.read_at < self._remember:
            return known
        grant = await self._read(prefix, now)
        self._grants[prefix] = grant
        self._grants.move_to_end(prefix)
        if len(self._grants) > _MOST_REMEMBERED:
            self._grants.popitem(last=False)
        return grant

    async def _read(self, prefix: str, now: datetime) -> _Grant:
        async with self._database.reading() as session:
            key = await session.get(ApiKey, prefix)
            if key is None:
                return _Grant(None, _NO_DIGEST, None, None, now)
            bound = select(ClientInstitution.detsis_no).where(ClientInstitution.client_id == key.client_id)
            institutions: Sequence[int] = (await session.scalars(bound.order_by(ClientInstitution.detsis_no))).all()
        scopes = frozenset(Scope(scope) for scope in key.scopes)
        caller = Caller(key.client_id, key.prefix, scopes, tuple(institutions))
        return _Grant(caller, key.key_sha256, key.expires_at, key.revoked_at, now)

    async def _note_failure(self, prefix: str, outcome: KeyOutcome) -> None:
        """One audit line a minute per key and reason: a guesser must not be able to fill the log."""
        if outcome is KeyOutcome.UNKNOWN:
            return
        now = self._clock.now()
        before = self._noted.get((prefix, outcome))
        if before is not None and now - before < timedelta(minutes=1):
            return
        self._noted[prefix, outcome] = now
        if len(self._noted) > _MOST_REMEMBERED:
            self._noted.popitem(last=False)
        async with self._database.unit_of_work() as work:
            await audit.record(
                work, self._clock, actor=None, action="api-key.refused", subject=prefix, reason=outcome.value
            )
