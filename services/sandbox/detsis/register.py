"""The register of one day: read by number, changed by evolution and by order.

Reading is safe while something changes it: every change replaces one entry of an array or a dictionary.
What is read over many moments, such as a long list, may mix the days before and after.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import date, timedelta
from hashlib import blake2b

from services.sandbox.detsis.addresses import AddressBook
from services.sandbox.detsis.certificates import Forge
from services.sandbox.detsis.forest import OPEN, PARENT, Forest
from services.sandbox.detsis.portraits import Portraits
from services.sandbox.detsis.shelf import CertificateShelf
from services.sandbox.detsis.units import CertificateRow, KepEntry, PinnedUnit, Unit

SMALLEST, LARGEST = 1, 400_000
FIRST_DAY = date(2020, 1, 1)
"""Day 0 of a register that is given none."""
_DEEPEST_PATH = 12
_EYP_VERSIONS: tuple[tuple[str, ...], ...] = ((), ("1.3",), ("1.3", "2.0"), ("2.0",))

__all__ = ["FIRST_DAY", "LARGEST", "SMALLEST", "KepEntry", "PinnedUnit", "Register", "Unit", "generate_register"]


class Register:
    """Units, addresses, certificates and EYP versions as they are on ``today``."""

    def __init__(
        self, forest: Forest, *, kep_domains: Sequence[str], first_day: date, forge: Forge | None, fingerprint: str
    ) -> None:
        self.forest = forest
        self.first_day = first_day
        self.day = 0
        """Days since ``first_day``."""
        self.makes_certificates = forge is not None
        self._fingerprint = fingerprint
        self._ordered = 0
        self._process = secrets.token_hex(4)
        self._eyp: dict[int, int] = {}
        self.portraits = Portraits(forest)
        self.addresses = AddressBook(forest, kep_domains)
        self.shelf = CertificateShelf(forest, self.addresses, first_day, forge)

    # Its state as a whole

    @property
    def today(self) -> date:
        """The day the register stands at."""
        return self.first_day + timedelta(days=self.day)

    @property
    def version(self) -> str:
        """Different whenever an answer could be different; the same again at the next start unless something was ordered."""
        return f"{self._fingerprint}-{self.day}" + (f"-{self._process}-{self._ordered}" if self._ordered else "")

    def __len__(self) -> int:
        return len(self.forest)

    def numbers(self) -> Iterator[int]:
        """Every number: pinned units first, then generated ones, then those opened later."""
        return map(self.forest.number, range(len(self.forest)))

    # Units

    def unit(self, number: int) -> Unit | None:
        """The unit with this number, or None."""
        index = self.forest.index(number)
        return None if index is None else self.at(index)

    def units(self) -> Iterator[Unit]:
        """Every unit, made as it is asked for."""
        return map(self.at, range(len(self.forest)))

    def named(self, part: str, main_no: int = 0) -> Iterator[Unit]:
        """Units with ``part`` in their name, of one main institution or of all."""
        within: Iterable[int] = range(len(self.forest))
        if main_no:
            root = self.forest.index(main_no)
            within = () if root is None else self.forest.below(root)
        return (self.at(index) for index in within if part in self.name_at(index))

    def placed(self, place_ids: Container[int | None]) -> Iterator[Unit]:
        """Units in one of these places; None among them stands for units without a place."""
        return (self.at(index) for index in range(len(self.forest)) if self.portraits.place_id(index) in place_ids)

    def main_institutions(self) -> Iterator[Unit]:
        """Units without a parent inside the state."""
        return map(self.at, self.forest.main_indexes())

    def correspondents(self, since: date | None = None) -> Iterator[Unit]:
        """The external set: main institutions, first-level units and whatever may be written to from outside.

        With a day after the first one only what has changed since that day, and also what has left the set.
        """
        for index in self._changed(since):
            unit = self.at(index)
            if unit.level <= 1 or unit.external_addressee or (since is not None and self.is_delta(since)):
                yield unit

    def children(self, number: int) -> list[Unit]:
        """Direct children, in the order of the register."""
        index = self.forest.index(number)
        return [] if index is None else [self.at(child) for child in self.forest.children(index)]

    def ancestors(self, number: int) -> list[Unit]:
        """Parents up to the main institution, nearest first, without the unit itself."""
        index = self.forest.index(number)
        return [] if index is None else [self.at(above) for above in self.forest.line(index)[1:]]

    def subtree(self, number: int, since: date | None = None) -> Iterator[Unit]:
        """The unit and everything below it; with a day only what has changed since."""
        index = self.forest.index(number)
        if index is None:
            return
        for below in self.forest.below(index):
            if since is None or not self.is_delta(since) or self._changed_on(below) >= since:
                yield self.at(below)

    def changed_on(self, number: int) -> date:
        """The day of the last change of the unit's own row. Raises ``KeyError``."""
        return self._changed_on(self._require(number))

    def at(self, index: int) -> Unit:
        """The unit at an index of the forest."""
        return self.portraits.at(index)

    def name_at(self, index: int) -> str:
        """The name of the unit at an index of the forest."""
        return self.portraits.name(index)

    def _changed(self, since: date | None) -> Iterator[int]:
        if since is None or not self.is_delta(since):
            yield from range(len(self.forest))
        else:
            oldest = (since - self.first_day).days
            yield from (index for index, day in enumerate(self.forest.changed) if day >= oldest)

    def is_delta(self, since: date) -> bool:
        """Whether that day asks for changes only: everything counts as changed on the first day."""
        return since > self.first_day

    def _changed_on(self, index: int) -> date:
        return self.first_day + timedelta(days=self.forest.changed[index])

    # Addresses

    def kep_entries(self, number: int) -> tuple[KepEntry, ...]:
        """Every address of the unit, active or not."""
        index = self.forest.index(number)
        return () if index is None else self.addresses.at(index)

    def active_kep_entries(self) -> Iterator[KepEntry]:
        """Every active address of the state."""
        for index in range(len(self.forest)):
            yield from (entry for entry in self.addresses.at(index) if entry.active)

    def owner(self, address: str) -> KepEntry | None:
        """The entry of this address whoever owns it, compared in ASCII lower case."""
        return self.addresses.owner(address)

    # Certificates and EYP versions

    def certificates(self, number: int) -> list[CertificateRow]:
        """The certificates uploaded for this very unit, oldest first."""
        index = self.forest.index(number)
        return [] if index is None else self.shelf.at(index, self.portraits.born_name(index))

    def all_certificates(self, since: date) -> Iterator[CertificateRow]:
        """Every certificate uploaded or replaced since a day."""
        for index in self.shelf.holders():
            yield from (row for row in self.shelf.at(index, self.portraits.born_name(index)) if row.updated_on >= since)

    def encryption_certificate(self, number: int) -> bytes | None:
        """The newest certificate that serves the unit, its own or its owner's."""
        index = self.forest.index(number)
        if index is None:
            return None
        owner = self.shelf.owner(index)
        served_by = index if owner is None else owner
        rows = self.shelf.at(served_by, self.portraits.born_name(served_by))
        return rows[-1].content if rows else None

    def certificate_owners(self, since: date) -> Iterator[tuple[int, int]]:
        """Unit and owner, for what has changed since a day."""
        return ((self.forest.number(unit), self.forest.number(owner)) for unit, owner in self.shelf.owners(since))

    def eyp_versions(self, number: int) -> tuple[str, ...]:
        """The versions that the unit's main institution accepts; empty for unknown units."""
        index = self.forest.index(number)
        return () if index is None else _EYP_VERSIONS[self.eyp_state(self.forest.root(index))]

    def eyp_updated(self) -> Iterator[int]:
        """Main institutions that accept version 2.0."""
        for index in self.forest.main_indexes():
            if self.eyp_state(index) >= 2:
                yield self.forest.number(index)

    def eyp_state(self, root: int) -> int:
        """How far a main institution has come, 0 to 3: index of its versions."""
        if (raised := self._eyp.get(root)) is not None:
            return raised
        if root < len(self.forest.pinned):
            return 2
        return (1, 1, 1, 2, 2, 2, 2, 2, 3, 0)[self.forest.words[root] // 3 % 10]

    # Changes, by evolution and by order

    def touch(self, index: int) -> None:
        """Note that the unit's row has changed today."""
        self.forest.changed[index] = self.day

    def ordered(self) -> None:
        """Note a change that evolution would not have made."""
        self._ordered += 1

    def set_flags(self, index: int, flags: int, mask: int) -> None:
        """Set the bits of ``mask`` to those of ``flags``."""
        self.forest.flags[index] = self.forest.flags[index] & ~mask | flags & mask
        self.touch(index)

    def set_name(self, index: int, name: str) -> None:
        """Rename a unit; its name stands in the paths of everything below it."""
        self.portraits.rename(index, name)
        for below in self.forest.below(index) if self.forest.flags[index] & PARENT else (index,):
            self.touch(below)

    def open_at(self, parent: int, word: int, flags: int) -> int:
        """Open a unit below another; return its index."""
        index = self.forest.open(parent, word, flags, self.day)
        self.shelf.rehome(index, self.today)
        return index

    def move_to(self, index: int, parent: int) -> int:
        """Hang a branch elsewhere; every row of it changes. Returns how many. Raises ``ValueError``."""
        before = self.forest.root(index)
        if len(self.forest.line(parent)) > _DEEPEST_PATH:
            raise ValueError("the tree would become too deep")
        moved = self.forest.move(index, parent)
        self.portraits.forget_paths()
        for below in moved:
            self.touch(below)
            if before != self.forest.root(parent):
                self.shelf.rehome(below, self.today)
        return len(moved)

    def upload_certificate(self, index: int, content: bytes | None = None) -> None:
        """A new certificate from today on; see ``CertificateShelf.upload``. Raises ``ValueError``."""
        self.shelf.upload(index, self.today, content)

    def raise_eyp(self, root: int) -> bool:
        """Let a main institution accept the next version; False if it has all."""
        state = self.eyp_state(root)
        if state == len(_EYP_VERSIONS) - 1:
            return False
        self._eyp[root] = state + 1
        return True

    # What the control API orders

    def set_active(self, number: int, active: bool) -> None:
        """Close (both flags false) or reopen (both true) a unit. Raises ``KeyError`` for an unknown one."""
        self.ordered()
        self.set_flags(self._require(number), OPEN if active else 0, OPEN)

    def set_kep_address(self, number: int, address: str | None) -> None:
        """Give the unit this one active address, or none. Raises ``KeyError`` for an unknown unit."""
        self.ordered()
        self.addresses.replace(self._require(number), address)

    def announce_kep_address(self, number: int, address: str) -> None:
        """Begin a change of address: the new one waits, the one in force stays. Raises ``KeyError``."""
        self.ordered()
        self.addresses.announce(self._require(number), address)

    def confirm_kep_address(self, number: int) -> None:
        """End a change of address: the waiting one comes into force, the others are closed. Raises ``KeyError``."""
        self.ordered()
        self.addresses.confirm(self._require(number))

    def _require(self, number: int) -> int:
        index = self.forest.index(number)
        if index is None:
            raise KeyError(number)
        return index


def generate_register(
    size: int,
    seed: int,
    pinned: Sequence[PinnedUnit] = (),
    *,
    external_share: float = 0.6,
    kep_domains: Sequence[str] = ("hs91.kep.example", "hs92.kep.example"),
    first_day: date = FIRST_DAY,
    forge: Forge | None = None,
) -> Register:
    """Make a register of ``size`` units, pinned ones included: the same for the same arguments.

    ``external_share`` is the part of units that may be written to from outside. Only with ``forge`` do generated
    institutions have certificates. Raises ``ValueError`` for an impossible size or contradicting pinned units.
    """
    if not SMALLEST <= size <= LARGEST:
        raise ValueError(f"size must be from {SMALLEST} to {LARGEST}")
    forest = Forest(pinned)
    forest.grow(size, random.Random(seed), external_share)  # noqa: S311 - repeatable, not secret
    given = (size, seed, tuple(pinned), external_share, tuple(kep_domains), first_day, forge is not None)
    certificates = tuple(unit.encryption_certificate for unit in pinned)
    fingerprint = blake2b(repr((given, certificates)).encode(), digest_size=8).hexdigest()
    return Register(forest, kep_domains=kep_domains, first_day=first_day, forge=forge, fingerprint=fingerprint)
