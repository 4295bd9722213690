"""The revocation lists at hand: fetched or supplied, parsed once, shared by all verifications."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from services.signer.checks.revocation import RevocationList, load_list
from services.signer.fetchers import FetchFailed, ListFetcher
from services.signer.findings import CheckFailed
from shared.clock import Clock

log = structlog.get_logger(__name__)

_REQUESTS_PER_VERIFICATION = 20
_AGAIN_AFTER = timedelta(seconds=30)
"""A list that is no newer than before is not asked for again at once."""


class RevocationLists:
    """Lists by address; at most ``capacity`` of them and ``capacity_bytes`` in all."""

    def __init__(
        self, fetcher: ListFetcher | None, clock: Clock, *, capacity: int = 256, capacity_bytes: int = 256 * 1024 * 1024
    ) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._by_url: OrderedDict[str, RevocationList] = OrderedDict()
        self._asked_at: dict[str, datetime] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._supplied: tuple[RevocationList, ...] = ()

    def current(self) -> tuple[RevocationList, ...]:
        """All lists, to be frozen into one verification's evidence."""
        return (*self._supplied, *self._by_url.values())

    def supply(self, directory: Path) -> int:
        """Take the lists of a directory (``*.crl``, DER or PEM) in place of those supplied before."""
        found = []
        for path in sorted(directory.glob("*.crl")):
            try:
                found.append(load_list(path.read_bytes()))
            except (OSError, CheckFailed) as error:
                log.warning("revocation_list_unreadable", file=path.name, reason=str(error))
        self._supplied = tuple(found)
        return len(found)

    async def fetch(self, groups: Sequence[tuple[str, ...]]) -> bool:
        """Get a list for each group of addresses (the first that answers counts); whether anything is new."""
        if self._fetcher is None:
            return False
        groups = groups[:_REQUESTS_PER_VERIFICATION]
        results = await asyncio.gather(*(self._first(self._fetcher, group) for group in groups))
        return any(results)

    async def _first(self, fetcher: ListFetcher, urls: tuple[str, ...]) -> bool:
        for url in urls:
            lock = self._locks.setdefault(url, asyncio.Lock())
            async with lock:
                if await self._one(fetcher, url):
                    return True
        return False

    async def _one(self, fetcher: ListFetcher, url: str) -> bool:
        now = self._clock.now()
        asked_at = self._asked_at.get(url)
        if asked_at is not None and now - asked_at < _AGAIN_AFTER:
            # Another verification has just done it; what it got, if anything, is there.
            return url in self._by_url
        try:
            encoded = await fetcher.fetch(url)
            parsed = await asyncio.to_thread(load_list, encoded)
        except (FetchFailed, CheckFailed) as error:
            log.warning("revocation_list_not_fetched", url=url, reason=str(error))
            return False
        self._remember(url, parsed, now)
        return True

    def _remember(self, url: str, parsed: RevocationList, now: datetime) -> None:
        known = self._by_url.get(url)
        if known is None or parsed.this_update >= known.this_update:
            self._by_url[url] = parsed
        self._by_url.move_to_end(url)
        self._asked_at[url] = now
        while len(self._by_url) > 1 and (
            len(self._by_url) > self._capacity
            or sum(item.size for item in self._by_url.values()) > self._capacity_bytes
        ):
            dropped, _list = self._by_url.popitem(last=False)
            self._asked_at.pop(dropped, None)
            self._locks.pop(dropped, None)
