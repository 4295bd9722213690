"""An inspection as JSON for programs: English keys, and the official tokens for everything coded."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from shared.eyp.findings import Finding
from shared.eyp.inspection import Inspection
from shared.eyp.model import (
    Annex,
    Distribution,
    Generation,
    LegalEntity,
    Organisation,
    Party,
    Person,
    Reference,
    SecurityCode,
    Signatory,
)
from shared.eyp.wire.names import (
    ANNEX_KINDS,
    FILE_EXTENSIONS,
    MANIFEST_SCHEMAS,
    PURPOSES,
    SECURITY_CODES,
    URGENCIES,
    token_of,
)
from shared.eyp.wire.notes import DEGREE_UPDATE

T = TypeVar("T", bound=StrEnum)
_OTHER = {Generation.V1: Generation.V2, Generation.V2: Generation.V1}


def report(inspection: Inspection) -> dict[str, Any]:
    """What ``kepgw inspect --json`` prints about a package; ``inner`` has the same shape.

    ``kind`` is the package's file extension, ``digests`` is keyed by the manifests' official names.
    Identity numbers of persons are left out.
    """
    metadata, generation = inspection.metadata, inspection.generation
    return {
        "kind": FILE_EXTENSIONS[inspection.kind],
        "version": str(inspection.version) if inspection.version else None,
        "profile": inspection.profile,
        "acceptable": inspection.acceptable,
        "package_id": inspection.document_id,
        "subject": inspection.subject,
        "document_number": inspection.document_no,
        "date": _time(inspection.final_metadata.date) if inspection.final_metadata else None,
        "confidentiality": _degree(inspection.security_code, generation),
        "originator": _party(metadata.originator) if metadata else None,
        "distribution": (
            [_distribution(item, generation) for item in metadata.distributions]
            if metadata
            else [_party(party) for party in inspection.destinations]
        ),
        "annexes": [_annex(annex) for annex in metadata.annexes] if metadata else [],
        "references": [_reference(reference) for reference in metadata.references] if metadata else [],
        "signers": [_signer(item) for item in inspection.final_metadata.signatories]
        if inspection.final_metadata
        else [],
        "signatures": [
            {"kind": item.kind.value, "part": item.part_name, "covers": item.covered_part_name}
            for item in inspection.signature_components
        ],
        "digests": {
            MANIFEST_SCHEMAS[summary.kind]: {"references": summary.references, "mismatches": list(summary.mismatches)}
            for summary in inspection.manifests
        },
        "findings": [_finding(finding) for finding in inspection.findings],
        "findings_suppressed": inspection.findings_suppressed,
        "encrypted_content": inspection.encrypted_content,
        "updates": _updates(inspection),
        "inner": report(inspection.inner) if inspection.inner else None,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "key": finding.key,
        "severity": finding.severity.value,
        "part": finding.part,
        "code": finding.code,
        "message": finding.message_en,
        "message_tr": finding.message_tr,
    }


def _updates(inspection: Inspection) -> list[dict[str, Any]]:
    if inspection.update is None:
        return []
    known = [
        {
            "kind": DEGREE_UPDATE,
            "confidentiality": _degree(change.new_degree, inspection.generation),
            "changed_at": _time(change.changed_at),
            "explanation": change.explanation,
            "decision_document_number": change.decision_document_no,
            "decision_document_id": change.decision_document_id,
        }
        for change in inspection.update.degree_changes
    ]
    return [*known, *({"kind": kind} for kind in inspection.update.unknown_kinds)]


def _distribution(item: Distribution, generation: Generation) -> dict[str, Any]:
    urgencies = URGENCIES[generation] | URGENCIES[_OTHER[generation]]
    return {
        **(_party(item.recipient) or {"kind": None, "number": None, "name": None}),
        "purpose": _token(item.purpose, PURPOSES),
        "urgency": _token(item.urgency, urgencies),
        "term": item.term,
        "withheld_annexes": list(item.withheld_annexes or ()),
    }


def _annex(annex: Annex) -> dict[str, Any]:
    return {
        "id": annex.id,
        "order": annex.order,
        "kind": _token(annex.kind, ANNEX_KINDS),
        "file_name": annex.file_name,
        "media_type": annex.media_type,
        "name": annex.name,
        "signed": annex.signed,
        "document_number": annex.document_no,
        "uri": annex.uri,
    }


def _reference(reference: Reference) -> dict[str, Any]:
    return {
        "label": reference.label,
        "id": reference.id,
        "document_number": reference.document_no,
        "date": _time(reference.date),
        "name": reference.name,
        "annex_id": reference.annex_id,
    }


def _signer(signatory: Signatory) -> dict[str, Any]:
    """As the letter states it: the certificates are the proof, not this."""
    person = signatory.person
    return {
        "name": _full_name(person) if person else None,
        "title": person.name.title if person else None,
        "duty": person.duty if person else None,
        "office": signatory.office,
        "purpose": signatory.purpose,
        "delegated_by": _full_name(signatory.delegated_by) if signatory.delegated_by else None,
        "acting_for": _full_name(signatory.acting_for) if signatory.acting_for else None,
        "signed_at": _time(signatory.signed_at),
    }


def _party(party: Party | None) -> dict[str, Any] | None:
    match party:
        case Organisation():
            return {"kind": "organisation", "number": party.number, "name": party.name}
        case Person():
            return {"kind": "person", "number": None, "name": _full_name(party)}
        case LegalEntity():
            return {"kind": "legal-entity", "number": party.identifier.value, "name": party.name}
    return None


def _full_name(person: Person) -> str:
    return " ".join(filter(None, (person.name.first, person.name.middle, person.name.last)))


def _degree(degree: SecurityCode | None, generation: Generation) -> str | None:
    return _token(degree, SECURITY_CODES[generation] | SECURITY_CODES[_OTHER[generation]])


def _token(value: T | None, tokens: dict[str, T]) -> str | None:
    return token_of(value, tokens) if value is not None else None


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
