"""The OCSP responses at hand: asked for one certificate at a time, and kept until they run out."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from services.signer.checks.ocsp import OcspResponse
from services.signer.checks.wanted import WantedResponse
from services.signer.fetchers import Budget, Fetcher, FetchFailed
from services.signer.ocsp_requests import (
    HEADERS,
    LONGEST_ANSWER,
    NONCE_BYTES,
    AnswerRefused,
    check_answer,
    request_about,
)
from shared.clock import Clock

log = structlog.get_logger(__name__)

_AGAIN_AFTER = timedelta(seconds=30)
"""A responder is not asked about the same certificate again at once, whatever it answered."""


@dataclass(frozen=True)
class OcspTerms:
    """How answers are taken and how long they are kept."""

    longest_kept: timedelta = timedelta(hours=1)
    """Also when nextUpdate is later: a revocation shall be seen."""
    without_nonce: timedelta = timedelta(hours=24)
    """How old an answer may be that leaves our nonce out; zero: none is accepted."""


@dataclass
class _Entry:
    held: OcspResponse | None = None
    until: datetime | None = None
    asked_at: datetime | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def usable(self, now: datetime) -> bool:
        return self.held is not None and self.until is not None and now <= self.until


class OcspResponses:
    """Responses by certificate, at most ``capacity`` of them (64 kB each at most)."""

    def __init__(
        self,
        fetcher: Fetcher | None,
        clock: Clock,
        terms: OcspTerms,
        *,
        capacity: int = 1024,
        on_outcome: Callable[[str], None] = lambda _result: None,
    ) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._terms = terms
        self._capacity = capacity
        self._on_outcome = on_outcome
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def current(self) -> tuple[OcspResponse, ...]:
        """All responses still kept, to be frozen into one verification's evidence."""
        now = self._clock.now()
        entries = list(self._entries.values())
        return tuple(entry.held for entry in entries if entry.held is not None and entry.usable(now))

    async def obtain(self, wanted: WantedResponse, budget: Budget) -> bool:
        """Get a response from the first of its addresses that gives one; whether it is there now."""
        if self._fetcher is None or not wanted.urls:
            return False
        # The issuer belongs to the key: a certificate may be judged below several of the same name.
        entry = self._entries.setdefault(f"{wanted.certificate.sha256} {wanted.issuer.sha256}", _Entry())
        self._entries.move_to_end(f"{wanted.certificate.sha256} {wanted.issuer.sha256}")
        async with entry.lock:
            now = self._clock.now()
            if entry.asked_at is not None and now - entry.asked_at < _AGAIN_AFTER:
                # Another verification has just done it.
                return entry.usable(now)
            came = await self._ask(self._fetcher, wanted, entry, budget)
        self._make_room()
        return came

    async def _ask(self, fetcher: Fetcher, wanted: WantedResponse, entry: _Entry, budget: Budget) -> bool:
        for url in wanted.urls:
            if not budget.spend():
                return False
            entry.asked_at = self._clock.now()
            nonce = secrets.token_bytes(NONCE_BYTES)
            try:
                encoded = await fetcher.post(url, request_about(wanted, nonce), HEADERS, limit=LONGEST_ANSWER)
                now = self._clock.now()
                response, statement = await asyncio.to_thread(
                    check_answer, encoded, wanted, nonce, now, self._terms.without_nonce
                )
            except FetchFailed as error:
                self._on_outcome("failed")
                log.warning("ocsp_response_not_fetched", url=url, reason=str(error))
                continue
            except AnswerRefused as error:
                self._on_outcome("refused")
                log.warning("ocsp_response_not_usable", url=url, reason=str(error))
                continue
            self._on_outcome("fetched")
            entry.held = response
            entry.until = min(statement.good_until, now + self._terms.longest_kept)
            return True
        return False

    def _make_room(self) -> None:
        for key, entry in list(self._entries.items())[:-1]:
            if len(self._entries) <= self._capacity:
                return
            if not entry.lock.locked():
                del self._entries[key]
