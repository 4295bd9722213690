"""Storing goes before reading: what still lies at the provider is not ours yet, what is stored cannot be lost.

Both share one process. While a folder has much that is new, the reading of stored mails waits its turn,
but never for long, so that letters go on being offered however much comes in.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

MUCH = 8
"""Mails in a folder; fewer are stored in less time than anybody would notice."""


class Precedence:
    """How many folders of this process have much that is new."""

    def __init__(self, longest_wait_seconds: float) -> None:
        self._longest_wait = longest_wait_seconds
        self._storing = 0
        self._free = asyncio.Event()
        self._free.set()

    @contextlib.contextmanager
    def storing(self, mails: int) -> Iterator[None]:
        """For as long as so many mails are being fetched and stored."""
        if mails < MUCH:
            yield
            return
        self._storing += 1
        self._free.clear()
        try:
            yield
        finally:
            self._storing -= 1
            if not self._storing:
                self._free.set()

    async def wait_for_storing(self) -> None:
        """Return when nothing much is being stored, or when that has taken too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._longest_wait):
                await self._free.wait()
