"""What the metadata says, for reading and for writing (rules R.22 to R.44)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from shared.eyp.checks.contacts import WEB_ADDRESS, check_contact
from shared.eyp.findings import Finding
from shared.eyp.model import (
    Distribution,
    FinalMetadata,
    Generation,
    Identifier,
    LegalEntity,
    Metadata,
    Organisation,
    Party,
    Person,
    SecurityCode,
    Urgency,
)
from shared.eyp.rules import content as rules
from shared.eyp.wire.names import (
    LEGACY_SIGNATORY_ELEMENT,
    LEGACY_UNIT_ELEMENT,
    LEGAL_ENTITY_SCHEMES,
    folded_file_name,
)

GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_DETSIS_NUMBER = re.compile(r"[1-9][0-9]{7}")
_DURATION = re.compile(
    r"-?P(?=[0-9T])(?:[0-9]{1,9}Y)?(?:[0-9]{1,9}M)?(?:[0-9]{1,9}D)?"
    r"(?:T(?=[0-9])(?:[0-9]{1,9}H)?(?:[0-9]{1,9}M)?(?:[0-9]{1,9}(?:\.[0-9]{1,9})?S)?)?"
)
_FILE_PLAN = re.compile(r"[0-9]{3}(?:\.[0-9]{2}){0,3}")


def check_metadata(metadata: Metadata, generation: Generation, part: str | None = None) -> Iterator[Finding]:
    """Findings about the letter's own fields and its parties; annexes have a module of their own."""
    yield from _identity(metadata, generation, part)
    yield from _distributions(metadata, part)
    parties = [metadata.originator, *metadata.related_parties, *(item.recipient for item in metadata.distributions)]
    for party in parties:
        if party is not None:
            yield from check_party(party, part)
    yield from _classification(metadata, generation, part)
    for local_id in (
        metadata.local_id,
        *(annex.local_id for annex in metadata.annexes),
        *(reference.local_id for reference in metadata.references),
    ):
        yield from _local_id(local_id, part)


def check_final_metadata(final: FinalMetadata, part: str | None = None) -> Iterator[Finding]:
    """Number, date and at least one signatory, each with a person (R.25)."""
    if not final.document_no:
        yield rules.FINAL_INCOMPLETE.found(part, "document number")
    if final.date is None:
        yield rules.FINAL_INCOMPLETE.found(part, "date")
    if not final.signatories:
        yield rules.FINAL_INCOMPLETE.found(part, "signatories")
    yield from check_signatories(final, part)


def check_signatories(final: FinalMetadata, part: str | None = None) -> Iterator[Finding]:
    """Each signatory names a person."""
    for signatory in final.signatories:
        if signatory.person is None:
            yield rules.FINAL_INCOMPLETE.found(part, "signatory")
        if signatory.legacy_number is not None:
            yield rules.RETIRED_FIELD.found(part, LEGACY_SIGNATORY_ELEMENT)
        for person in (signatory.person, signatory.delegated_by, signatory.acting_for):
            if person is not None:
                yield from check_party(person, part)


def check_party(party: Party, part: str | None = None) -> Iterator[Finding]:
    """The numbers, names and contact details of one organisation, person or legal entity."""
    if party.contact is not None:
        yield from check_contact(party.contact, part)
    match party:
        case Organisation():
            if not _DETSIS_NUMBER.fullmatch(party.number):
                yield rules.NUMBER_INVALID.found(part, party.number)
            if party.unit_number is not None and not _DETSIS_NUMBER.fullmatch(party.unit_number):
                yield rules.UNIT_NUMBER_INVALID.found(part, party.unit_number)
            if party.legacy_unit_number is not None:
                yield rules.RETIRED_FIELD.found(part, LEGACY_UNIT_ELEMENT)
        case LegalEntity():
            if not party.identifier.value:
                yield rules.LEGAL_ID_MISSING.found(part)
            if not party.identifier.scheme:
                yield rules.LEGAL_SCHEME_MISSING.found(part)
            elif party.identifier.scheme not in LEGAL_ENTITY_SCHEMES:
                yield rules.LEGAL_SCHEME_UNKNOWN.found(part, party.identifier.scheme)
        case Person():
            if not party.name.first or not party.name.last:
                yield rules.PERSON_NAME_MISSING.found(part)
            if party.identity_number is not None and not is_identity_number(party.identity_number):
                yield rules.IDENTITY_NUMBER_INVALID.found(part)


def check_validity(metadata: Metadata, date: datetime | None, part: str | None = None) -> Iterator[Finding]:
    """The degree does not end before the letter's date, wherever the generation keeps that (R.36)."""
    until = metadata.security_code_valid_until
    if until is not None and date is not None and until < date:
        yield rules.VALIDITY_TOO_EARLY.found(part)


