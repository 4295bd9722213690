"""The trees of the register in compact arrays: some ten bytes a unit, whatever has happened to it since."""

from __future__ import annotations

import random
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import chain

from services.sandbox.detsis.names import BRANCHES
from services.sandbox.detsis.units import PinnedUnit
from shared.domain.identifiers import detsis_number

FIRST_NUMBER = 20_000_000
"""Where generated numbers begin."""
ACTIVE, OPERATING, EXTERNAL, PARENT = 1, 2, 4, 8
"""Flags of a unit; ``PARENT``: it has, or once had, units below it."""
OPEN = ACTIVE | OPERATING
DEEPEST = 3
_NUMBER_SPAN = 79_999_987  # prime, so that multiplying permutes it
_NUMBER_STEP = 31_415_927
_INVERSE_STEP = pow(_NUMBER_STEP, -1, _NUMBER_SPAN)


class KepState(IntEnum):
    """What a generated unit's addresses look like."""

    NONE = 0
    ACTIVE = 1
    MOVING = 2
    CLOSED = 3


class Forest:
    """Units by index: pinned ones, then generated trees one after the other, then units opened later."""

    def __init__(self, pinned: Sequence[PinnedUnit]) -> None:
        self.pinned = tuple(pinned)
        self.parents = array("i")
        self.flags = bytearray()
        self.kep = bytearray()
        self.words = array("H")
        """Sixteen random bits, from which everything about a unit is made up."""
        self.home_levels = bytearray()
        """The depth a unit was born at; its name fits that, wherever it has been moved since."""
        self.changed = array("H")
        """Day of the last change of the unit's own row."""
        self.roots: list[int] = []
        """Of generated trees."""
        self._branches = bytearray()
        self._first_late = 0
        self._late_branches = bytearray()
        self._relatives: dict[int, list[int]] = {}
        """By root: units opened later or moved here from another tree."""
        self._pinned_index = {unit.detsis_no: index for index, unit in enumerate(pinned)}
        self._plant_pinned()

    def _plant_pinned(self) -> None:
        if len(self._pinned_index) != len(self.pinned):
            raise ValueError("two pinned units have the same number")
        for unit in self.pinned:
            if detsis_number(unit.detsis_no) >= FIRST_NUMBER:
                raise ValueError(f"numbers from {FIRST_NUMBER} are for generated units")
            if unit.parent_no and unit.parent_no not in self._pinned_index:
                raise ValueError("the parent of a pinned unit must be pinned too")
            flags = ACTIVE * unit.active | OPERATING * unit.operating | EXTERNAL * unit.external_addressee
            self._append(self._pinned_index[unit.parent_no] if unit.parent_no else -1, 0, flags, KepState.NONE, 0)
        for unit in self.pinned:
            if unit.parent_no:
                self.flags[self._pinned_index[unit.parent_no]] |= PARENT

    def _append(self, parent: int, level: int, flags: int, kep: KepState, word: int, day: int = 0) -> None:
        self.parents.append(parent)
        self.home_levels.append(level)
        self.flags.append(flags)
        self.kep.append(kep)
        self.words.append(word)
        self.changed.append(day)

    def grow(self, size: int, rng: random.Random, external_share: float) -> None:
        """Append main institutions with their trees until ``size`` units exist; once, and before any ``open``."""
        while (left := size - len(self)) > 0:
            branch = rng.choices(range(len(BRANCHES)), weights=(2, 5, 6, 3, 2))[0]
            self._grow_tree(branch, min(left, int(rng.paretovariate(0.9) * 40), 20_000), rng, external_share)
        self._first_late = len(self)

    def _grow_tree(self, branch: int, size: int, rng: random.Random, external_share: float) -> None:
        root = len(self.parents)
        self.roots.append(root)
        self._branches.append(branch)
        by_level: list[list[int]] = [[root], [], []]
        has_children = bytearray(size)
        for offset in range(size):
            index = root + offset
            level = 0
            if offset:
                level = 1 if offset <= max(3, size // 12) else rng.randint(2, DEEPEST)
                while not by_level[level - 1]:
                    level -= 1
            parent = -1 if level == 0 else rng.choice(by_level[level - 1])
            if 0 < level < DEEPEST:
                by_level[level].append(index)
            if parent >= 0:
                has_children[parent - root] = 1
            self.parents.append(parent)
            self.home_levels.append(level)
            self.words.append(rng.randrange(65_536))
            self.kep.append(_draw_kep(rng.random(), level))
        for offset in range(size):
            external = offset == 0 or rng.random() < external_share
            # No active unit stands below a closed one, so only leaves are closed.
            flags = OPEN if has_children[offset] or offset == 0 else _draw_open(rng.random())
            self.flags.append(flags | (EXTERNAL if external else 0) | (PARENT if has_children[offset] else 0))
        self.changed.frombytes(bytes(self.changed.itemsize * size))

    def __len__(self) -> int:
        return len(self.parents)

    def number(self, index: int) -> int:
        """The unit's number."""
        if index < len(self.pinned):
            return self.pinned[index].detsis_no
        return FIRST_NUMBER + (index - len(self.pinned)) * _NUMBER_STEP % _NUMBER_SPAN

    def index(self, number: int) -> int | None:
        """The opposite of ``number``; None for a number nobody has."""
        offset = number - FIRST_NUMBER
        if offset < 0:
            return self._pinned_index.get(number)
        if offset >= _NUMBER_SPAN:
            return None
        index = offset * _INVERSE_STEP % _NUMBER_SPAN + len(self.pinned)
        return index if index < len(self.parents) else None

    def main_indexes(self) -> Iterator[int]:
        """Units without a parent."""
        yield from (index for index in range(len(self.pinned)) if self.parents[index] < 0)
        yield from self.roots

    def line(self, index: int) -> list[int]:
        """The unit and everything above it, nearest first; the last one is the main institution."""
        found = [index]
        while (index := self.parents[index]) >= 0:
            found.append(index)
        return found

    def root(self, index: int) -> int:
        """The main institution."""
        while (above := self.parents[index]) >= 0:
            index = above
        return index

    def branch(self, index: int) -> int:
        """The sort of main institution below which the unit was born; meaningless for pinned ones."""
        if index >= self._first_late:
            return self._late_branches[index - self._first_late]
        return self._branches[bisect_right(self.roots, index) - 1]

    def below(self, index: int) -> Iterator[int]:
        """The unit and everything below it, parents first."""
        children = self._children_in(self.root(index))
        waiting = [index]
        while waiting:
            found = waiting.pop()
            yield found
            waiting.extend(reversed(children.get(found, ())))

    def children(self, index: int) -> list[int]:
        """Direct children."""
        return self._children_in(self.root(index)).get(index, [])

    def _children_in(self, root: int) -> dict[int, list[int]]:
        if root < len(self.pinned):
            born_here = range(len(self.pinned))
        else:
            position = bisect_right(self.roots, root)
            born_here = range(root, self.roots[position] if position < len(self.roots) else self._first_late)
        children: dict[int, list[int]] = {}
        joined = (index for index in self._relatives.get(root, ()) if index not in born_here)
        for index in chain(born_here, joined):
            if (parent := self.parents[index]) >= 0:
                children.setdefault(parent, []).append(index)
        return children

    def open(self, parent: int, word: int, flags: int, day: int) -> int:
        """Add a unit; its number has never been used."""
        self._late_branches.append(self.branch(parent) if parent >= len(self.pinned) else len(BRANCHES) - 1)
        self._append(parent, min(self.home_levels[parent] + 1, DEEPEST), flags, KepState.NONE, word, day)
        index = len(self) - 1
        self._relatives.setdefault(self.root(parent), []).append(index)
        self.flags[parent] |= PARENT
        return index

    def move(self, index: int, parent: int) -> list[int]:
        """Hang the unit, with everything below it, under another one; return all of them.

        Raises ``ValueError`` if it is a main institution or ``parent`` lies below it.
        """
        if self.parents[index] < 0:
            raise ValueError("a main institution cannot be moved")
        if index in self.line(parent):
            raise ValueError("a unit cannot be moved below itself")
        moved = list(self.below(index))
        root = self.root(parent)
        if root != self.root(index):
            known = self._relatives.setdefault(root, [])
            known.extend(set(moved) - set(known))
        self.parents[index] = parent
        self.flags[parent] |= PARENT
        return moved


def _draw_kep(chance: float, level: int) -> KepState:
    share = (0.95, 0.5, 0.15, 0.05)[level]
    if chance >= share:
        return KepState.NONE
    position = chance / share
    return KepState.MOVING if position < 0.02 else KepState.CLOSED if position < 0.05 else KepState.ACTIVE


def _draw_open(chance: float) -> int:
    """Shares as counted in published rows: both true 82 %, only operating 11 %, none 6.5 %, only active 0.5 %."""
    if chance < 0.82:
        return OPEN
    if chance < 0.93:
        return OPERATING
    return 0 if chance < 0.995 else ACTIVE
