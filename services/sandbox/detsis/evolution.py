"""What happens to the register from one day to the next: drawn from seed and day, so that it can be lived again."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum

from services.sandbox.detsis.forest import ACTIVE, DEEPEST, EXTERNAL, OPEN, OPERATING, PARENT, KepState
from services.sandbox.detsis.register import Register

REORGANISATION_DAYS, FIRST_REORGANISATION = 30, 7
"""One branch moves every so many days, for the first time on that one."""
_TRIES = 60
_LARGEST_BRANCH = 2_000


class ChangeKind(StrEnum):
    """One change. The first seven are to a unit's own row."""

    OPENED = "opened"
    CLOSED = "closed"
    STARTED = "started"
    """Opened before, and working from now on."""
    RENAMED = "renamed"
    ADDRESSEE_LOST = "addressee_lost"
    """May no longer be written to from outside; deep units leave the external set by it."""
    ADDRESSEE_GAINED = "addressee_gained"
    REORGANISED = "reorganised"
    """Counted by unit: parent or path of every unit of a branch."""
    ADDRESS_OPENED = "address_opened"
    ADDRESS_ANNOUNCED = "address_announced"
    ADDRESS_CHANGED = "address_changed"
    CERTIFICATE_REPLACED = "certificate_replaced"
    EYP_RAISED = "eyp_raised"


_WEIGHTS: Mapping[ChangeKind, int] = {
    ChangeKind.OPENED: 22,
    ChangeKind.CLOSED: 15,
    ChangeKind.STARTED: 4,
    ChangeKind.RENAMED: 22,
    ChangeKind.ADDRESSEE_LOST: 2,
    ChangeKind.ADDRESSEE_GAINED: 4,
    ChangeKind.ADDRESS_OPENED: 8,
    ChangeKind.ADDRESS_ANNOUNCED: 14,
    ChangeKind.CERTIFICATE_REPLACED: 6,
    ChangeKind.EYP_RAISED: 3,
}
_KINDS, _CUMULATED = tuple(_WEIGHTS), tuple(_WEIGHTS.values())


