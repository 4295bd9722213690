"""The generated register: compact arrays and names made on demand, so 400 thousand units cost a few megabytes."""

from __future__ import annotations

import random
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from services.sandbox.detsis.codes import status_of
from services.sandbox.detsis.names import BRANCHES, FIELDS, PLACES, PROVINCES, TOPICS
from shared.domain.identifiers import ascii_lower, detsis_number

SMALLEST, LARGEST = 1, 400_000
_FIRST_NUMBER = 20_000_000
_NUMBER_SPAN = 79_999_987  # prime, so that multiplying permutes it
_NUMBER_STEP = 31_415_927
_DEEPEST = 3

IN_FORCE, WAITING, CLOSED = "Aktif", "Doğrulama Bekliyor", "Pasif"
"""Status texts of addresses; the real ones are not published."""
_ACTIVE, _OPERATING, _EXTERNAL = 1, 2, 4
_KEP_NONE, _KEP_ACTIVE, _KEP_MOVING, _KEP_CLOSED = range(4)


@dataclass(frozen=True)
class PinnedUnit:
    """A unit given from outside, next to the generated ones; its number lies below 20 000 000.

    ``parent_no`` 0 makes it a main institution.
    """

    detsis_no: int
    name: str
    parent_no: int = 0
    active: bool = True
    operating: bool = True
    external_addressee: bool = True
    kep_address: str | None = None
    encryption_certificate: bytes | None = field(default=None, repr=False)
    """DER."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit as the service answers it. Numbers are 0 where there is none."""

    number: int
    name: str
    parent_no: int
    second_parent_no: int
    main_no: int
    path: tuple[str, ...]
    level: int
    category_id: int
    status_id: int
    kind: str | None
    place_id: int | None
    place_name: str | None
    postal_address: str | None
    active: bool
    operating: bool
    external_addressee: bool


@dataclass(frozen=True, slots=True)
class KepEntry:
    """One address of one unit, with the status text people see on the portal."""

    number: int
    address: str
    active: bool
    status: str


