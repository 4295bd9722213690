"""Everything a letter's data is put together from, and the sources that stand beside its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from services.detsis_sync.live.contacts import UnitContacts
from services.detsis_sync.live.entries import Entries, entries
from services.detsis_sync.live.letters import LiveLetter
from services.detsis_sync.live.resolve import LIVE_RULE
from services.detsis_sync.live.stored import MirroredLetter
from services.detsis_sync.soap.wire import Operation
from shared.contracts.directory import Freshness, ItemSource, MissingReason, Origin
from shared.domain.identifiers import DetsisNumber


@dataclass(frozen=True)
class Material:
    """What was found out about one letter."""

    institution: DetsisNumber
    sender: DetsisNumber
    recipients: tuple[DetsisNumber, ...]
    """Each once, in the order asked."""
    letter: LiveLetter | None
    """None: the mirror answers, for the reason ``rule`` names."""
    rule: str
    mirror: MirroredLetter
    freshness: Freshness
    contacts: Mapping[DetsisNumber, UnitContacts]
    now: datetime

    @cached_property
    def found(self) -> Entries | None:
        """The live answer by recipient."""
        return None if self.letter is None else entries(self.letter.package, self.recipients)

    @property
    def nothing_said(self) -> MissingReason:
        """Why an item is missing that the answer, whichever it is, could have held."""
        return MissingReason.NOT_IN_MIRROR if self.letter is None else MissingReason.NOT_IN_ANSWER

    def from_package(self) -> ItemSource:
        """DETSİS said so for this very letter."""
        assert self.letter is not None
        return ItemSource(
            origin=Origin.LIVE,
            operation=Operation.CORRESPONDENCE_PACKAGE.name,
            as_of=self.letter.answered_at,
            rule=LIVE_RULE,
        )

    def from_unit(self) -> ItemSource:
        """DETSİS said so of the unit."""
        assert self.letter is not None
        return ItemSource(
            origin=Origin.LIVE, operation=Operation.UNIT.name, as_of=self.letter.answered_at, rule="live.unit"
        )

    def from_mirror(self, rule: str) -> ItemSource:
        """The nightly copy says so; in a mirror answer by the rule that made it one, else by ``rule``."""
        return ItemSource(
            origin=Origin.MIRROR,
            as_of=self.freshness.as_of,
            stale=self.freshness.stale,
            rule=rule if self.letter is not None else self.rule,
        )

    def built(self, rule: str) -> ItemSource:
        """Made here from other values, as old as those."""
        if self.letter is not None:
            return ItemSource(origin=Origin.BUILT, as_of=self.letter.answered_at, rule=rule)
        return ItemSource(origin=Origin.BUILT, as_of=self.freshness.as_of, stale=self.freshness.stale, rule=rule)


def from_contacts(contacts: UnitContacts) -> ItemSource:
    """The unit's contacts, asked for now or stored."""
    return ItemSource(
        origin=Origin.LIVE if contacts.live else Origin.CONTACTS,
        operation=Operation.CONTACTS.name,
        as_of=contacts.as_of,
        stale=contacts.stale,
        rule="live.contacts" if contacts.live else "contacts.stored",
    )
