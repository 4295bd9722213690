"""A letter's data, put together from what was found out: the items a to g of EK-3/4 and all recipients. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.detsis_sync.live import doubts
from services.detsis_sync.live.contacts import EMAIL, FAX, PHONE, WEB
from services.detsis_sync.live.material import Material, from_contacts
from services.detsis_sync.live.recipients import RecipientItems
from services.detsis_sync.mirror.folding import fold
from services.detsis_sync.rows import SenderContact
from shared.contracts.directory import (
    AddresseeLine,
    AnswerSource,
    ClosingKind,
    ClosingPhrase,
    CorrespondenceData,
    DistributionLine,
    DistributionList,
    Freshness,
    Letterhead,
    LetterRecipient,
    LetterSenderContact,
    LetterSignatory,
    MissingItem,
    MissingReason,
    NumberUnit,
    Signatories,
    SourcedText,
)
from shared.domain.identifiers import detsis_number

DISTRIBUTION_LINE = "DAĞITIM YERLERİNE"
"""What stands in place of the addressee of a letter to several."""


def assemble(material: Material) -> CorrespondenceData:
    """All ten items, each with its source; what is missing is named."""
    letter, recipients = _Letter(material), []
    missing_of_recipients: list[MissingItem] = []
    for number in material.recipients:
        items = RecipientItems(material, number)
        recipients.append(items.put_together())
        missing_of_recipients += items.missing
    live = material.letter
    letterhead, number_unit = letter.letterhead(), letter.number_unit()
    addressee_line, closing_phrase = letter.addressee_line(recipients), letter.closing_phrase()
    signatories, distribution_list = letter.signatories(), letter.distribution_list(recipients)
    sender_contact = letter.sender_contact()
    return CorrespondenceData(
        institution_no=material.institution,
        sender_no=material.sender,
        source=AnswerSource.MIRROR if live is None else AnswerSource.LIVE,
        rule=material.rule,
        freshness=material.freshness
        if live is None
        else Freshness(as_of=live.answered_at, stale=False, snapshot_id=None, source=AnswerSource.LIVE),
        letterhead=letterhead,
        number_unit_no=number_unit,
        addressee_line=addressee_line,
        closing_phrase=closing_phrase,
        signatories=signatories,
        distribution_list=distribution_list,
        sender_contact=sender_contact,
        recipients=recipients,
        missing=[*letter.missing, *missing_of_recipients],
        warnings=[] if material.found is None else list(doubts.of_foreign_entries(material.found)),
    )


def closing_kind(text: str) -> ClosingKind:
    """What a closing phrase says, whatever its case and ending."""
    words = fold(text).split()
    asks = any(word.startswith("arz") for word in words)
    orders = any(word.startswith("rica") for word in words)
    if asks and orders:
        return ClosingKind.ARZ_RICA
    return ClosingKind.ARZ if asks else ClosingKind.RICA if orders else ClosingKind.UNKNOWN


class _Letter:
    """The items of the letter as a whole."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._package = None if material.letter is None else material.letter.package
        self.missing: list[MissingItem] = []

    def _lacks(self, item: str, reason: MissingReason) -> None:
        self.missing.append(MissingItem(item=item, reason=reason))

    def _lacks_what_only_detsis_has(self, item: str) -> None:
        self._lacks(item, MissingReason.ONLY_LIVE if self._package is None else MissingReason.NOT_IN_ANSWER)

    def letterhead(self) -> Letterhead | None:
        """Item a."""
        if self._package is None or self._package.letterhead is None:
            self._lacks_what_only_detsis_has("a.letterhead")
            return None
        return Letterhead(lines=self._package.letterhead.split("\n"), source=self._material.from_package())

    def number_unit(self) -> NumberUnit:
        """Item b: without DETSİS' word it is the unit that prepares the letter."""
        text = None if self._package is None else self._package.number_unit_text
        if text is None:
            sender = self._material.sender
            return NumberUnit(detsis_no=sender, text=str(sender), source=self._material.built("built.sender-asked"))
        try:
            number: int | None = detsis_number(text)
        except ValueError:
            number = None
        return NumberUnit(detsis_no=number, text=text, source=self._material.from_package())

    def addressee_line(self, recipients: Sequence[LetterRecipient]) -> AddresseeLine | None:
        """Item c of the letter as a whole."""
        several = len(recipients) > 1
        if self._package is not None and self._package.addressee is not None:
            return AddresseeLine(
                text=self._package.addressee, distribution=several, source=self._material.from_package()
            )
        if several:
            return AddresseeLine(
                text=DISTRIBUTION_LINE, distribution=True, source=self._material.built("built.several-recipients")
            )
        if (only := recipients[0].addressee) is not None:
            return AddresseeLine(text=only.text, distribution=False, source=only.source)
        self._lacks("c.addressee", self._material.nothing_said)
        return None

    def closing_phrase(self) -> ClosingPhrase | None:
        """Item d."""
        if self._package is None or self._package.closing_phrase is None:
            self._lacks_what_only_detsis_has("d.closing_phrase")
            return None
        text = self._package.closing_phrase
        return ClosingPhrase(text=text, kind=closing_kind(text), source=self._material.from_package())

    def signatories(self) -> Signatories | None:
        """Item e."""
        if self._package is None or not self._package.signatories:
            self._lacks_what_only_detsis_has("e.signatories")
            return None
        people = [
            LetterSignatory(
                manager_code=person.manager_code,
                given_name=person.given_name,
                surname=person.surname,
                title=person.title,
                acting_kind=person.acting_kind,
                unit_no=person.unit_no,
            )
            for person in self._package.signatories
        ]
        return Signatories(people=people, source=self._material.from_package())

    def distribution_list(self, recipients: Sequence[LetterRecipient]) -> DistributionList | None:
        """Item f: DETSİS' own list if it names exactly these recipients, else built in the order asked."""
        if len(recipients) < 2:
            return None
        given = None if self._package is None else self._package.distribution_text
        if given is not None and (lines := _matched(given.split("\n"), recipients)) is not None:
            return DistributionList(lines=lines, given_text=given, source=self._material.from_package())
        built = [
            DistributionLine(detsis_no=recipient.detsis_no, text=recipient.addressee.text)
            for recipient in recipients
            if recipient.addressee is not None
        ]
        if not built:
            self._lacks("f.distribution_list", self._material.nothing_said)
            return None
        return DistributionList(lines=built, given_text=given, source=self._material.built("built.recipients-in-order"))

    def sender_contact(self) -> LetterSenderContact:
        """Item g."""
        given = None if self._package is None else self._package.sender_contact
        if given is None:
            given = SenderContact(None, None, None, None, None)
        return LetterSenderContact(
            postal_address=self._given(given.postal_address) or self._mirrored_postal_address(),
            phone=self._given(given.phone) or self._listed("g.phone", PHONE),
            fax=self._given(given.fax) or self._listed("g.fax", FAX),
            email=self._given(given.email) or self._listed("g.email", EMAIL),
            website=self._given(given.website) or self._listed("g.website", WEB),
        )

    def _given(self, text: str | None) -> SourcedText | None:
        return None if text is None else SourcedText(text=text, source=self._material.from_package())

    def _mirrored_postal_address(self) -> SourcedText | None:
        unit = self._material.mirror.units.get(self._material.sender)
        if unit is None or unit.postal_address is None:
            self._lacks("g.postal_address", self._material.nothing_said)
            return None
        source = self._material.from_mirror("mirror.postal-address")
        return SourcedText(text=unit.postal_address, source=source)

    def _listed(self, item: str, kind: int) -> SourcedText | None:
        contacts = self._material.contacts.get(self._material.sender)
        if contacts is None:
            self._lacks(item, self._material.nothing_said)
            return None
        first = next(iter(contacts.of_kind(kind)), None)
        if first is None:
            self._lacks(item, MissingReason.NOT_LISTED)
            return None
        return SourcedText(text=first.value, source=from_contacts(contacts))


def _matched(lines: Sequence[str], recipients: Sequence[LetterRecipient]) -> list[DistributionLine] | None:
    """The lines with the recipients they name; None unless every line names one and every recipient is named."""
    unnamed: dict[str, list[int]] = {}
    for recipient in recipients:
        if recipient.addressee is None:
            return None
        unnamed.setdefault(fold(recipient.addressee.text), []).append(recipient.detsis_no)
    if len(lines) != len(recipients):
        return None
    matched = []
    for line in lines:
        numbers = unnamed.get(fold(line))
        if not numbers:
            return None
        matched.append(DistributionLine(detsis_no=numbers.pop(0), text=line))
    return matched
