"""The digest manifests against the parts (rules R.60 to R.64, R.88)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shared.eyp.container import part_key
from shared.eyp.digests import ALLOWED, RETIRED, DigestAlgorithm, algorithm_of
from shared.eyp.findings import Finding
from shared.eyp.layout import Layout
from shared.eyp.model import EntryDigest, Generation, Manifest, ManifestEntry, ManifestKind, PackageKind
from shared.eyp.rules import proof as rules
from shared.eyp.wire.names import PLACES, Role

_ANNEX_FOLDER = part_key(PLACES[Role.ANNEX].name)
_V1_CONTENT = (Role.DESTINATIONS, Role.COVER_LETTER, Role.METADATA, Role.ANNEX)
_V2_CONTENT = (Role.METADATA, Role.COVER_LETTER, Role.INITIALS_DIGEST, Role.INITIALS, Role.ANNEX)
COVERED: dict[tuple[PackageKind, Generation, ManifestKind], tuple[Role, ...]] = {
    (PackageKind.PLAIN, Generation.V1, ManifestKind.PACKAGE): _V1_CONTENT,
    (PackageKind.PLAIN, Generation.V1, ManifestKind.FINAL): (
        *_V1_CONTENT, Role.SIGNATORIES, Role.PACKAGE_DIGEST, Role.SIGNATURE, Role.CORE,
    ),
    (PackageKind.PLAIN, Generation.V2, ManifestKind.INITIALS): (Role.METADATA, Role.COVER_LETTER, Role.ANNEX),
    (PackageKind.PLAIN, Generation.V2, ManifestKind.PACKAGE): _V2_CONTENT,
    (PackageKind.PLAIN, Generation.V2, ManifestKind.FINAL): (
        *_V2_CONTENT, Role.PACKAGE_DIGEST, Role.SIGNATURE, Role.FINAL_METADATA, Role.CORE,
    ),
    (PackageKind.UPDATE, Generation.V2, ManifestKind.UPDATE): (Role.UPDATE_NOTE, Role.ORIGINAL_PACKAGE, Role.CORE),
}  # fmt: skip
"""Which parts each manifest covers; those that are in the package must be covered, others may not."""

_MISSING_CODES: dict[tuple[ManifestKind, Role], int] = {
    (ManifestKind.PACKAGE, Role.METADATA): 3,
    (ManifestKind.PACKAGE, Role.DESTINATIONS): 5,
    (ManifestKind.PACKAGE, Role.COVER_LETTER): 7,
    (ManifestKind.FINAL, Role.METADATA): 19,
    (ManifestKind.FINAL, Role.DESTINATIONS): 20,
    (ManifestKind.FINAL, Role.COVER_LETTER): 21,
    (ManifestKind.FINAL, Role.SIGNATORIES): 22,
    (ManifestKind.FINAL, Role.SIGNATURE): 23,
    (ManifestKind.FINAL, Role.CORE): 24,
    (ManifestKind.UPDATE, Role.CORE): 24,
    (ManifestKind.UPDATE, Role.UPDATE_NOTE): 34,
    (ManifestKind.UPDATE, Role.ORIGINAL_PACKAGE): 36,
    (ManifestKind.INITIALS, Role.COVER_LETTER): 26,
    (ManifestKind.INITIALS, Role.METADATA): 27,
}
_NOTHING_EXTERNAL = frozenset({ManifestKind.FINAL, ManifestKind.UPDATE})


@dataclass(frozen=True)
class PartDigests:
    """The digests computed over one part; empty when its bytes could not be read."""

    sha256: str | None
    values: Mapping[DigestAlgorithm, bytes]


@dataclass(frozen=True)
class ManifestCheck:
    """Everything one manifest is judged against."""

    kind: ManifestKind
    part: str
    generation: Generation
    layout: Layout
    covered: tuple[Role, ...]
    document_id: str | None
    """None: unknown, then the manifest's own id is not judged."""
    withheld_files: frozenset[str]
    """Keys of annex file names that may be absent."""
    digests: Mapping[str, PartDigests]
    """By part key."""


def needed_algorithms(manifests: list[Manifest]) -> dict[str, set[DigestAlgorithm]]:
    """Which digests of which parts (by key) the manifests state, so that each part is read once."""
    needed: dict[str, set[DigestAlgorithm]] = {}
    for manifest in manifests:
        for entry in manifest.entries:
            if entry.uri is not None:
                algorithms = needed.setdefault(part_key(entry.uri), set())
                algorithms.update(
                    algorithm
                    for digest in entry.digests
                    if digest.algorithm and (algorithm := algorithm_of(digest.algorithm)) is not None
                )
    return needed