class Register:
    """Generated units by index (each main institution and its tree are contiguous), then the pinned ones.

    Reading is safe while the control API changes it: every change replaces one dictionary entry.
    """

    def __init__(self, pinned: Sequence[PinnedUnit], kep_domains: Sequence[str]) -> None:
        self._pinned = {unit.detsis_no: unit for unit in pinned}
        if len(self._pinned) != len(pinned):
            raise ValueError("two pinned units have the same number")
        for unit in pinned:
            if detsis_number(unit.detsis_no) >= _FIRST_NUMBER:
                raise ValueError(f"numbers from {_FIRST_NUMBER} are for generated units")
            if unit.parent_no and unit.parent_no not in self._pinned:
                raise ValueError("the parent of a pinned unit must be pinned too")
        self._domains = tuple(kep_domains)
        self._parents = array("i")
        self._levels = bytearray()
        self._flags = bytearray()
        self._kep = bytearray()
        self._words = array("H")
        self._roots: list[int] = []
        self._branches = bytearray()
        self._inverse_step = pow(_NUMBER_STEP, -1, _NUMBER_SPAN)
        self._open: dict[int, bool] = {}
        self._moved_kep: dict[int, tuple[KepEntry, ...]] = {}
        self._short_name = lru_cache(maxsize=8192)(self._generated_name)

    def grow(self, size: int, rng: random.Random, external_share: float) -> None:
        """Append main institutions with their trees until ``size`` units exist."""
        while (left := size - len(self)) > 0:
            branch = rng.choices(range(len(BRANCHES)), weights=(2, 5, 6, 3, 2))[0]
            self._grow_tree(branch, min(left, int(rng.paretovariate(0.9) * 40), 20_000), rng, external_share)

    def _grow_tree(self, branch: int, size: int, rng: random.Random, external_share: float) -> None:
        root = len(self._parents)
        self._roots.append(root)
        self._branches.append(branch)
        by_level: list[list[int]] = [[root], [], []]
        has_children = bytearray(size)
        for offset in range(size):
            index = root + offset
            level = 0
            if offset:
                level = 1 if offset <= max(3, size // 12) else rng.randint(2, _DEEPEST)
                while not by_level[level - 1]:
                    level -= 1
            parent = -1 if level == 0 else rng.choice(by_level[level - 1])
            if 0 < level < _DEEPEST:
                by_level[level].append(index)
            if parent >= 0:
                has_children[parent - root] = 1
            self._parents.append(parent)
            self._levels.append(level)
            self._words.append(rng.randrange(65_536))
            self._kep.append(_draw_kep(rng.random(), level))
        for offset in range(size):
            external = offset == 0 or rng.random() < external_share
            # No active unit stands below a closed one, so only leaves are closed.
            open_flags = _ACTIVE | _OPERATING if has_children[offset] or offset == 0 else _draw_open(rng.random())
            self._flags.append(open_flags | (_EXTERNAL if external else 0))

    def __len__(self) -> int:
        return len(self._parents) + len(self._pinned)

    def numbers(self) -> Iterator[int]:
        """Every number: pinned units first, then generated ones, parents before children."""
        yield from self._pinned
        yield from map(_number, range(len(self._parents)))

    def unit(self, number: int) -> Unit | None:
        """The unit with this number, or None."""
        if (pinned := self._pinned.get(number)) is not None:
            return self._pinned_unit(pinned)
        index = self._index(number)
        return None if index is None else self._generated_unit(index)

    def units(self) -> Iterator[Unit]:
        """Every unit, made as it is asked for."""
        for number in self.numbers():
            if (unit := self.unit(number)) is not None:
                yield unit

    def main_institutions(self) -> Iterator[Unit]:
        """Units without a parent inside the state."""
        for pinned in list(self._pinned.values()):
            if not pinned.parent_no:
                yield self._pinned_unit(pinned)
        yield from map(self._generated_unit, self._roots)

    def correspondents(self) -> Iterator[Unit]:
        """The external set: main institutions, first-level units and whatever may be written to from outside."""
        return (unit for unit in self.units() if unit.level <= 1 or unit.external_addressee)

    def children(self, number: int) -> list[Unit]:
        """Direct children, in the order of the register."""
        return [unit for unit in self.subtree(number) if unit.parent_no == number]

    def ancestors(self, number: int) -> list[Unit]:
        """Parents up to the main institution, nearest first, without the unit itself."""
        found: list[Unit] = []
        unit = self.unit(number)
        while unit is not None and unit.parent_no:
            unit = self.unit(unit.parent_no)
            if unit is not None:
                found.append(unit)
        return found

    def subtree(self, number: int) -> Iterator[Unit]:
        """The unit and everything below it."""
        below = {number}
        for pinned in list(self._pinned.values()):
            if pinned.detsis_no == number or pinned.parent_no in below:
                below.add(pinned.detsis_no)
                yield self._pinned_unit(pinned)
        index = self._index(number)
        if index is None:
            return
        kin = {index}
        for candidate in range(index, self._tree_end(index)):
            if candidate == index or self._parents[candidate] in kin:
                kin.add(candidate)
                yield self._generated_unit(candidate)

    def kep_entries(self, number: int) -> tuple[KepEntry, ...]:
        """Every address of the unit, active or not."""
        if (moved := self._moved_kep.get(number)) is not None:
            return moved
        if (pinned := self._pinned.get(number)) is not None:
            return (_active_entry(number, pinned.kep_address),) if pinned.kep_address else ()
        index = self._index(number)
        return () if index is None else self._generated_kep(index, number)

    def active_kep_entries(self) -> Iterator[KepEntry]:
        """Every active address of the state."""
        for number in self.numbers():
            yield from (entry for entry in self.kep_entries(number) if entry.active)

    def owner(self, address: str) -> KepEntry | None:
        """The entry of this address whoever owns it, compared in ASCII lower case."""
        wanted = ascii_lower(address.strip())
        local = wanted.partition("@")[0].rpartition(".")[2].removesuffix("-yeni")
        candidates = [*self._moved_kep, *self._pinned, *([int(local)] if local.isascii() and local.isdigit() else [])]
        for number in candidates:
            for entry in self.kep_entries(number):
                if ascii_lower(entry.address) == wanted:
                    return entry
        return None

    def encryption_certificate(self, number: int) -> bytes | None:
        """The DER certificate of a pinned unit, if it has one."""
        pinned = self._pinned.get(number)
        return pinned.encryption_certificate if pinned else None

    def set_active(self, number: int, active: bool) -> None:
        """Close (both flags false) or reopen (both true) a unit. Raises ``KeyError`` for an unknown one."""
        self._require(number)
        self._open[number] = active

    def set_kep_address(self, number: int, address: str | None) -> None:
        """Give the unit this one active address, or none. Raises ``KeyError`` for an unknown unit."""
        self._require(number)
        self._moved_kep[number] = () if address is None else (_active_entry(number, address),)

    def announce_kep_address(self, number: int, address: str) -> None:
        """Begin a change of address: the new one waits, the one in force stays. Raises ``KeyError``."""
        self._require(number)
        kept = tuple(entry for entry in self.kep_entries(number) if entry.status != WAITING)
        self._moved_kep[number] = (*kept, KepEntry(number, address, active=False, status=WAITING))

    def confirm_kep_address(self, number: int) -> None:
        """End a change of address: the waiting one comes into force, the others are closed. Raises ``KeyError``."""
        self._require(number)
        entries = self.kep_entries(number)
        closed = tuple(replace(entry, active=False, status=CLOSED) for entry in entries if entry.status != WAITING)
        opened = tuple(_active_entry(number, entry.address) for entry in entries if entry.status == WAITING)
        self._moved_kep[number] = (*closed, *opened) if opened else entries

    def _require(self, number: int) -> None:
        if self.unit(number) is None:
            raise KeyError(number)

    def _index(self, number: int) -> int | None:
        offset = number - _FIRST_NUMBER
        if not 0 <= offset < _NUMBER_SPAN:
            return None
        index = offset * self._inverse_step % _NUMBER_SPAN
        return index if index < len(self._parents) else None

    def _tree_end(self, index: int) -> int:
        position = bisect_right(self._roots, index)
        return self._roots[position] if position < len(self._roots) else len(self._parents)

    def _root(self, index: int) -> int:
        return self._roots[bisect_right(self._roots, index) - 1]

    def _branch(self, index: int) -> int:
        return self._branches[bisect_right(self._roots, index) - 1]

    def _generated_name(self, index: int) -> str:
        word = self._words[index]
        patterns = BRANCHES[self._branch(index)].levels[self._levels[index]]
        return patterns[word % len(patterns)].format(
            topic=TOPICS[word // 3 % len(TOPICS)],
            field=FIELDS[word // 5 % len(FIELDS)],
            place=PLACES[word // 7 % len(PLACES)],
        )

    def _generated_unit(self, index: int) -> Unit:
        number, word, level = _number(index), self._words[index], self._levels[index]
        flags = self._flags[index]
        parent, root = self._parents[index], self._root(index)
        branch = BRANCHES[self._branch(index)]
        path = [self._short_name(index)]
        step = parent
        while step >= 0:
            path.append(self._short_name(step))
            step = self._parents[step]
        place = word % len(PLACES) if word % 17 else None
        opened = self._open.get(number)
        return Unit(
            number=number,
            name=path[0],
            parent_no=_number(parent) if parent >= 0 else 0,
            second_parent_no=_number(root) if level > 1 and word % 29 == 0 else 0,
            main_no=_number(root),
            path=tuple(reversed(path)),
            level=level,
            category_id=branch.category_id,
            status_id=status_of(path[0].rpartition(" ")[2]),
            kind=branch.kind if word % 10 < 3 else None,
            place_id=None if place is None else place + 1,
            place_name=None if place is None else PLACES[place],
            postal_address=None
            if place is None
            else f"{PLACES[word // 11 % len(PLACES)]} MAH. NO: {word % 300} {PLACES[place]}",
            active=bool(flags & _ACTIVE) if opened is None else opened,
            operating=bool(flags & _OPERATING) if opened is None else opened,
            external_addressee=bool(flags & _EXTERNAL),
        )

    def _pinned_unit(self, pinned: PinnedUnit) -> Unit:
        path, main = [pinned.name], pinned
        while main.parent_no:
            main = self._pinned[main.parent_no]
            path.append(main.name)
        opened = self._open.get(pinned.detsis_no)
        place = pinned.detsis_no % PROVINCES
        return Unit(
            number=pinned.detsis_no,
            name=pinned.name,
            parent_no=pinned.parent_no,
            second_parent_no=0,
            main_no=main.detsis_no,
            path=tuple(reversed(path)),
            level=len(path) - 1,
            category_id=BRANCHES[-1].category_id,
            status_id=status_of(pinned.name.rpartition(" ")[2]),
            kind=None,
            place_id=place + 1,
            place_name=PLACES[place],
            postal_address=f"CUMHURİYET MAH. NO: 1 {PLACES[place]}",
            active=pinned.active if opened is None else opened,
            operating=pinned.operating if opened is None else opened,
            external_addressee=pinned.external_addressee,
        )

    def _generated_kep(self, index: int, number: int) -> tuple[KepEntry, ...]:
        state, word = self._kep[index], self._words[index]
        if state == _KEP_NONE:
            return ()
        domain = self._domains[word % len(self._domains)]
        # Real lists hold addresses in mixed case.
        address = f"{'Birim' if word % 13 == 0 else 'birim'}.{number}@{domain}"
        if state == _KEP_CLOSED:
            return (KepEntry(number, address, active=False, status=CLOSED),)
        entries = [_active_entry(number, address)]
        if state == _KEP_MOVING:
            entries.append(KepEntry(number, f"birim.{number}-yeni@{domain}", active=False, status=WAITING))
        return tuple(entries)


def generate_register(
    size: int,
    seed: int,
    pinned: Sequence[PinnedUnit] = (),
    *,
    external_share: float = 0.6,
    kep_domains: Sequence[str] = ("hs91.kep.example", "hs92.kep.example"),
) -> Register:
    """Make a register of ``size`` units, pinned ones included: the same for the same arguments.

    ``external_share`` is the part of units that may be written to from outside. Raises
    ``ValueError`` for an impossible size or contradicting pinned units.
    """
    if not SMALLEST <= size <= LARGEST:
        raise ValueError(f"size must be from {SMALLEST} to {LARGEST}")
    register = Register(pinned, kep_domains)
    register.grow(size, random.Random(seed), external_share)  # noqa: S311 - repeatable, not secret
    return register


def _number(index: int) -> int:
    return _FIRST_NUMBER + index * _NUMBER_STEP % _NUMBER_SPAN


def _active_entry(number: int, address: str) -> KepEntry:
    return KepEntry(number, address, active=True, status=IN_FORCE)


def _draw_kep(chance: float, level: int) -> int:
    share = (0.95, 0.5, 0.15, 0.05)[level]
    if chance >= share:
        return _KEP_NONE
    position = chance / share
    return _KEP_MOVING if position < 0.02 else _KEP_CLOSED if position < 0.05 else _KEP_ACTIVE


def _draw_open(chance: float) -> int:
    """Shares as counted in published rows: both true 82 %, only operating 11 %, none 6.5 %, only active 0.5 %."""
    if chance < 0.82:
        return _ACTIVE | _OPERATING
    if chance < 0.93:
        return _OPERATING
    return 0 if chance < 0.995 else _ACTIVE
