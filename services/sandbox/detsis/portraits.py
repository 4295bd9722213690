"""What the register says about a unit: made up from its bits, its place in the tree and what was changed since."""

from __future__ import annotations

from functools import lru_cache

from services.sandbox.detsis.codes import status_of
from services.sandbox.detsis.forest import ACTIVE, EXTERNAL, OPERATING, Forest
from services.sandbox.detsis.names import BRANCHES, FIELDS, PLACES, PROVINCES, TOPICS
from services.sandbox.detsis.units import Unit


class Portraits:
    """Units by index of the forest."""

    def __init__(self, forest: Forest) -> None:
        self._forest = forest
        self._names: dict[int, str] = {}
        self._renamings = 0
        """Counts what makes remembered paths wrong."""
        self._place = lru_cache(maxsize=16_384)(self._path_and_main)
        self.born_name = lru_cache(maxsize=8192)(self._born_name)
        """The name a unit had at first; certificates keep it."""

    def at(self, index: int) -> Unit:
        """The whole unit."""
        forest = self._forest
        number, word, flags = forest.number(index), forest.words[index], forest.flags[index]
        parent = forest.parents[index]
        path, main_no = self._place(index, self._renamings) if parent < 0 else self._place(parent, self._renamings)
        if parent >= 0:
            path = (*path, self.name(index))
        pinned, place_id = index < len(forest.pinned), self.place_id(index)
        if pinned:
            category, kind = BRANCHES[-1].category_id, None
            street = "CUMHURİYET MAH. NO: 1"
        else:
            branch = BRANCHES[forest.branch(index)]
            category, kind = branch.category_id, branch.kind if word % 10 < 3 else None
            street = f"{PLACES[word // 11 % len(PLACES)]} MAH. NO: {word % 300}"
        return Unit(
            number=number,
            name=path[-1],
            parent_no=forest.number(parent) if parent >= 0 else 0,
            second_parent_no=main_no if len(path) > 2 and word % 29 == 0 and not pinned else 0,
            main_no=main_no,
            path=path,
            level=len(path) - 1,
            category_id=category,
            status_id=status_of(path[-1].rpartition(" ")[2]),
            kind=kind,
            place_id=place_id,
            place_name=None if place_id is None else PLACES[place_id - 1],
            postal_address=None if place_id is None else f"{street} {PLACES[place_id - 1]}",
            active=bool(flags & ACTIVE),
            operating=bool(flags & OPERATING),
            external_addressee=bool(flags & EXTERNAL),
        )

    def name(self, index: int) -> str:
        """Its name."""
        return self._names.get(index) or self.born_name(index)

    def place_id(self, index: int) -> int | None:
        """Where it is."""
        if index < len(self._forest.pinned):
            return self._forest.number(index) % PROVINCES + 1
        word = self._forest.words[index]
        return word % len(PLACES) + 1 if word % 17 else None

    def rename(self, index: int, name: str) -> None:
        """Another name from now on."""
        self._names[index] = name
        self._renamings += 1

    def forget_paths(self) -> None:
        """A branch has been moved."""
        self._renamings += 1

    def made_up_name(self, index: int, word: int) -> str:
        """A name that fits the unit's place in the state."""
        patterns = BRANCHES[self._forest.branch(index)].levels[self._forest.home_levels[index]]
        return patterns[word % len(patterns)].format(
            topic=TOPICS[word // 3 % len(TOPICS)],
            field=FIELDS[word // 5 % len(FIELDS)],
            place=PLACES[word // 7 % len(PLACES)],
        )

    def _path_and_main(self, index: int, renamings: int) -> tuple[tuple[str, ...], int]:
        parent = self._forest.parents[index]
        if parent < 0:
            return (self.name(index),), self._forest.number(index)
        above, main_no = self._place(parent, renamings)
        return (*above, self.name(index)), main_no

    def _born_name(self, index: int) -> str:
        if index < len(self._forest.pinned):
            return self._forest.pinned[index].name
        return self.made_up_name(index, self._forest.words[index])
