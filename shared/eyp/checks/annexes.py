"""Annexes and references: the metadata's list against the files (rules R.50 to R.58)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shared.eyp.checks.content import GUID
from shared.eyp.container import part_key
from shared.eyp.findings import Finding
from shared.eyp.layout import Layout
from shared.eyp.model import Annex, AnnexKind, LegalEntity, Metadata, Organisation, Party, Person
from shared.eyp.rules import content as rules
from shared.eyp.wire.names import PLACES, Role, folded_file_name

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:[^\s<>\"{}|\\^`]+|[^\s<>\"{}|\\^`:]+")
"""Absolute, or relative to a place the two sides agree on (xsd:anyURI)."""
_ALPHABET = "abcçdefgğhıijklmnoöprsştuüvyz"


@dataclass(frozen=True)
class _Place:
    role: Role
    name: str | None
    target: str | None


def check_annex_list(metadata: Metadata, part: str | None = None) -> Iterator[Finding]:
    """The annexes and references as the metadata states them."""
    orders = Counter(annex.order for annex in metadata.annexes)
    for annex in metadata.annexes:
        if not GUID.fullmatch(annex.id):
            yield rules.ANNEX_ID_INVALID.found(part, annex.id)
        if annex.order is None or annex.order < 1 or orders[annex.order] > 1:
            yield rules.ANNEX_ORDER_INVALID.found(part, annex.order if annex.order is not None else "")
        yield from _fields_by_kind(annex, part)
    yield from _references(metadata, part)


def check_annex_files(metadata: Metadata, layout: Layout, recipient: str | None) -> Iterator[Finding]:
    """Every file annex has its file and every file its annex.

    ``recipient`` is the DETSİS, identity or register number of the one who asks: annexes withheld
    from that recipient may be absent. Without it, those withheld from anyone may be.
    """
    declared = {annex.id.upper(): annex for annex in metadata.annexes}
    related: dict[str, _Place] = {}
    for role in (Role.ANNEX, Role.UNSIGNED_ANNEX):
        prefix = PLACES[role].relationship_id.upper()
        for item in layout.of(role):
            annex_id = item.id.upper().removeprefix(prefix)
            if annex_id in related:
                # A second file under one annex's id is a file that no annex declares.
                yield rules.ANNEX_UNDECLARED.found(item.target, item.id)
                continue
            related[annex_id] = _Place(role, layout.existing(item), item.target)
            annex = declared.get(annex_id) if item.id.upper().startswith(prefix) else None
            if annex is None or annex.kind is not AnnexKind.FILE:
                yield rules.ANNEX_UNDECLARED.found(item.target, item.id)
    withheld = withheld_annexes(metadata, recipient)
    for annex in metadata.annexes:
        if annex.kind is not AnnexKind.FILE:
            continue
        place = related.get(annex.id.upper())
        if place is None or place.name is None:
            target = place.target if place else None
            rule = rules.ANNEX_WITHHELD if annex.id.upper() in withheld else rules.ANNEX_FILE_MISSING
            yield rule.found(target, annex.file_name or annex.id)
            continue
        if annex.signed is not None and annex.signed is not (place.role is Role.ANNEX):
            yield rules.ANNEX_SIGNED_MISPLACED.found(place.name, annex.file_name or annex.id)
    yield from _names(declared, related)


def _names(declared: Mapping[str, Annex], related: Mapping[str, _Place]) -> Iterator[Finding]:
    """The file under each annex is the one meant.

    Digests prove what bytes a part name has, and the signed metadata which file name an annex has; the
    relationship between the two is proved by nothing. So a name tells which file is meant if any file has it. If
    none has, one annex and one file are left for each other; of several nobody can tell.
    """
    served = {
        (place.role, _file_key(place.name)): declared[annex_id]
        for annex_id, place in related.items()
        if place.name is not None and annex_id in declared
    }
    differing = [
        (annex, place)
        for annex_id, place in related.items()
        if (annex := declared.get(annex_id)) is not None
        and place.name is not None
        and annex.file_name
        and _wanted_key(annex) != _file_key(place.name)
    ]
    unproven = Counter(place.role for _, place in differing)
    for annex, place in differing:
        meant = served.get((place.role, _wanted_key(annex)))
        if meant is not None and _wanted_key(meant) != _wanted_key(annex):
            rule = rules.ANNEX_SWAPPED
        else:
            rule = rules.ANNEX_UNPROVEN if unproven[place.role] > 1 else rules.ANNEX_NAME_DIFFERS
        yield rule.found(place.name, annex.file_name)


def _wanted_key(annex: Annex) -> str:
    return part_key(folded_file_name(annex.file_name or ""))


def _file_key(part_name: str) -> str:
    return part_key(part_name).rpartition("/")[2]


def withheld_annexes(metadata: Metadata, recipient: str | None) -> frozenset[str]:
    """Ids (upper case) of the annexes withheld from a recipient, or from anyone when none is named."""
    return frozenset(
        annex_id.upper()
        for distribution in metadata.distributions
        if recipient is None or _is_party(distribution.recipient, recipient)
        for annex_id in distribution.withheld_annexes or ()
    )


def withheld_files(metadata: Metadata | None, recipient: str | None) -> frozenset[str]:
    """Keys of the file names that withheld annexes have in the package."""
    if metadata is None:
        return frozenset()
    withheld = withheld_annexes(metadata, recipient)
    return frozenset(
        part_key(folded_file_name(annex.file_name))
        for annex in metadata.annexes
        if annex.file_name and annex.id.upper() in withheld
    )


def _is_party(party: Party | None, number: str) -> bool:
    match party:
        case Organisation():
            return number in (party.number, party.unit_number)
        case Person():
            return number == party.identity_number
        case LegalEntity():
            return number == party.identifier.value
    return False


def _fields_by_kind(annex: Annex, part: str | None) -> Iterator[Finding]:
    label = annex.name or annex.id
    if annex.kind is AnnexKind.FILE:
        if not annex.file_name:
            yield rules.ANNEX_FILE_NAME_MISSING.found(part, label)
        if not annex.media_type:
            yield rules.ANNEX_MEDIA_TYPE_MISSING.found(part, label)
        return
    if annex.signed:
        yield rules.ANNEX_CANNOT_BE_SIGNED.found(part, label)
    if annex.kind is AnnexKind.EXTERNAL:
        if not annex.uri:
            yield rules.ANNEX_URI_MISSING.found(part, label)
        elif not _URI.fullmatch(annex.uri):
            yield rules.ANNEX_URI_FORMAT.found(part, annex.uri)
        if annex.digest is not None and not (annex.digest.algorithm and annex.digest.value):
            yield rules.ANNEX_DIGEST_INCOMPLETE.found(part, label)


def _references(metadata: Metadata, part: str | None) -> Iterator[Finding]:
    labels = Counter(reference.label for reference in metadata.references)
    annex_ids = {annex.id.upper() for annex in metadata.annexes}
    positions = []
    for reference in metadata.references:
        if not reference.id or not reference.label:
            yield rules.REFERENCE_INCOMPLETE.found(part)
        elif labels[reference.label] > 1:
            yield rules.REFERENCE_LABEL_REPEATED.found(part, reference.label)
        if reference.annex_id is not None and reference.annex_id.upper() not in annex_ids:
            yield rules.REFERENCE_ANNEX_UNKNOWN.found(part, reference.annex_id)
        positions.append(_ALPHABET.find(reference.label) if len(reference.label) == 1 else -1)
    if positions and (positions[0] != 0 or positions != sorted(positions) or -1 in positions):
        yield rules.REFERENCE_LABEL_FORM.found(part, ", ".join(reference.label for reference in metadata.references))
