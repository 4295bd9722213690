"""What a letter says, as a client writes it; ``drafts.translation`` makes ``shared.eyp.model`` of it (eyp.md 2)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import Base64Bytes, Field

from services.gateway.schemas.text import Body, Line, Moment, StrictDetsisNo
from shared.eyp import AnnexKind, Purpose, SecurityCode, Urgency

Short: TypeAlias = Annotated[Line, Field(min_length=1, max_length=200)]
Text: TypeAlias = Annotated[Line, Field(min_length=1, max_length=1000)]
FileName: TypeAlias = Annotated[Line, Field(min_length=1, max_length=255)]
MediaType: TypeAlias = Annotated[
    Line, Field(max_length=255, pattern=r"^[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}$")
]


class RegisteredId(Body):
    """A value of some register, or of the caller's own system."""

    value: Short
    scheme: Short | None = None
    """Names the register; of a legal entity one of MERSIS, VBYS, DERBIS, PARBIS, SENBIS."""


class ContactDetails(Body):
    """Where a party is reached."""

    phone: Short | None = None
    other_phone: Short | None = None
    email: Short | None = None
    kep_address: Short | None = None
    fax: Short | None = None
    web_address: Text | None = None
    postal_address: Text | None = None
    province: Short | None = None
    district: Short | None = None
    country: Short | None = None


class OrganisationParty(Body):
    """A public body."""

    kind: Literal["organisation"] = "organisation"
    detsis_no: StrictDetsisNo
    name: Text | None = None
    unit_no: StrictDetsisNo | None = None
    """DETSİS number of the unit inside it; 2.x only."""
    contact: ContactDetails | None = None


class PersonParty(Body):
    """A natural person."""

    kind: Literal["person"] = "person"
    first_name: Short
    last_name: Short
    middle_name: Short | None = None
    title: Short | None = None
    prefix: Short | None = None
    identity_number: Annotated[str, Field(pattern=r"^[1-9][0-9]{10}$")] | None = Field(default=None, repr=False)
    """TCKN; goes into the package and into no answer."""
    duty: Short | None = None
    contact: ContactDetails | None = None


class LegalEntityParty(Body):
    """A company or other body outside the state organisation."""

    kind: Literal["legal-entity"] = "legal-entity"
    identifier: RegisteredId
    name: Text | None = None
    contact: ContactDetails | None = None


PartyDetails: TypeAlias = Annotated[OrganisationParty | PersonParty | LegalEntityParty, Field(discriminator="kind")]


class LetterDistribution(Body):
    """One recipient and what is asked of it."""

    recipient: PartyDetails
    urgency: Urgency = Urgency.NORMAL
    purpose: Purpose = Purpose.ACTION
    term: Annotated[str, Field(max_length=100, pattern=r"^P[0-9A-Z.]+$")] | None = None
    """An xsd:duration such as ``P3D``; required with urgency ``timed``."""
    withheld_annexes: list[UUID] = Field(default_factory=list, max_length=500)
    """Ids of the annexes this recipient does not get."""


class DigestOfAnnex(Body):
    """Digest of an annex that lies elsewhere."""

    algorithm: Text
    """URI of the algorithm, for example ``http://www.w3.org/2001/04/xmlenc#sha256``."""
    value: Annotated[Base64Bytes, Field(max_length=200)]


class LetterAnnex(Body):
    """One annex: a ``file`` that goes into the package, an ``external`` or a ``physical`` one."""

    kind: AnnexKind
    id: UUID | None = None
    """Made when absent; needed to withhold the annex from a recipient or to refer to it."""
    file_name: FileName | None = None
    """Of a file: required."""
    media_type: MediaType | None = None
    """Of a file: required."""
    signed: bool | None = None
    """Of a file: whether the signature covers it; true unless given."""
    name: Text | None = None
    description: Text | None = None
    document_no: Short | None = None
    uri: Text | None = None
    """Of an external annex: where it lies."""
    digest: DigestOfAnnex | None = None
    """Of an external annex."""
    local_id: RegisteredId | None = None
    is_document_id: bool = False
    """``id`` is the document id of another e-Yazışma letter."""


class LetterReference(Body):
    """An earlier document this letter refers to (ilgi)."""

    id: UUID | None = None
    """Made when absent."""
    label: Annotated[Line, Field(min_length=1, max_length=3)]
    """``a``, ``b``, ``c``, ``ç`` … in order."""
    name: Text | None = None
    document_no: Short | None = None
    date: Moment | None = None
    annex_id: UUID | None = None
    """The annex of this letter that is the document."""
    description: Text | None = None
    local_id: RegisteredId | None = None
    is_document_id: bool = False


class FilePlanEntry(Body):
    """A code of the standard file plan."""

    code: Short
    name: Text
    description: Text | None = None


class ServiceEntry(Body):
    """A code of the state's service inventory (HEYS)."""

    code: Annotated[int, Field(ge=0, le=2_147_483_647, strict=True)] | None = None
    name: Text
    definition: Text | None = None


class CoverLetter(Body):
    """The file of the letter itself."""

    file_name: FileName = "ustyazi.pdf"
    media_type: MediaType = "application/pdf"


class LetterMetadata(Body):
    """What the letter says (üstveri); the file names are folded as the guide asks."""

    subject: Annotated[Line, Field(min_length=1, max_length=500)]
    document_id: UUID | None = None
    """Made when absent, once."""
    security_code: SecurityCode
    security_code_valid_until: Moment | None = None
    cover_letter: CoverLetter = Field(default_factory=CoverLetter)
    originator: PartyDetails | None = None
    """Taken from ``correspondence`` when absent."""
    distributions: list[LetterDistribution] = Field(default_factory=list, max_length=500)
    """Taken from ``correspondence`` when empty: each recipient for action."""
    annexes: list[LetterAnnex] = Field(default_factory=list, max_length=500)
    """In their order."""
    references: list[LetterReference] = Field(default_factory=list, max_length=29)
    related_parties: list[PartyDetails] = Field(default_factory=list, max_length=100)
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{3}$")] | None = "tur"
    verification_address: Text | None = None
    """Where the letter can be verified; required in 2.x, unknown in 1.3."""
    local_id: RegisteredId | None = None
    file_plan: FilePlanEntry | None = None
    other_file_plans: list[FilePlanEntry] = Field(default_factory=list, max_length=50)
    service_codes: list[ServiceEntry] = Field(default_factory=list, max_length=50)
    document_no: Short | None = None
    """Only in 1.3, where number and date are signed; in 2.x they come with the final metadata."""
    date: Moment | None = None
    """Only in 1.3."""


class LetterSignature(Body):
    """Who signed, as the sender states it; the certificate is the proof, not this."""

    person: PersonParty
    delegated_by: PersonParty | None = None
    acting_for: PersonParty | None = None
    office: Text | None = None
    purpose: Text | None = None
    note: Text | None = None
    signed_at: Moment | None = None
