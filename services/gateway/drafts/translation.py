"""From what clients write to the model of the codec, without judging it: the codec's rules do."""

from __future__ import annotations

from uuid import UUID

from services.gateway.schemas.drafts import FinalMetadataBody, PackageUpdateBody
from services.gateway.schemas.letters import (
    ContactDetails,
    FilePlanEntry,
    LegalEntityParty,
    LetterAnnex,
    LetterDistribution,
    LetterMetadata,
    LetterReference,
    OrganisationParty,
    PersonParty,
    RegisteredId,
)
from shared.eyp import (
    Annex,
    AnnexDigest,
    AnnexKind,
    Contact,
    DegreeChange,
    Distribution,
    FilePlanCode,
    FinalMetadata,
    Identifier,
    LegalEntity,
    Metadata,
    Organisation,
    Party,
    Person,
    PersonName,
    Reference,
    ServiceCode,
    Signatory,
)


def metadata_of(letter: LetterMetadata) -> Metadata:
    """The metadata of a completed letter: every id is there."""
    return Metadata(
        document_id=written_id(letter.document_id) or "",
        subject=letter.subject,
        security_code=letter.security_code,
        security_code_valid_until=letter.security_code_valid_until,
        originator=party_of(letter.originator) if letter.originator else None,
        distributions=tuple(_distribution(item) for item in letter.distributions),
        cover_letter_file_name=letter.cover_letter.file_name,
        media_type=letter.cover_letter.media_type,
        verification_address=letter.verification_address,
        annexes=tuple(_annex(item, order) for order, item in enumerate(letter.annexes, 1)),
        references=tuple(_reference(item) for item in letter.references),
        related_parties=tuple(party_of(item) for item in letter.related_parties),
        language=letter.language,
        local_id=_identifier(letter.local_id),
        file_plan=_file_plan(letter.file_plan) if letter.file_plan else None,
        other_file_plans=tuple(_file_plan(item) for item in letter.other_file_plans),
        service_codes=tuple(ServiceCode(item.code, item.name, item.definition) for item in letter.service_codes),
        document_no=letter.document_no,
        date=letter.date,
    )


def final_of(body: FinalMetadataBody) -> FinalMetadata:
    """Number, date and signatories."""
    signatories = tuple(
        Signatory(
            person=person_of(item.person),
            delegated_by=person_of(item.delegated_by) if item.delegated_by else None,
            acting_for=person_of(item.acting_for) if item.acting_for else None,
            office=item.office,
            purpose=item.purpose,
            note=item.note,
            signed_at=item.signed_at,
        )
        for item in body.signatories
    )
    return FinalMetadata(body.document_no, body.date, signatories)


def change_of(body: PackageUpdateBody) -> DegreeChange:
    """What an update package changes."""
    return DegreeChange(
        new_degree=body.new_degree,
        changed_at=body.changed_at,
        explanation=body.explanation,
        decision_document_no=body.decision_document_no,
        decision_document_id=written_id(body.decision_document_id),
    )


def party_of(party: OrganisationParty | PersonParty | LegalEntityParty) -> Party:
    """One sender, recipient or related party."""
    if isinstance(party, OrganisationParty):
        unit = str(party.unit_no) if party.unit_no is not None else None
        return Organisation(str(party.detsis_no), party.name, unit, _contact(party.contact))
    if isinstance(party, PersonParty):
        return person_of(party)
    identifier = Identifier(party.identifier.value, party.identifier.scheme)
    return LegalEntity(identifier, party.name, _contact(party.contact))


def person_of(person: PersonParty) -> Person:
    """A natural person."""
    name = PersonName(person.first_name, person.last_name, person.middle_name, person.title, person.prefix)
    return Person(name, person.identity_number, person.duty, _contact(person.contact))


def written_id(value: UUID | None) -> str | None:
    """An id as packages write it, in upper case (R.22)."""
    return str(value).upper() if value is not None else None


def _contact(contact: ContactDetails | None) -> Contact | None:
    return Contact(**contact.model_dump()) if contact is not None else None


def _identifier(identifier: RegisteredId | None) -> Identifier | None:
    return Identifier(identifier.value, identifier.scheme) if identifier is not None else None


def _file_plan(entry: FilePlanEntry) -> FilePlanCode:
    return FilePlanCode(entry.code, entry.name, entry.description)


def _distribution(item: LetterDistribution) -> Distribution:
    withheld = tuple(str(annex_id).upper() for annex_id in item.withheld_annexes) or None
    return Distribution(party_of(item.recipient), item.urgency, item.purpose, item.term, withheld)


def _annex(item: LetterAnnex, order: int) -> Annex:
    file = item.kind is AnnexKind.FILE
    return Annex(
        id=written_id(item.id) or "",
        kind=item.kind,
        order=order,
        file_name=item.file_name,
        media_type=item.media_type,
        name=item.name,
        description=item.description,
        document_no=item.document_no,
        uri=item.uri,
        local_id=_identifier(item.local_id),
        signed=item.signed if item.signed is not None or not file else True,
        digest=AnnexDigest(item.digest.algorithm, item.digest.value) if item.digest is not None else None,
        is_document_id=item.is_document_id,
    )


def _reference(item: LetterReference) -> Reference:
    return Reference(
        id=written_id(item.id) or "",
        label=item.label,
        name=item.name,
        document_no=item.document_no,
        date=item.date,
        annex_id=written_id(item.annex_id),
        description=item.description,
        local_id=_identifier(item.local_id),
        is_document_id=item.is_document_id,
    )
