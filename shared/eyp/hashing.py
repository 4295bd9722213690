"""Every part of a package read once, from front to back, for all digests that are asked for."""

from __future__ import annotations

from collections.abc import Mapping

from shared.errors import DomainError
from shared.eyp.checks.manifests import PartDigests
from shared.eyp.container import Container, part_key
from shared.eyp.digests import DigestAlgorithm, compute
from shared.eyp.findings import FindingList
from shared.eyp.model import Part
from shared.eyp.relationships import ContentTypes
from shared.eyp.rules import layout as rules


def hash_parts(
    container: Container, needed: Mapping[str, set[DigestAlgorithm]], findings: FindingList
) -> dict[str, PartDigests]:
    """The digests of all parts by part key; SHA-256 always. A part that cannot be read becomes a finding."""
    digests: dict[str, PartDigests] = {}
    for entry in container.entries:
        key = part_key(entry.name)
        try:
            with container.open_part(entry.name) as stream:
                values = compute(stream, {DigestAlgorithm.SHA256, *needed.get(key, ())})
        except DomainError as error:
            findings.add(rules.PART_UNREADABLE.found(entry.name, error.detail))
            digests[key] = PartDigests(None, {})
        else:
            digests[key] = PartDigests(values[DigestAlgorithm.SHA256].hex(), values)
    return digests


def described_parts(
    container: Container, content_types: ContentTypes, digests: Mapping[str, PartDigests]
) -> tuple[Part, ...]:
    """All parts with their declared type, size and SHA-256."""
    return tuple(
        Part(entry.name, content_types.of(entry.name), entry.size, digests[part_key(entry.name)].sha256)
        for entry in container.entries
    )
