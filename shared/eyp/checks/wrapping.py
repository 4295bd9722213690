"""Packages around packages: what an update says, and whether inside and outside belong together (R.83 to R.90)."""

from __future__ import annotations

from collections.abc import Iterator

from shared.eyp.findings import Finding, Severity
from shared.eyp.inspection import Inspection
from shared.eyp.model import PackageKind, SecurityCode
from shared.eyp.notes import DegreeChange, UpdateNote
from shared.eyp.rules import content as content_rules
from shared.eyp.rules import wrapping as rules


def check_update_note(note: UpdateNote, part: str | None = None) -> Iterator[Finding]:
    """At least one change, each complete and of a kind that is known (R.86)."""
    if not note.degree_changes and not note.unknown_kinds:
        yield rules.NO_UPDATE.found(part)
    for kind in note.unknown_kinds:
        yield rules.UPDATE_KIND_UNKNOWN.found(part, kind)
    for change in note.degree_changes:
        yield from check_degree_change(change, part)
    if len({change.new_degree for change in note.degree_changes}) > 1:
        yield rules.UPDATE_CONTRADICTED.found(part)


def check_degree_change(change: DegreeChange, part: str | None = None) -> Iterator[Finding]:
    """Everything a change of degree must state; for reading and for writing."""
    for value, name in (
        (change.new_degree, "new degree"),
        (change.changed_at, "time of change"),
        (change.explanation, "explanation"),
        (change.decision_document_no, "number of the decision"),
        (change.decision_document_id, "id of the decision"),
    ):
        if not value:
            yield rules.UPDATE_INCOMPLETE.found(part, name)
    if change.new_degree is SecurityCode.CONFIDENTIAL:
        yield content_rules.SECURITY_CODE_RETIRED.found(part)


def check_original(original: Inspection, part: str | None) -> Iterator[Finding]:
    """The package an update is about: not encrypted, and valid itself (R.87, R.90)."""
    if original.kind is PackageKind.ENCRYPTED:
        yield rules.ORIGINAL_ENCRYPTED.found(part)
    if not original.acceptable:
        yield rules.ORIGINAL_INVALID.found(part, _fatal_rules(original))


def check_decrypted(outer: Inspection, inner: Inspection) -> Iterator[Finding]:
    """What came out of an encrypted package fits around it and is valid (R.83); the copies are compared elsewhere."""
    part = outer.encrypted_content
    if inner.kind is PackageKind.ENCRYPTED:
        yield rules.DECRYPTED_KIND.found(part)
    if inner.generation is not outer.generation:
        yield rules.DECRYPTED_GENERATION.found(part, f"{outer.generation.value}.x, {inner.generation.value}.x")
    if not inner.acceptable:
        yield rules.DECRYPTED_INVALID.found(part, _fatal_rules(inner))


def _fatal_rules(inspection: Inspection) -> str:
    fatal = (finding.rule for finding in inspection.findings if finding.severity is Severity.FATAL)
    return ", ".join(dict.fromkeys(fatal))
