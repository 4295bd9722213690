"""What the caller left open in a letter: ids, the data of the letter (EK-3/4), the package's version."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

from services.gateway.drafts.stages import OLDER_VERSION
from services.gateway.schemas.correspondence import CorrespondenceBody
from services.gateway.schemas.drafts import FilledValue
from services.gateway.schemas.letters import (
    ContactDetails,
    LetterDistribution,
    LetterMetadata,
    OrganisationParty,
)
from shared.clients.directory import DirectoryClient
from shared.contracts.directory import CorrespondenceData, ItemSource, LetterRecipient, SourcedText
from shared.errors import DomainError
from shared.eyp import PackageVersion

_DEFAULT = "2.0"
_WRITTEN = tuple(PackageVersion.parse(text) for text in ("2.1", "2.0", OLDER_VERSION))
_ASKED_AT_ONCE = 8
_SENDER = "/metadata/originator"


@dataclass(frozen=True)
class ChosenVersion:
    """A version to write, and why."""

    version: str
    reason: str


def with_ids(letter: LetterMetadata, former: LetterMetadata | None = None) -> LetterMetadata:
    """The letter with an id wherever one is missing; the document's own stays the former one."""
    kept = former.document_id if former is not None else None
    return letter.model_copy(
        update={
            "document_id": letter.document_id or kept or uuid4(),
            "annexes": [item.model_copy(update={"id": item.id or uuid4()}) for item in letter.annexes],
            "references": [item.model_copy(update={"id": item.id or uuid4()}) for item in letter.references],
        }
    )


async def choose_version(directory: DirectoryClient, distributions: Sequence[LetterDistribution]) -> ChosenVersion:
    """The highest version that every recipient reads by the directory; 2.0 where that is not known of one."""
    numbers = [item.recipient.detsis_no for item in distributions if isinstance(item.recipient, OrganisationParty)]
    if not numbers or len(numbers) < len(distributions):
        return ChosenVersion(_DEFAULT, "a recipient is not in the directory")
    distinct = list(dict.fromkeys(numbers))
    lowest: tuple[PackageVersion, int] | None = None
    for start in range(0, len(distinct), _ASKED_AT_ONCE):  # one unknown decides: a directory that hangs is not asked on
        batch = distinct[start : start + _ASKED_AT_ONCE]
        ceilings = await asyncio.gather(*(_ceiling(directory, number) for number in batch))
        for number, ceiling in zip(batch, ceilings, strict=True):
            if not isinstance(ceiling, PackageVersion):
                return ChosenVersion(_DEFAULT, f"what {number} reads is not known: {ceiling}")
            if lowest is None or ceiling < lowest[0]:
                lowest = (ceiling, number)
    assert lowest is not None
    version = next((item for item in _WRITTEN if item <= lowest[0]), _WRITTEN[-1])
    return ChosenVersion(str(version), f"{lowest[1]} reads up to {lowest[0]}")


async def _ceiling(directory: DirectoryClient, number: int) -> PackageVersion | str:
    """The highest version a unit reads, or why that is not known."""
    try:
        answer = await directory.eyp_versions(number)
    except DomainError as error:
        return error.code.value
    read = [found for item in answer.versions if item.absent_since is None and (found := _parsed(item.version))]
    return max(read, default=None) or "the directory names no version"


def _parsed(text: str) -> PackageVersion | None:
    try:
        return PackageVersion.parse(text)
    except ValueError:
        return None


@dataclass(frozen=True)
class Filled:
    """A letter in which nothing is left open, and what came from where."""

    letter: LetterMetadata
    values: list[FilledValue]