def check_manifest(manifest: Manifest, check: ManifestCheck) -> Iterator[Finding]:
    """Completeness, then every entry."""
    kind = check.kind
    if check.document_id is not None and (manifest.document_id or "").upper() != check.document_id.upper():
        yield rules.ID_DIFFERS[kind].found(check.part)
    yield from check_listing(manifest, kind, check.part)
    listed = {part_key(entry.uri) for entry in manifest.entries if entry.uri and entry.internal is not False}
    allowed: set[str] = set()
    for role in check.covered:
        for item in check.layout.of(role):
            name = check.layout.existing(item)
            if item.target:
                allowed.add(part_key(item.target))
            if name is not None and part_key(name) not in listed:
                yield rules.ENTRY_MISSING[kind].found(check.part, name, _MISSING_CODES.get((kind, role)))
    seen: set[str] = set()
    for entry in manifest.entries:
        if entry.uri is None:
            yield rules.URI_EMPTY[kind].found(check.part)
            continue
        key = part_key(entry.uri)
        if key in seen:
            yield rules.ENTRY_REPEATED.found(check.part, entry.uri)
        seen.add(key)
        yield from _algorithms(entry, check)
        yield from _entry(entry, key, allowed, check)


def check_listing(manifest: Manifest, kind: ManifestKind, part: str | None) -> Iterator[Finding]:
    """The manifest lists something at all."""
    if not manifest.entries:
        yield rules.SCHEMA[kind].found(part, "Reference", rules.NO_REFERENCE)


def differing_parts(manifest: Manifest, digests: Mapping[str, PartDigests]) -> tuple[str, ...]:
    """The parts (as the manifest names them) whose bytes are there and differ from a digest of the manifest."""
    differing: dict[str, None] = {}
    for entry in manifest.entries:
        computed = digests.get(part_key(entry.uri)) if entry.uri and entry.internal is not False else None
        if entry.uri is None or computed is None:
            continue
        for digest in entry.digests:
            algorithm = algorithm_of(digest.algorithm) if digest.algorithm else None
            value = computed.values.get(algorithm) if algorithm else None
            if value is not None and value != digest.value:
                differing[entry.uri] = None
    return tuple(differing)


def _entry(entry: ManifestEntry, key: str, allowed: set[str], check: ManifestCheck) -> Iterator[Finding]:
    exists = check.layout.container.entry(entry.uri or "") is not None
    if entry.internal is False:
        if exists or check.kind in _NOTHING_EXTERNAL:
            yield rules.EXTERNAL_FORBIDDEN[check.kind].found(check.part, entry.uri)
        return
    if exists:
        if key not in allowed:
            yield rules.ENTRY_FOREIGN.found(check.part, entry.uri)
        for digest in entry.digests:
            yield from _compare(digest, key, check)
    elif Role.INITIALS in check.covered and key == _initials_key(check.layout):
        yield rules.INITIALS_STRIPPED[check.kind].found(check.part)
    elif key.startswith(_ANNEX_FOLDER) and key.rpartition("/")[2] in check.withheld_files:
        yield rules.WITHHELD[check.kind].found(check.part, entry.uri)
    else:
        yield rules.PART_MISSING[check.kind].found(check.part, entry.uri)


def _initials_key(layout: Layout) -> str:
    items = layout.of(Role.INITIALS)
    target = items[0].target if items else None
    return part_key(target or PLACES[Role.INITIALS].name)


def _compare(digest: EntryDigest, key: str, check: ManifestCheck) -> Iterator[Finding]:
    algorithm = algorithm_of(digest.algorithm) if digest.algorithm else None
    if algorithm is None:
        return
    computed = check.digests.get(key)
    value = computed.values.get(algorithm) if computed else None
    if digest.value is None:
        yield rules.SCHEMA[check.kind].found(check.part, "DigestValue")
    elif value is None:
        yield rules.NOT_COMPUTED[check.kind].found(check.part, key)
    elif value != digest.value:
        yield rules.MISMATCH[check.kind].found(check.part, key)


def _algorithms(entry: ManifestEntry, check: ManifestCheck) -> Iterator[Finding]:
    algorithms = []
    for digest in entry.digests:
        if digest.algorithm is None:
            yield rules.METHOD_MISSING[check.kind].found(check.part, entry.uri)
        elif not digest.algorithm:
            yield rules.ALGORITHM_MISSING[check.kind].found(check.part, entry.uri)
        else:
            algorithm = algorithm_of(digest.algorithm)
            if algorithm is None or algorithm not in ALLOWED[check.generation]:
                yield rules.ALGORITHM_UNSUPPORTED.found(check.part, digest.algorithm)
            elif algorithm in RETIRED:
                yield rules.ALGORITHM_RETIRED.found(check.part, digest.algorithm)
            algorithms.append(algorithm)
    if check.generation is Generation.V1:
        return
    if len(entry.digests) < 2:
        yield rules.ITEM_MISSING[check.kind].found(check.part, entry.uri, 28 + len(entry.digests))
    elif len(entry.digests) > 2:
        yield rules.SCHEMA[check.kind].found(check.part, "DigestItem")
    elif len(set(algorithms)) < len(algorithms):
        yield rules.ALGORITHMS_SAME.found(check.part, entry.uri)
    elif DigestAlgorithm.SHA512 not in algorithms:
        yield rules.SHA512_MISSING.found(check.part, entry.uri)