class Evolution:
    """Moves a register on, day by day. Pinned units stay as they are: only orders change them.

    ``daily_share`` is the part of all units that something happens to each day, reorganisations not counted; what
    was begun earlier and ends that day is. Each change is to another unit. ``shares`` has another part for some days.
    """

    def __init__(
        self, register: Register, seed: int, daily_share: float, shares: Mapping[int, float] | None = None
    ) -> None:
        self._register = register
        self._seed = seed
        self._daily_share = daily_share
        self._shares = dict(shares or {})
        self._lived = False
        self._due: list[tuple[int, ChangeKind, int]] = []
        self._touched: set[int] = set()
        self._makers: dict[ChangeKind, Callable[[random.Random], bool]] = {
            ChangeKind.OPENED: self._open,
            ChangeKind.CLOSED: self._close,
            ChangeKind.STARTED: self._start,
            ChangeKind.RENAMED: self._rename,
            ChangeKind.ADDRESSEE_LOST: self._lose_addressee,
            ChangeKind.ADDRESSEE_GAINED: self._gain_addressee,
            ChangeKind.ADDRESS_OPENED: self._open_address,
            ChangeKind.ADDRESS_ANNOUNCED: self._announce_address,
            ChangeKind.CERTIFICATE_REPLACED: self._replace_certificate,
            ChangeKind.EYP_RAISED: self._raise_eyp,
        }
        self._first_generated = len(register.forest.pinned)

    def give_share(self, day: int, share: float) -> None:
        """Another part than the usual one for a day to come."""
        self._shares[day] = share

    def advance_to(self, day: int) -> Counter[ChangeKind]:
        """Live every day up to ``day``; a day in the past changes nothing. Returns what has happened."""
        happened: Counter[ChangeKind] = Counter()
        register = self._register
        while register.day < day:
            register.day += 1
            share = self._shares.get(register.day, self._daily_share)
            if share or (self._due and self._due[0][0] <= register.day):
                happened += self._live(register.day, share)
        return happened

    def _finish_what_was_begun(self, day: int) -> None:
        """Changes of address under way when anything happens for the first time end in the ten days after it."""
        kep = self._register.forest.kep
        index = kep.find(KepState.MOVING)
        while index >= 0:
            heapq.heappush(self._due, (day + index % 10, ChangeKind.ADDRESS_CHANGED, index))
            index = kep.find(KepState.MOVING, index + 1)

    def _live(self, day: int, share: float) -> Counter[ChangeKind]:
        if not self._lived:
            self._lived = True
            self._finish_what_was_begun(day)
        rng = random.Random(f"{self._seed}/{day}")  # noqa: S311 - repeatable, not secret
        happened: Counter[ChangeKind] = Counter()
        self._touched = set()
        wanted = share * len(self._register)
        left = int(wanted) + (rng.random() < wanted % 1)
        left -= self._end_what_is_due(day, happened)
        if day % REORGANISATION_DAYS == FIRST_REORGANISATION and left > 0:
            happened[ChangeKind.REORGANISED] = self._reorganise(rng)
        for _ in range(max(0, left)):
            (kind,) = rng.choices(_KINDS, weights=_CUMULATED)
            if not self._makers[kind](rng):
                kind = ChangeKind.RENAMED
                if not self._makers[kind](rng):
                    continue
            happened[kind] += 1
        return happened

    def _end_what_is_due(self, day: int, happened: Counter[ChangeKind]) -> int:
        register, ended = self._register, 0
        while self._due and self._due[0][0] <= day:
            _, kind, index = heapq.heappop(self._due)
            if kind is ChangeKind.ADDRESS_CHANGED:
                done = register.addresses.finish(index)
            else:
                done = register.forest.flags[index] & OPEN == ACTIVE
                if done:
                    register.set_flags(index, OPEN, OPEN)
            if done:
                self._touched.add(index)
                happened[kind] += 1
                ended += 1
        return ended

    def _pick(self, rng: random.Random, fits: Callable[[int], bool]) -> int | None:
        """A generated unit that nothing has happened to today."""
        size = len(self._register.forest)
        if size == self._first_generated:
            return None
        for _ in range(_TRIES):
            index = rng.randrange(self._first_generated, size)
            if index not in self._touched and fits(index):
                self._touched.add(index)
                return index
        return None

    def _has_flags(self, flags: int, mask: int) -> Callable[[int], bool]:
        found = self._register.forest.flags
        return lambda index: found[index] & mask == flags

    def _pick_main(self, rng: random.Random, fits: Callable[[int], bool]) -> int | None:
        roots = self._register.forest.roots
        for _ in range(_TRIES if roots else 0):
            index = rng.choice(roots)
            if index not in self._touched and fits(index):
                self._touched.add(index)
                return index
        return None

    def _open(self, rng: random.Random) -> bool:
        forest = self._register.forest
        parent = self._pick(
            rng, lambda index: forest.home_levels[index] < DEEPEST and forest.flags[index] & OPEN == OPEN
        )
        if parent is None:
            return False
        self._touched.discard(parent)
        starts_later = rng.random() < 0.25
        flags = (ACTIVE if starts_later else OPEN) | (EXTERNAL if rng.random() < 0.6 else 0)
        index = self._register.open_at(parent, rng.randrange(65_536), flags)
        self._touched.add(index)
        if starts_later:
            heapq.heappush(self._due, (self._register.day + rng.randint(5, 20), ChangeKind.STARTED, index))
        return True

    def _close(self, rng: random.Random) -> bool:
        index = self._pick(rng, self._has_flags(OPEN, OPEN | PARENT))
        if index is not None:
            self._register.set_flags(index, 0, OPEN)
        return index is not None

    def _start(self, rng: random.Random) -> bool:
        index = self._pick(rng, self._has_flags(ACTIVE, OPEN))
        if index is not None:
            self._register.set_flags(index, OPERATING, OPERATING)
        return index is not None

    def _rename(self, rng: random.Random) -> bool:
        register = self._register
        # Leaves only: a name higher up stands in the paths of many others, and the share would no longer be exact.
        index = self._pick(rng, self._has_flags(OPEN, OPEN | PARENT))
        if index is None:
            return False
        before = register.name_at(index)
        names = (register.portraits.made_up_name(index, rng.randrange(65_536)) for _ in range(_TRIES))
        register.set_name(index, next((name for name in names if name != before), f"YENİ {before}"))
        return True

    def _lose_addressee(self, rng: random.Random) -> bool:
        parents, flags = self._register.forest.parents, self._register.forest.flags
        index = self._pick(
            rng, lambda index: bool(flags[index] & EXTERNAL) and parents[index] >= 0 and parents[parents[index]] >= 0
        )
        if index is not None:
            self._register.set_flags(index, 0, EXTERNAL)
        return index is not None

    def _gain_addressee(self, rng: random.Random) -> bool:
        index = self._pick(rng, self._has_flags(OPEN, OPEN | EXTERNAL))
        if index is not None:
            self._register.set_flags(index, EXTERNAL, EXTERNAL)
        return index is not None

    def _open_address(self, rng: random.Random) -> bool:
        forest, addresses = self._register.forest, self._register.addresses
        index = self._pick(
            rng,
            lambda index: (
                forest.flags[index] & (OPEN | EXTERNAL) == OPEN | EXTERNAL
                and addresses.is_generated(index, KepState.NONE)
            ),
        )
        if index is not None:
            forest.kep[index] = KepState.ACTIVE
        return index is not None

    def _announce_address(self, rng: random.Random) -> bool:
        addresses = self._register.addresses
        index = self._pick(rng, lambda index: addresses.is_generated(index, KepState.ACTIVE))
        if index is None:
            return False
        addresses.begin(index)
        due = self._register.day + rng.randint(2, 9)
        heapq.heappush(self._due, (due, ChangeKind.ADDRESS_CHANGED, index))
        return True

    def _replace_certificate(self, rng: random.Random) -> bool:
        register = self._register
        if not register.makes_certificates:
            return False
        index = self._pick_main(rng, register.shelf.has)
        if index is not None:
            register.upload_certificate(index)
        return index is not None

    def _raise_eyp(self, rng: random.Random) -> bool:
        return (index := self._pick_main(rng, lambda _: True)) is not None and self._register.raise_eyp(index)

    def _reorganise(self, rng: random.Random) -> int:
        """One first-level unit, with all below it, comes under another one of the same main institution."""
        forest = self._register.forest
        for _ in range(_TRIES):
            beside = [
                index for index in forest.children(rng.choice(forest.roots)) if forest.flags[index] & OPEN == OPEN
            ]
            branches = [index for index in beside if forest.flags[index] & PARENT]
            if len(beside) < 2 or not branches:
                continue
            branch = rng.choice(branches)
            if sum(1 for _ in forest.below(branch)) > _LARGEST_BRANCH:
                continue
            target = rng.choice([index for index in beside if index != branch])
            self._touched.update(forest.below(branch))
            return self._register.move_to(branch, target)
        return 0
