"""The revocation lists at hand: fetched or supplied, parsed once, shared by all verifications.

Lists travel over plain http, so an answer is kept only when the issuer signed it and its date is not
ahead of the clock: a forged one could otherwise push out the good one and keep it out.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from services.signer.checks.revocation_list import RevocationList, load_list
from services.signer.checks.wanted import WantedList
from services.signer.fetchers import Budget, Fetcher, FetchFailed
from services.signer.findings import CheckFailed
from services.signer.limits import too_much
from shared.clock import Clock

log = structlog.get_logger(__name__)

_FILE_LIMIT = 64 * 1024 * 1024
_AGAIN_AFTER = timedelta(seconds=30)
"""An address is not asked again at once, whatever it answered."""
_FRESHER_AFTER = timedelta(minutes=15)
"""Nor is one whose list is in force but not new enough for a final verdict: the next may be hours away."""


@dataclass
class _Source:
    """One address, what it last gave, and when it was last asked."""

    held: RevocationList | None = None
    asked_at: datetime | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RevocationLists:
    """Lists by address; at most ``capacity`` addresses, and lists of about ``capacity_bytes`` of memory in all."""

    def __init__(
        self,
        fetcher: Fetcher | None,
        clock: Clock,
        *,
        capacity: int = 256,
        capacity_bytes: int = 512 * 1024 * 1024,
        on_outcome: Callable[[str], None] = lambda _result: None,
    ) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._on_outcome = on_outcome
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._supplied: dict[Path, tuple[tuple[int, int], RevocationList]] = {}

    def current(self) -> tuple[RevocationList, ...]:
        """All lists, to be frozen into one verification's evidence."""
        supplied = self._supplied.values()
        fetched = self._sources.values()
        return (*(item for _state, item in supplied), *(source.held for source in fetched if source.held is not None))

    def supplied(self) -> frozenset[str]:
        """Fingerprints of those that an operator brought."""
        return frozenset(item.sha256 for _state, item in self._supplied.values())

    def supply(self, directory: Path) -> int:
        """Take the lists of a directory (``*.crl``, DER or PEM) in place of those supplied before.

        A file that has not changed is not read again, so what was worked out about its list is kept.
        """
        found: dict[Path, tuple[tuple[int, int], RevocationList]] = {}
        for path in sorted(directory.glob("*.crl")):
            try:
                status = path.stat()
                state = (status.st_mtime_ns, status.st_size)
                known = self._supplied.get(path)
                found[path] = known if known and known[0] == state else (state, load_list(_contents(path)))
            except (OSError, CheckFailed) as error:
                log.warning("revocation_list_unreadable", file=path.name, reason=str(error))
        self._supplied = found
        return len(found)

    async def fetch(self, wanted: Sequence[WantedList]) -> bool:
        """Get each wanted list from the first of its addresses that has it; whether any is there now."""
        budget = Budget()
        results = await asyncio.gather(*(self.obtain(item, budget) for item in wanted))
        return any(results)

    async def obtain(self, wanted: WantedList, budget: Budget) -> bool:
        """Get one list from the first of its addresses that has it; whether it is there now."""
        if self._fetcher is None:
            return False
        for url in wanted.urls:
            source = self._sources.setdefault(url, _Source())
            self._sources.move_to_end(url)
            async with source.lock:
                if await self._ask(self._fetcher, url, source, wanted, budget):
                    return True
        self._make_room()
        return False

    async def _ask(self, fetcher: Fetcher, url: str, source: _Source, wanted: WantedList, budget: Budget) -> bool:
        now = self._clock.now()
        again_after = _FRESHER_AFTER if wanted.fresher else _AGAIN_AFTER
        if source.asked_at is not None and now - source.asked_at < again_after:
            # Another verification has just done it; what it got, if anything, is there.
            return source.held is not None and wanted.met_by(source.held, now)
        if not budget.spend():
            return False
        source.asked_at = now
        try:
            encoded = await fetcher.fetch(url)
            parsed, met = await asyncio.to_thread(_read, encoded, wanted, now)
        except (FetchFailed, CheckFailed) as error:
            self._on_outcome("failed" if isinstance(error, FetchFailed) else "refused")
            log.warning("revocation_list_not_fetched", url=url, reason=str(error))
            return False
        self._on_outcome("fetched" if met else "refused")
        if not met:
            log.warning(
                "revocation_list_not_usable", url=url, sha256=parsed.sha256, this_update=str(parsed.this_update)
            )
            return False
        if source.held is None or parsed.this_update >= source.held.this_update:
            source.held = parsed
            self._make_room()
        return True

    def _make_room(self) -> None:
        size = sum(source.held.memory for source in self._sources.values() if source.held is not None)
        for url, source in list(self._sources.items())[:-1]:
            if len(self._sources) <= self._capacity and size <= self._capacity_bytes:
                return
            if not source.lock.locked():
                size -= source.held.memory if source.held is not None else 0
                del self._sources[url]


def _read(encoded: bytes, wanted: WantedList, now: datetime) -> tuple[RevocationList, bool]:
    parsed = load_list(encoded)
    return parsed, wanted.met_by(parsed, now)


def _contents(path: Path) -> bytes:
    with path.open("rb") as file:
        encoded = file.read(_FILE_LIMIT + 1)
    if len(encoded) > _FILE_LIMIT:
        raise too_much("bytes", _FILE_LIMIT)
    return encoded