class Filling:
    """Fills what a letter leaves empty with the data of the letter; what the caller wrote always stays."""

    def __init__(self, data: CorrespondenceData | None, *, older: bool) -> None:
        self._data = data
        self._older = older
        self._values: list[FilledValue] = []

    def fill(
        self, letter: LetterMetadata, institution_no: int, institution_name: str, asked: CorrespondenceBody | None
    ) -> Filled:
        """The completed letter. Without data only the originator is filled, from what the operator entered."""
        distributions = self.distributions(letter)
        filled = letter.model_copy(
            update={
                "originator": self._originator(letter, institution_no, institution_name, asked),
                "distributions": [self._distribution(index, item) for index, item in enumerate(distributions)],
            }
        )
        return Filled(filled, self._values)

    def distributions(self, letter: LetterMetadata) -> list[LetterDistribution]:
        """Whom the letter goes to: those it names, else those whose data was asked for."""
        if letter.distributions or self._data is None:
            return letter.distributions
        return [
            LetterDistribution(recipient=OrganisationParty(detsis_no=item.detsis_no)) for item in self._data.recipients
        ]

    def _originator(
        self, letter: LetterMetadata, institution_no: int, name: str, asked: CorrespondenceBody | None
    ) -> object:
        party = letter.originator
        if party is None:
            unit = asked.sender_no if asked is not None and asked.sender_no != institution_no else None
            party = OrganisationParty(detsis_no=institution_no, name=name, unit_no=None if self._older else unit)
            self._note(f"{_SENDER}/name", name, None)
        if self._data is None or not isinstance(party, OrganisationParty):
            return party
        if party.detsis_no not in {institution_no, self._data.sender_no}:
            return party
        sender = self._data.sender_contact
        found = {
            "postal_address": sender.postal_address,
            "phone": sender.phone,
            "fax": sender.fax,
            "email": sender.email,
            "web_address": sender.website,
        }
        return party.model_copy(update={"contact": self._contact(f"{_SENDER}/contact", party.contact, found)})

    def _distribution(self, index: int, item: LetterDistribution) -> LetterDistribution:
        party = item.recipient
        known = self._recipient(party.detsis_no) if isinstance(party, OrganisationParty) else None
        if known is None or not isinstance(party, OrganisationParty):
            return item
        pointer = f"/metadata/distributions/{index}/recipient"
        if party.name is None and known.name is not None and (name := _fit(known.name.text)):
            party = party.model_copy(update={"name": name})
            self._note(f"{pointer}/name", name, known.name.source)
        found = {"postal_address": known.postal_address}
        for field, lines in (("phone", known.phones), ("fax", known.faxes)):
            if lines is not None and lines.values:
                found[field] = SourcedText(text=lines.values[0].value, source=lines.source)
        if known.kep_address is not None and not self._older:
            found["kep_address"] = SourcedText(text=known.kep_address.address, source=known.kep_address.source)
        contact = self._contact(f"{pointer}/contact", party.contact, found)
        return item.model_copy(update={"recipient": party.model_copy(update={"contact": contact})})

    def _contact(
        self, pointer: str, given: ContactDetails | None, found: dict[str, SourcedText | None]
    ) -> ContactDetails | None:
        added: dict[str, str] = {}
        for name, value in found.items():
            if value is None or (given is not None and getattr(given, name) is not None):
                continue
            if text := _fit(value.text, 1000 if name in {"postal_address", "web_address"} else 200):
                added[name] = text
                self._note(f"{pointer}/{name}", text, value.source)
        if not added:
            return given
        return (given or ContactDetails()).model_copy(update=added)

    def _recipient(self, number: int) -> LetterRecipient | None:
        recipients: Iterator[LetterRecipient] = iter(self._data.recipients if self._data is not None else ())
        return next((item for item in recipients if item.detsis_no == number), None)

    def _note(self, pointer: str, value: str, source: ItemSource | None) -> None:
        self._values.append(
            FilledValue(
                pointer=pointer,
                value=value,
                origin=source.origin.value if source else "gateway",
                rule=source.rule if source else "institution.name",
                as_of=source.as_of if source else None,
            )
        )


def _fit(text: str, longest: int = 1000) -> str:
    """DETSİS' text as one line."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:longest]
