"""Parts: how many, where, under which names (rules R.1 to R.20, R.80 to R.85)."""

from __future__ import annotations

from collections.abc import Iterator

from shared.eyp.container import part_key
from shared.eyp.findings import Finding
from shared.eyp.layout import EXPECTED, Layout
from shared.eyp.model import CoreProperties, Generation, Metadata, PackageKind
from shared.eyp.rules import layout as rules
from shared.eyp.wire.names import CATEGORIES, FILE_EXTENSIONS, PACKAGE_CONTENT_TYPE, Role, place_name

_TARGETS_JUDGED_ELSEWHERE = frozenset({Role.ANNEX, Role.UNSIGNED_ANNEX, Role.INITIALS, Role.ENCRYPTED_CONTENT})
_FOLDER_RULES = {
    Role.COVER_LETTER: rules.COVER_LETTER_PLACE,
    Role.ANNEX: rules.ANNEX_PLACE,
    Role.UNSIGNED_ANNEX: rules.ANNEX_PLACE,
}


def check_layout(layout: Layout, kind: PackageKind, generation: Generation) -> Iterator[Finding]:
    """Counts, places, spelling and dangling pointers."""
    for fault in layout.faults:
        yield rules.RELATIONSHIPS_UNREADABLE.found(value=fault)
    yield from _counts(layout, kind, generation)
    for item in layout.relationships + layout.misplaced:
        if not item.exactly_spelled:
            yield rules.TYPE_SPELLING.found(item.target, item.type)
        if layout.existing(item) is None and item.role not in _TARGETS_JUDGED_ELSEWHERE:
            yield rules.TARGET_MISSING.found(item.target)
        if item.role is Role.ENCRYPTED_CONTENT and layout.existing(item) is None:
            yield rules.ENCRYPTED_CONTENT_MISSING.found(item.target)
        if item.target and any(character.isspace() for character in item.target.replace("%20", " ")):
            yield rules.WHITE_SPACE.found(item.target)
    for item in layout.misplaced:
        yield rules.FOREIGN_ROLE.found(item.target, item.role.value)
    yield from _places(layout, generation)


def _counts(layout: Layout, kind: PackageKind, generation: Generation) -> Iterator[Finding]:
    expected = EXPECTED.get((kind, generation), {})
    for role, (least, most) in expected.items():
        count = len(layout.of(role))
        if least <= count and (most is None or count <= most):
            continue
        match kind:
            case PackageKind.PLAIN if role in rules.COUNT_RULES:
                yield rules.COUNT_RULES[role].found(value=count)
            case PackageKind.ENCRYPTED:
                yield rules.ENCRYPTED_LAYOUT.found(value=f"{role.value} = {count}")
            case PackageKind.UPDATE:
                yield rules.UPDATE_LAYOUT.found(value=f"{role.value} = {count}")
    for role in Role:
        if role not in expected and layout.of(role):
            yield rules.FOREIGN_ROLE.found(value=role.value)


def _places(layout: Layout, generation: Generation) -> Iterator[Finding]:
    for role, rule in rules.PLACE_RULES.items():
        expected = place_name(role, generation)
        for item in layout.of(role):
            if item.target and part_key(item.target) != part_key(expected):
                yield rule.found(item.target, expected)
    for role, rule in _FOLDER_RULES.items():
        folder = place_name(role, generation)
        for item in layout.of(role):
            if item.target and not part_key(item.target).startswith(part_key(folder)):
                yield rule.found(item.target, folder)


def check_core(
    core: CoreProperties, kind: PackageKind, metadata: Metadata | None, part: str | None
) -> Iterator[Finding]:
    """What the core properties must repeat from the letter."""
    if core.category != CATEGORIES[kind]:
        yield rules.CATEGORY_WRONG.found(part, core.category or "")
    if core.content_type != PACKAGE_CONTENT_TYPE:
        yield rules.CONTENT_TYPE_WRONG.found(part, core.content_type or "")
    if not core.creator:
        yield rules.CREATOR_MISSING.found(part)
    if core.created is None and kind is not PackageKind.ENCRYPTED:
        yield rules.CREATED_MISSING.found(part)
    if metadata is not None:
        if (core.identifier or "").upper() != metadata.document_id.upper():
            yield rules.IDENTIFIER_DIFFERS.found(part)
        if (core.subject or "").split() != metadata.subject.split():
            yield rules.SUBJECT_DIFFERS.found(part)


def check_file_name(file_name: str, kind: PackageKind, metadata: Metadata | None) -> Iterator[Finding]:
    """A plain package file is named after its document id (R.19)."""
    if metadata is not None and metadata.document_id:
        expected = f"{metadata.document_id}.{FILE_EXTENSIONS[kind]}"
        if file_name.upper() != expected.upper():
            yield rules.FILE_NAME.found(value=expected)
