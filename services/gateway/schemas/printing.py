"""Prints as clients ask for them and see them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from services.gateway.printing.orders import Obstacle, Position
from services.gateway.printing.profiles import ProfileName, StampText
from services.gateway.schemas.text import Body, Line, Moment, StrictDetsisNo
from shared.domain.verdict import Conclusion

AuthorisationName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
_Short = Annotated[Line, Field(min_length=1, max_length=200)]
_RegisterNo = Annotated[Line, Field(min_length=1, max_length=100)]


class PrintAuthorisationBody(Body):
    """The decision by which somebody may make official prints (L.17)."""

    name: _Short
    """First name and surname, as they go onto stamp and cover sheet."""
    title: _Short
    document_no: _Short
    """Number of the document that authorises."""
    authorised_on: date
    """Its date."""
    valid_from: date
    valid_until: date | None = None
    """The last day; open unless given."""
    scope: Annotated[Line, Field(min_length=1, max_length=500)]
    """What the decision covers, in its own words; shown and kept, not judged."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise ValueError("valid_until must not be before valid_from")
        return self


class PrintAuthorisationAnswer(PrintAuthorisationBody):
    """An authorisation as stored."""

    institution_no: int
    authorisation_id: str
    created_at: datetime
    updated_at: datetime


class PrintOptions(Body):
    """How a letter is to be printed."""

    profile: ProfileName | None = None
    """The institution's own unless given. `none` is a working copy, and what every letter gets whose verdict is not `passed`."""
    annexes: bool = False
    """Print those annexes, too, that have pages: PDF, JPEG, PNG, TIFF and plain text."""
    cover_sheet: bool = False
    """Add a sheet, after everything else, that is not part of the document: verdict, signer, transport, digests, copy number."""
    purpose: _Short | None = None
    """What the copy is for."""
    authorisation: AuthorisationName | None = None
    """Whose authorisation an official print is made under."""
    printed_by: _Short | None = None
    """Who prints, when no authorisation says it."""
    printed_by_title: _Short | None = None
    stamp: StampText | None = None
    """Which wording a stamp of P-2015 carries; `electronic-original` unless given."""
    register_no: _RegisterNo | None = None
    """Of an incoming letter the registry number of its acknowledgement, unless given."""
    registered_at: Moment | None = None
    """Of an incoming letter the time of its acknowledgement, unless given."""
    file_code: Annotated[Line, Field(min_length=1, max_length=100)] | None = None
    """Code of the file plan on the label; the letter's own unless given."""
    unit: _Short | None = None
    """The unit on the label."""
    label_position: Position = Position.AUTO
    """Corner of the first page, or `back`. Without room there the label goes onto a page behind the first one."""
    evidence_id: _Short | None = None
    """Of the delivery evidence, for the cover sheet; as the caller states it."""
    evidence_at: Moment | None = None


class PrintBody(PrintOptions):
    """How a letter that is kept elsewhere is to be printed, and what is known of its way here."""

    institution_no: StrictDetsisNo | None = None
    """For whom; may be left out when the API key is bound to one institution only."""
    kep_message_id: Annotated[Line, Field(min_length=1, max_length=500)] | None = None
    """For the cover sheet; as the caller states it."""
    sender_address: Annotated[Line, Field(min_length=1, max_length=320)] | None = None
    """The KEP address it came from; as the caller states it."""


class LeftOutAnnex(Body):
    """An annex the print does not contain."""

    name: str
    reason: Obstacle


class PrinterAnswer(Body):
    """Who printed, as it stood on record that day."""

    authorisation: str | None
    name: str | None
    title: str | None
    document_no: str | None
    """Of the document that authorised."""
    authorised_on: date | None


class PrintRecord(Body):
    """One print that was handed out (L.21)."""

    print_id: UUID
    institution_no: int
    at: datetime
    client_id: str
    key_id: str
    message_id: UUID | None
    """Of the incoming letter; null for a package kept elsewhere."""
    document_id: str | None
    document_no: str | None
    package_sha256: str
    letter_sha256: str
    """Of the cover letter inside the package."""
    print_sha256: str
    print_size: int
    """In bytes."""
    pages: int
    profile: ProfileName
    profile_edition: date
    """From when on this form of the profile is in force."""
    rules: list[str]
    """Ids of the rules it applies."""
    copy_number: int
    """Of this cover letter, for this institution."""
    purpose: str | None
    printer: PrinterAnswer
    conclusion: Conclusion | None
    """The verdict it was made under; null: there was none yet."""
    verified_at: datetime | None
    register_no: str | None
    label_position: Position | None
    codes: int
    """QR and bar codes read on the letter."""
    left_out: list[LeftOutAnnex]


class PrintPage(Body):
    """Prints, newest first."""

    prints: list[PrintRecord]
    next_cursor: str | None = None
