"""KEP addresses of the register: made up from a state a unit, or kept where somebody has changed them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.sandbox.detsis.forest import Forest, KepState
from services.sandbox.detsis.units import CLOSED, WAITING, KepEntry, active_entry
from shared.domain.identifiers import ascii_lower


class AddressBook:
    """Every address of every unit."""

    def __init__(self, forest: Forest, domains: Sequence[str]) -> None:
        self._forest = forest
        self._domains = tuple(domains)
        self._given: dict[int, tuple[KepEntry, ...]] = {}
        """Of pinned units, and of those changed by order."""
        self._generations: dict[int, int] = {}
        """How often a generated address has been replaced."""
        for index, unit in enumerate(forest.pinned):
            self._given[index] = (active_entry(unit.detsis_no, unit.kep_address),) if unit.kep_address else ()

    def at(self, index: int) -> tuple[KepEntry, ...]:
        """The unit's addresses, active or not."""
        if (given := self._given.get(index)) is not None:
            return given
        state = self._forest.kep[index]
        if state == KepState.NONE:
            return ()
        number, generation = self._forest.number(index), self._generations.get(index, 0)
        address = self._made_up(index, number, generation)
        if state == KepState.CLOSED:
            return (KepEntry(number, address, active=False, status=CLOSED),)
        if state == KepState.ACTIVE:
            return (active_entry(number, address),)
        waiting = KepEntry(number, self._made_up(index, number, generation + 1), active=False, status=WAITING)
        return (active_entry(number, address), waiting)

    def has_active(self, index: int) -> bool:
        """Whether the unit has an address in force."""
        return any(entry.active for entry in self.at(index))

    def owner(self, address: str) -> KepEntry | None:
        """The entry of this address whoever owns it, compared in ASCII lower case."""
        wanted = ascii_lower(address.strip())
        number = wanted.partition("@")[0].rpartition(".")[2].partition("-")[0]
        index = self._forest.index(int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None
        for candidate in [*self._given, *([] if index is None else [index])]:
            for entry in self.at(candidate):
                if ascii_lower(entry.address) == wanted:
                    return entry
        return None

    # By evolution

    def is_generated(self, index: int, state: KepState) -> bool:
        """Whether the unit's addresses are still made up, and in this state."""
        return index not in self._given and self._forest.kep[index] == state

    def begin(self, index: int) -> None:
        """A second, waiting address beside the one in force."""
        self._forest.kep[index] = KepState.MOVING

    def finish(self, index: int) -> bool:
        """The waiting address comes into force, the old one is gone; False if somebody was faster."""
        if not self.is_generated(index, KepState.MOVING):
            return False
        self._generations[index] = self._generations.get(index, 0) + 1
        self._forest.kep[index] = KepState.ACTIVE
        return True

    # By order

    def replace(self, index: int, address: str | None) -> None:
        """Only this address, or none."""
        self._given[index] = () if address is None else (active_entry(self._forest.number(index), address),)

    def announce(self, index: int, address: str) -> None:
        """The address waits beside what is in force; one that waited before is forgotten."""
        kept = tuple(entry for entry in self.at(index) if entry.status != WAITING)
        number = self._forest.number(index)
        self._given[index] = (*kept, KepEntry(number, address, active=False, status=WAITING))

    def confirm(self, index: int) -> None:
        """What waits comes into force and everything else is closed; nothing happens if nothing waits."""
        entries = self.at(index)
        opened = tuple(active_entry(entry.number, entry.address) for entry in entries if entry.status == WAITING)
        closed = tuple(replace(entry, active=False, status=CLOSED) for entry in entries if entry.status != WAITING)
        self._given[index] = (*closed, *opened) if opened else entries

    def _made_up(self, index: int, number: int, generation: int) -> str:
        word = self._forest.words[index]
        domain = self._domains[word % len(self._domains)]
        # Real lists hold addresses in mixed case.
        name = "Birim" if word % 13 == 0 and generation == 0 else "birim"
        suffix = "" if generation == 0 else "-yeni" if generation == 1 else f"-yeni{generation}"
        return f"{name}.{number}{suffix}@{domain}"
