"""Parts: how many, where, under which names (rules R.1 to R.20, R.80 to R.82, R.85)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from shared.eyp.checks.content import GUID
from shared.eyp.container import part_key
from shared.eyp.findings import Finding, Rule
from shared.eyp.layout import EXPECTED, OPTIONAL, Layout
from shared.eyp.model import CoreProperties, Generation, Metadata, PackageKind
from shared.eyp.rules import layout as rules
from shared.eyp.rules import wrapping as wrapping_rules
from shared.eyp.wire.names import CATEGORIES, FILE_EXTENSIONS, PACKAGE_CONTENT_TYPE, Role, place_name

_TARGETS_JUDGED_ELSEWHERE = frozenset({Role.ANNEX, Role.UNSIGNED_ANNEX, Role.INITIALS, Role.ENCRYPTED_CONTENT})
_PROVING = frozenset({Role.FINAL_DIGEST, Role.SEAL, Role.INITIALS_DIGEST, Role.INITIALS, Role.SIGNATORIES})
_FOLDER_RULES = {
    Role.COVER_LETTER: rules.COVER_LETTER_PLACE,
    Role.ANNEX: rules.ANNEX_PLACE,
    Role.UNSIGNED_ANNEX: rules.ANNEX_PLACE,
}
_WRAPPING_PLACES: dict[PackageKind, dict[Role, Rule]] = {
    PackageKind.ENCRYPTED: dict.fromkeys(wrapping_rules.ENCRYPTED_PLACES, wrapping_rules.ENCRYPTED_PLACE),
    PackageKind.UPDATE: dict.fromkeys(wrapping_rules.UPDATE_PLACES, wrapping_rules.UPDATE_PLACE),
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
            yield rules.TARGET_MISSING.found(item.target, code=_target_codes(kind).get(item.role))
        if item.role is Role.ENCRYPTED_CONTENT and layout.existing(item) is None:
            yield wrapping_rules.ENCRYPTED_CONTENT_MISSING.found(item.target)
        if item.target and any(map(str.isspace, unquote(item.target))):
            yield rules.WHITE_SPACE.found(item.target)
    for item in layout.misplaced:
        yield rules.FOREIGN_ROLE.found(item.target, item.role.value)
    if _has_initials_alone(layout, kind, generation):
        yield rules.INITIALS_ALONE.found()
    yield from _places(layout, kind, generation)
    yield from _unrelated(layout, kind, generation)


def _target_codes(kind: PackageKind) -> Mapping[Role, int]:
    """The official library's codes for missing parts; it has none for encrypted packages."""
    codes: dict[PackageKind, Mapping[Role, int]] = {
        PackageKind.PLAIN: rules.TARGET_CODES,
        PackageKind.UPDATE: wrapping_rules.COUNT_CODES,
    }
    return codes.get(kind, {})


def _has_initials_alone(layout: Layout, kind: PackageKind, generation: Generation) -> bool:
    related = (item.role for item in layout.relationships + layout.misplaced)
    return (
        (kind, generation) == (PackageKind.PLAIN, Generation.V2)
        and Role.INITIALS in related
        and not layout.of(Role.INITIALS_DIGEST)
    )


def _unrelated(layout: Layout, kind: PackageKind, generation: Generation) -> Iterator[Finding]:
    """Digest manifests do not cover relationships: without its own, an optional seal or manifest would not be looked at."""
    for role, bounds in EXPECTED.get((kind, generation), {}).items():
        if bounds == OPTIONAL and role in _PROVING and not layout.of(role):
            entry = layout.container.entry(place_name(role, generation))
            if entry is not None:
                yield rules.UNRELATED.found(entry.name, role.value)


def _counts(layout: Layout, kind: PackageKind, generation: Generation) -> Iterator[Finding]:
    expected = EXPECTED.get((kind, generation), {})
    for role, (least, most) in expected.items():
        count = len(layout.of(role))
        if least <= count and (most is None or count <= most):
            continue
        match kind:
            case PackageKind.PLAIN if role in rules.COUNT_RULES:
                # The library's code says that the part is missing, not that there are too many.
                yield rules.COUNT_RULES[role].found(value=count, coded=count == 0)
            case PackageKind.ENCRYPTED:
                yield wrapping_rules.ENCRYPTED_LAYOUT[generation].found(value=f"{role.value} = {count}")
            case PackageKind.UPDATE if role is Role.SEAL:
                yield wrapping_rules.UPDATE_SEAL_COUNT.found(value=count)
            case PackageKind.UPDATE:
                code = wrapping_rules.COUNT_CODES.get(role) if count == 0 else None
                yield wrapping_rules.UPDATE_LAYOUT.found(value=f"{role.value} = {count}", code=code)
    for role in Role:
        if role not in expected and layout.of(role):
            foreign = wrapping_rules.CLEAR_PART[generation] if kind is PackageKind.ENCRYPTED else rules.FOREIGN_ROLE
            yield foreign.found(value=role.value)


def _places(layout: Layout, kind: PackageKind, generation: Generation) -> Iterator[Finding]:
    for role, rule in (rules.PLACE_RULES | _FOLDER_RULES | _WRAPPING_PLACES.get(kind, {})).items():
        expected = place_name(role, generation)
        for item in layout.of(role):
            if item.target and not _is_at(part_key(item.target), part_key(expected)):
                yield rule.found(item.target, expected)


def _is_at(key: str, place: str) -> bool:
    return key.startswith(place) if place.endswith("/") else key == place


def check_core(
    core: CoreProperties, kind: PackageKind, metadata: Metadata | None, part: str | None
) -> Iterator[Finding]:
    """What the core properties must repeat from the letter."""
    if core.category != CATEGORIES[kind]:
        wrong = wrapping_rules.UPDATE_CATEGORY if kind is PackageKind.UPDATE else rules.CATEGORY_WRONG
        yield wrong.found(part, core.category or "")
    if kind is PackageKind.UPDATE and not GUID.fullmatch(core.identifier or ""):
        yield wrapping_rules.UPDATE_IDENTIFIER.found(part, core.identifier or "")
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
