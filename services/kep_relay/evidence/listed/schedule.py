"""When a provider is asked about a letter again, and when no more. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from shared.domain.evidence import EvidenceCode

Step = tuple[float, int]
"""A pause in seconds, and how many times it is made."""

LONGEST_SETBACK_SECONDS = 3600.0
_FIRST_SETBACK_SECONDS = 30.0
_NEVER_DELIVERED = frozenset({EvidenceCode.REJECTED, EvidenceCode.NOT_DELIVERED})
_READ = frozenset({EvidenceCode.DELIVERED, EvidenceCode.READ})


def next_pause(steps: Sequence[Step], asked: int) -> timedelta | None:
    """The pause after ``asked`` answers; None after the last one."""
    left = asked
    for seconds, times in steps:
        if left < times:
            return timedelta(seconds=seconds)
        left -= times
    return None


def complete(codes: Collection[int | None]) -> bool:
    """Whether nothing more is to be expected: delivered and read, or ended without delivery.

    21 and 31 are no end to asking: a later 40 wins over them (kep.md 7.10) and would never be seen.
    """
    return set(codes) >= _READ or not _NEVER_DELIVERED.isdisjoint(codes)


def setback_pause(setbacks: int) -> timedelta:
    """The pause after so many questions in a row without an answer: from half a minute, doubling, to an hour."""
    return timedelta(seconds=min(LONGEST_SETBACK_SECONDS, _FIRST_SETBACK_SECONDS * 2 ** min(setbacks, 10)))


def fetch_pause(pauses: Sequence[float], fetches: int) -> timedelta:
    """The pause after the ``fetches``-th failure to get a document, from 1; the last one repeats."""
    return timedelta(seconds=pauses[min(max(fetches, 1), len(pauses)) - 1])
