"""What DETSİS lists hold, as typed English rows: the only shape the rest of the service sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.identifiers import DetsisNumber, KepAddress


@dataclass(frozen=True, slots=True)
class UnitKind:
    """One kind (school, hospital, …) of a unit; a unit has none, one or several."""

    kind_id: int
    label: str | None


@dataclass(frozen=True, slots=True)
class UnitRow:
    """One unit of the register. Texts are trimmed, with single spaces; empty text is None."""

    detsis_no: DetsisNumber
    name: str
    parent_no: DetsisNumber | None
    """May name a unit outside the list: normal at the borders of a set."""
    second_parent_no: DetsisNumber | None
    main_institution_no: DetsisNumber | None
    category_id: int
    status_id: int
    kinds: tuple[UnitKind, ...]
    """Sorted by ``kind_id``."""
    place_id: int | None
    place_name: str | None
    postal_address: str | None
    path_text: str | None
    """Display text; it can disagree with the parents and is no key."""
    level: int
    active: bool
    """False as well when the text on the wire was not understood (then ``active_text`` is set)."""
    active_text: str | None
    """The text of the active flag when it was not understood, else None. Such a unit must raise an alert."""
    operating: bool
    external_addressee: bool

    @property
    def open_to_letters(self) -> bool:
        """Active, operating and an addressee from outside; a KEP address is needed besides."""
        return self.active and self.operating and self.external_addressee


@dataclass(frozen=True, slots=True)
class KepAddressRow:
    """One KEP address of one unit. A unit can have two at once: the old one and one waiting for verification."""

    detsis_no: DetsisNumber
    """May name a unit that no other list holds."""
    address: KepAddress
    active: bool
    status_text: str | None
    """Free text of DETSİS, for people: decide on ``active``."""


@dataclass(frozen=True, slots=True)
class SenderContact:
    """Item g of the correspondence package."""

    postal_address: str | None
    phone: str | None
    fax: str | None
    email: str | None
    website: str | None


@dataclass(frozen=True, slots=True)
class PackageRecipient:
    """Items c, h, i and j for one recipient."""

    detsis_no: DetsisNumber
    addressee: str | None
    """Name as it stands in the letter, already in the dative."""
    postal_address: str | None
    kep_address: KepAddress | None
    """None when there is no verified address, or when the text is not an address (``kep_address_text``)."""
    kep_address_text: str | None
    """The text DETSİS sent when it is not an address, else None."""
    kep_kind: str | None
    encryption_certificate: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signatory:
    """Item e: one manager of the chain."""

    manager_code: int
    given_name: str | None
    surname: str | None
    title: str | None
    acting_kind: str | None
    unit_no: DetsisNumber | None


@dataclass(frozen=True, slots=True)
class CorrespondencePackage:
    """The items a–j that DETSİS gives for one letter of one sender to its real list of recipients."""

    letterhead: str | None
    """Lines separated by line feeds."""
    number_unit_text: str | None
    """The number that goes into the letter's reference, as text."""
    addressee: str | None
    closing_phrase: str | None
    """Depends on the rank of the sender against all recipients of this very list."""
    distribution_text: str | None
    sender_contact: SenderContact
    recipients: tuple[PackageRecipient, ...]
    """In no promised order, and some of the asked ones may be missing: use ``recipient``."""
    signatories: tuple[Signatory, ...]
    answered_at: datetime
    unknown_elements: Mapping[str, int]
    """Names of elements our contract does not know, with how often they stood in the answer."""

    def recipient(self, detsis_no: DetsisNumber) -> PackageRecipient | None:
        """The answer about one recipient, or None if DETSİS left it out."""
        return next((found for found in self.recipients if found.detsis_no == detsis_no), None)


@dataclass(frozen=True, slots=True)
class RowFault:
    """Why one row of a bulk list could not be translated."""

    position: int
    """Of the row in its list, from 1."""
    field: str
    """English name of the field."""
    reason: str


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What was seen in one bulk list; exists only after the whole answer was read and found complete."""

    rows: int
    """Translated rows handed out."""
    nil_items: int
    rejected_rows: int
    """Rows that could not be translated and were left out: a list of units with any must not be applied."""
    row_faults: tuple[RowFault, ...]
    """The first few of them."""
    unclear_flags: int
    """Units whose active flag was not understood."""
    repaired_characters: int
    unknown_elements: Mapping[str, int]
    bytes_read: int
    """Of the answer after decompression."""
    started_at: datetime
    finished_at: datetime
