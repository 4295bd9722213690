"""All that DETSİS and the mirror say for one letter to its real recipients: the items a to j of EK-3/4."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.directory.freshness import Freshness
from shared.contracts.directory.resolution import ResolutionLevel, ResolutionProblem
from shared.contracts.directory.sources import AnswerSource, DirectoryWarning, ItemSource


class CorrespondenceRequest(Contract):
    """Ask for the data of one letter, once for the whole list: item d depends on all recipients together."""

    institution_no: int
    """Whose account asks."""
    sender_no: int
    """The unit that prepares the letter: the institution itself or one of its units."""
    recipient_nos: list[int] = Field(min_length=1, max_length=500)
    mode: Literal["live", "mirror"] = "live"


class SourcedText(Contract):
    """One text and why it is believed."""

    text: str
    source: ItemSource


class Letterhead(Contract):
    """Item a."""

    lines: list[str]
    source: ItemSource


class NumberUnit(Contract):
    """Item b: the unit whose number stands in the letter's reference."""

    detsis_no: int | None
    """None when ``text`` is no DETSİS number."""
    text: str
    """As DETSİS gave it."""
    source: ItemSource


class AddresseeLine(Contract):
    """Item c of the letter as a whole: its one addressee, or the line that points to the distribution list."""

    text: str
    distribution: bool
    """The letter has several recipients: each one's own line is with the recipient."""
    source: ItemSource


class ClosingKind(StrEnum):
    """What the closing phrase says; ``unknown`` when it says neither."""

    ARZ = "arz"
    RICA = "rica"
    ARZ_RICA = "arz-rica"
    UNKNOWN = "unknown"


class ClosingPhrase(Contract):
    """Item d: by the rank of the sender against all recipients of this letter."""

    text: str
    kind: ClosingKind
    source: ItemSource


class LetterSignatory(Contract):
    """One manager of the chain that may sign."""

    manager_code: int
    """The manager's own code in DETSİS; never an identity number."""
    given_name: str | None = None
    surname: str | None = None
    title: str | None = None
    acting_kind: str | None = None
    """In whose place the manager acts, as DETSİS words it; None in the manager's own right."""
    unit_no: int | None = None


class Signatories(Contract):
    """Item e."""

    people: list[LetterSignatory]
    source: ItemSource


class DistributionLine(Contract):
    """One line of the distribution list."""

    detsis_no: int | None
    """None when the line fits no recipient."""
    text: str


class DistributionList(Contract):
    """Item f. There is none in a letter to one recipient."""

    lines: list[DistributionLine]
    given_text: str | None = None
    """The list as DETSİS gave it, also when ``lines`` were built because it names other recipients or none."""
    source: ItemSource


class LetterSenderContact(Contract):
    """Item g."""

    postal_address: SourcedText | None = None
    phone: SourcedText | None = None
    fax: SourcedText | None = None
    email: SourcedText | None = None
    website: SourcedText | None = None


class LetterKepAddress(Contract):
    """Item h: the verified KEP address."""

    address: str
    kind_text: str | None = None
    """What DETSİS calls the kind of the address; its meaning is unpublished."""
    source: ItemSource


class CertificateHolder(StrEnum):
    """Whose certificate it is. ``unknown``: DETSİS does not say, and the mirror does not know this certificate."""

    OWN = "own"
    OWNER = "owner"
    UNKNOWN = "unknown"


class EncryptionCertificate(Contract):
    """Item i. Its chain is not judged here: who encrypts does."""

    der_base64: str = Field(repr=False)
    sha256: str
    holder: CertificateHolder
    holder_no: int | None = None
    """The institution it was uploaded for: the recipient, or the one whose certificate serves the recipient."""
    subject: str | None = None
    issuer: str | None = None
    serial: str | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    """None when the bytes could not be read as a certificate: do not encrypt with it."""
    source: ItemSource


class ContactLine(Contract):
    """One telephone or fax number."""

    value: str
    label: str | None = None


class ContactLines(Contract):
    """All numbers of one kind; empty when the unit is known to have none."""

    values: list[ContactLine]
    source: ItemSource


class LetterRecipient(Contract):
    """One recipient: items c, h, i and j."""

    detsis_no: int
    name: SourcedText | None = None
    addressee: SourcedText | None = None
    """Item c: as it stands in the letter, in the dative."""
    kep_address: LetterKepAddress | None = None
    encryption_certificate: EncryptionCertificate | None = None
    postal_address: SourcedText | None = None
    phones: ContactLines | None = None
    """Item j; None when nobody could say."""
    faxes: ContactLines | None = None
    problem: ResolutionProblem | None = None
    """Why it cannot be written to by KEP."""
    level: ResolutionLevel = ResolutionLevel.OK
    warnings: list[DirectoryWarning] = Field(default_factory=list)


class MissingReason(StrEnum):
    """Why an item is missing."""

    NOT_IN_ANSWER = "not-in-answer"
    """DETSİS answered and did not give it."""
    UNUSABLE = "unusable"
    """DETSİS gave something that is none."""
    ONLY_LIVE = "only-live"
    """Only DETSİS itself has it, and DETSİS was not asked or did not answer."""
    NOT_IN_MIRROR = "not-in-mirror"
    NOT_LISTED = "not-listed"
    """DETSİS lists none for the unit."""
    NOT_ANSWERED = "not-answered"
    """DETSİS did not answer the question about it, and no former answer is stored."""


class MissingItem(Contract):
    """One item the letter has to do without."""

    item: str
    """Letter of EK-3/4 and name, for example ``j.fax``."""
    detsis_no: int | None = None
    """The recipient it concerns; None for items of the letter as a whole."""
    reason: MissingReason


class CorrespondenceData(Contract):
    """The data of one letter; recipients in the order asked. What is None is named in ``missing``."""

    institution_no: int
    sender_no: int
    source: AnswerSource
    """``live``, or ``mirror`` when that was asked for or DETSİS could not be."""
    rule: str
    """``live.eYazismaPaketi``, or why the mirror answered: ``mirror.asked``, ``mirror.detsis-down``, ``mirror.no-account``."""
    freshness: Freshness
    """Of a live answer: the moment DETSİS gave it."""
    letterhead: Letterhead | None = None
    number_unit_no: NumberUnit
    addressee_line: AddresseeLine | None = None
    closing_phrase: ClosingPhrase | None = None
    signatories: Signatories | None = None
    distribution_list: DistributionList | None = None
    sender_contact: LetterSenderContact
    recipients: list[LetterRecipient]
    missing: list[MissingItem]
    warnings: list[DirectoryWarning] = Field(default_factory=list)
