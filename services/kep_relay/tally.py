"""Sums of the ledger: from counts per institution and state to accepted, terminal, in flight, imbalance. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from shared.contracts.outbound import LedgerSide

NOTHING = LedgerSide(accepted=0, terminal=0, in_flight=0, imbalance=0)


class StateCount(NamedTuple):
    """Letters of one institution in one state."""

    institution_no: int
    state: str
    number: int
    moving: int
    """So many of them have a next step."""
    oldest: datetime | None


def sides(
    accepted: Mapping[int, int], counts: Iterable[StateCount], *, terminal: Collection[str]
) -> dict[int, LedgerSide]:
    """One side of the ledger for each institution named by ``accepted`` or ``counts``; states add up."""
    by_institution: defaultdict[int, list[StateCount]] = defaultdict(list)
    for count in counts:
        by_institution[count.institution_no].append(count)
    return {
        number: _side(accepted.get(number, 0), by_institution[number], terminal)
        for number in sorted(accepted.keys() | by_institution.keys())
    }


def total(parts: Iterable[LedgerSide]) -> LedgerSide:
    """All institutions together. An imbalance of one is never hidden by the opposite one of another."""
    parts = list(parts)
    states: Counter[str] = Counter()
    for part in parts:
        states.update(part.states)
    return LedgerSide(
        accepted=sum(part.accepted for part in parts),
        terminal=sum(part.terminal for part in parts),
        in_flight=sum(part.in_flight for part in parts),
        imbalance=_imbalance([part.imbalance for part in parts]),
        states=dict(sorted(states.items())),
        oldest_in_flight_at=min(
            (part.oldest_in_flight_at for part in parts if part.oldest_in_flight_at is not None), default=None
        ),
    )


def _imbalance(parts: list[int]) -> int:
    plain = sum(parts)
    return plain if abs(plain) == sum(map(abs, parts)) else sum(map(abs, parts))


def _side(accepted: int, counts: list[StateCount], terminal: Collection[str]) -> LedgerSide:
    states: Counter[str] = Counter()
    for count in counts:
        states[count.state] += count.number
    unfinished = [count for count in counts if count.state not in terminal]
    finished = sum(count.number for count in counts if count.state in terminal)
    moving = sum(count.moving for count in unfinished)
    return LedgerSide(
        accepted=accepted,
        terminal=finished,
        in_flight=moving,
        imbalance=accepted - finished - moving,
        states=dict(sorted(states.items())),
        oldest_in_flight_at=min((count.oldest for count in unfinished if count.oldest is not None), default=None),
    )