def is_identity_number(text: str) -> bool:
    """Whether a text is an identity number (TCKN): eleven digits with two check digits."""
    if not re.fullmatch(r"[1-9][0-9]{10}", text):
        return False
    digits = [int(digit) for digit in text]
    tenth = (sum(digits[0:9:2]) * 7 - sum(digits[1:8:2])) % 10
    return digits[9] == tenth and digits[10] == sum(digits[:10]) % 10


def check_cover_name(metadata: Metadata, cover_letter: str, part: str | None) -> Iterator[Finding]:
    """The metadata's file name is that of the cover letter's part (R.43)."""
    file_name = cover_letter.rpartition("/")[2]
    if metadata.cover_letter_file_name and folded_file_name(metadata.cover_letter_file_name) != file_name:
        yield rules.COVER_NAME_DIFFERS.found(part, metadata.cover_letter_file_name)


def _identity(metadata: Metadata, generation: Generation, part: str | None) -> Iterator[Finding]:
    if not GUID.fullmatch(metadata.document_id):
        yield rules.DOCUMENT_ID_INVALID.found(part, metadata.document_id)
    elif generation is Generation.V2 and metadata.document_id != metadata.document_id.upper():
        yield rules.DOCUMENT_ID_LOWER_CASE.found(part)
    if not metadata.subject:
        yield rules.SUBJECT_EMPTY.found(part)
    if not metadata.cover_letter_file_name:
        yield rules.COVER_NAME_EMPTY.found(part)
    if not metadata.media_type:
        yield rules.MEDIA_TYPE_EMPTY.found(part)
    numbered = (metadata.document_no is not None, metadata.date is not None)
    if generation is Generation.V1 and not all(numbered):
        yield rules.NUMBER_MISSING.found(part)
    if generation is Generation.V2 and any(numbered):
        yield rules.NUMBER_MISPLACED.found(part)
    if generation is Generation.V2:
        address = metadata.verification_address
        if not address:
            yield rules.VERIFICATION_ADDRESS_EMPTY.found(part)
        elif not WEB_ADDRESS.fullmatch(address):
            yield rules.VERIFICATION_ADDRESS_FORMAT.found(part, address)
    if metadata.language is not None and not re.fullmatch(r"[A-Za-z]{3}", metadata.language):
        yield rules.LANGUAGE_INVALID.found(part, metadata.language)
    used = Counter(
        identifier.upper()
        for identifier in (metadata.document_id, *(item.id for item in metadata.annexes + metadata.references))
        if identifier
    )
    for identifier, count in used.items():
        if count > 1:
            yield rules.IDS_NOT_UNIQUE.found(part, identifier)


def _distributions(metadata: Metadata, part: str | None) -> Iterator[Finding]:
    if not metadata.distributions:
        yield rules.DISTRIBUTION_MISSING.found(part)
    annex_ids = {annex.id.upper() for annex in metadata.annexes}
    for number, distribution in enumerate(metadata.distributions, 1):
        if distribution.recipient is None:
            yield rules.RECIPIENT_MISSING.found(part, number)
        yield from _term(distribution, part)
        if distribution.withheld_annexes is None:
            continue
        if not distribution.withheld_annexes:
            yield rules.WITHHELD_EMPTY.found(part)
        for annex_id in distribution.withheld_annexes:
            if annex_id.upper() not in annex_ids:
                yield rules.WITHHELD_UNKNOWN.found(part, annex_id)


def _term(distribution: Distribution, part: str | None) -> Iterator[Finding]:
    if distribution.term is not None:
        if not _DURATION.fullmatch(distribution.term):
            yield rules.TERM_INVALID.found(part, distribution.term)
    elif distribution.urgency is Urgency.TIMED:
        yield rules.TERM_MISSING.found(part)


def _classification(metadata: Metadata, generation: Generation, part: str | None) -> Iterator[Finding]:
    if generation is Generation.V2 and metadata.security_code is SecurityCode.CONFIDENTIAL:
        yield rules.SECURITY_CODE_RETIRED.found(part)
    yield from check_validity(metadata, metadata.date, part)
    plans = [plan for plan in (metadata.file_plan, *metadata.other_file_plans) if plan is not None]
    for plan in plans:
        if not plan.code or not plan.name:
            yield rules.FILE_PLAN_INCOMPLETE.found(part)
        elif not _FILE_PLAN.fullmatch(plan.code):
            yield rules.FILE_PLAN_FORMAT.found(part, plan.code)
    for service in metadata.service_codes:
        if service.code is None or service.code <= 0 or not service.name:
            yield rules.SERVICE_CODE_INCOMPLETE.found(part)


def _local_id(local_id: Identifier | None, part: str | None) -> Iterator[Finding]:
    if local_id is not None and not (local_id.value and local_id.scheme):
        yield rules.LOCAL_ID_INCOMPLETE.found(part)
