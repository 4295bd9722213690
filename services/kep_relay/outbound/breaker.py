"""When a provider is left alone: one circuit breaker for each endpoint (kep.md 7.23).

All accounts at one host meet the same fault, so what one of them finds out spares the others. After the
rest one attempt at a time finds out whether the endpoint answers again; the others wait for what it says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services.kep_relay.tables import MailboxRow


@dataclass
class _Open:
    until: float
    trying: bool = False


class EndpointBreaker:
    """Open circuits of this process. Times are those of the event loop's monotonic clock."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    @contextmanager
    def passing(self, endpoint: str) -> Iterator[bool]:
        """Whether an attempt may be made in the block; with an open circuit at most one at a time, after the rest."""
        circuit = self._open.get(endpoint)
        if circuit is None:
            yield True
            return
        if circuit.trying or _now() < circuit.until:
            yield False
            return
        circuit.trying = True
        try:
            yield True
        finally:
            circuit.trying = False

    def rests(self, endpoint: str) -> bool:
        """Whether it is being spared just now."""
        circuit = self._open.get(endpoint)
        return circuit is not None and _now() < circuit.until

    def failed(self, endpoint: str, *, rest_seconds: float) -> None:
        """It could not be reached: spare it, and the letters, further attempts for so long."""
        circuit = self._open.setdefault(endpoint, _Open(0.0))
        circuit.until = max(circuit.until, _now() + rest_seconds)

    def answered(self, endpoint: str) -> None:
        """It answered, whatever it said."""
        self._open.pop(endpoint, None)


def endpoint(mailbox: MailboxRow) -> str:
    """What a mailbox's messages are handed to: host and port, or the service's address."""
    return mailbox.eyws_url or f"{mailbox.smtp_host}:{mailbox.smtp_port}"


def _now() -> float:
    return asyncio.get_running_loop().time()
