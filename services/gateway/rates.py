"""Token buckets: how often one key may call."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

from shared.clock import Clock


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class TokenBuckets:
    """One bucket per name, in this process. Each replica grants the rate on its own."""

    def __init__(self, clock: Clock, *, per_second: float, burst: int, most_names: int = 10_000) -> None:
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        self._most_names = most_names
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str) -> int:
        """Take one token: 0 when there was one, else the whole seconds to wait for it."""
        now = self._clock.now().timestamp()
        bucket = self._buckets.setdefault(name, _Bucket(float(self._burst), now))
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._most_names:
            self._buckets.popitem(last=False)
        elapsed = max(0.0, now - bucket.filled_at)  # the clock may be set back
        bucket.tokens = min(float(self._burst), bucket.tokens + elapsed * self._per_second)
        bucket.filled_at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0
        return max(1, math.ceil((1 - bucket.tokens) / self._per_second))
