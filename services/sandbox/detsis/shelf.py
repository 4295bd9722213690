"""Which certificates the register holds, and which units they serve."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import pairwise

from services.sandbox.detsis.addresses import AddressBook
from services.sandbox.detsis.certificates import GOOD_FOR, CertificateOrder, Flaw, Forge, uploads_before
from services.sandbox.detsis.forest import Forest
from services.sandbox.detsis.units import CertificateRow

_Upload = tuple[date, Flaw | bytes]
"""When, and either what is wrong with one to be made or the bytes that were given."""


class CertificateShelf:
    """Certificates by owner. Most generated main institutions have one, given a ``forge``; other units only by order."""

    def __init__(self, forest: Forest, addresses: AddressBook, first_day: date, forge: Forge | None) -> None:
        self._forest = forest
        self._addresses = addresses
        self._first_day = first_day
        self._forge = forge
        self._later: dict[int, list[_Upload]] = {}
        self._rehomed: dict[int, date] = {}
        """When a unit was opened or came under another main institution, if that was after the first day."""

    def at(self, index: int, name: str) -> list[CertificateRow]:
        """The certificates uploaded for this very unit, oldest first; all but the newest are out of force.

        ``name`` is the one the unit was born with: a certificate that is made again must come out the same.
        """
        number = self._forest.number(index)
        rows = []
        for place, (day, made) in enumerate(self._uploads(index)):
            until = day + GOOD_FOR
            if isinstance(made, Flaw):
                assert self._forge is not None
                made = self._forge(CertificateOrder(number, name, place, day, until, made))  # noqa: PLW2901
            rows.append(CertificateRow(number, made, day, day, until, active=True))
        replaced = [
            CertificateRow(
                number, row.content, row.registered_on, following.registered_on, row.valid_until, active=False
            )
            for row, following in pairwise(rows)
        ]
        return [*replaced, *rows[-1:]]

    def has(self, index: int) -> bool:
        """Whether anything was ever uploaded for this very unit."""
        return bool(self._uploads(index))

    def owner(self, index: int) -> int | None:
        """The main institution, by index, whose certificate serves this unit.

        First-level units and those with an address are served, unless they have their own.
        """
        parents = self._forest.parents
        parent = parents[index]
        if parent < 0 or not (parents[parent] < 0 or self._addresses.has_active(index)):
            return None
        root = self._forest.root(index)
        return root if self.has(root) and not self.has(index) else None

    def holders(self) -> Iterator[int]:
        """Every unit, by index, that a certificate was uploaded for."""
        below = {index for index, unit in enumerate(self._forest.pinned) if unit.encryption_certificate is not None}
        for index in self._forest.main_indexes():
            if self.has(index):
                below.discard(index)
                yield index
        yield from sorted(index for index in below | self._later.keys() if self._forest.parents[index] >= 0)

    def owners(self, since: date) -> Iterator[tuple[int, int]]:
        """Unit and owner, by index, for what has changed since a day."""
        for index in range(len(self._forest)):
            if (owner := self.owner(index)) is not None:
                first = self._uploads(owner)[0][0]
                if max(first, self._rehomed.get(index, first)) >= since:
                    yield index, owner

    def rehome(self, index: int, today: date) -> None:
        """The unit is new, or new below its main institution."""
        self._rehomed[index] = today

    def upload(self, index: int, today: date, content: bytes | None = None) -> None:
        """A new certificate from today on. Without ``content`` it is made.

        Raises ``ValueError`` if it cannot be made: for pinned units, and in a register without a forge.
        """
        if content is None and (self._forge is None or index < len(self._forest.pinned)):
            raise ValueError("the certificate's bytes are needed for this unit")
        later = self._later.setdefault(index, [])
        if later and later[-1][0] == today:
            later.pop()
        later.append((today, Flaw.NONE if content is None else content))

    def _uploads(self, index: int) -> list[_Upload]:
        later = self._later.get(index, [])
        if index < len(self._forest.pinned):
            given = self._forest.pinned[index].encryption_certificate
            return later if given is None else [(self._first_day, given), *later]
        if self._forge is None or self._forest.parents[index] >= 0:
            return later
        return [*uploads_before(self._forest.words[index], self._first_day), *later]
