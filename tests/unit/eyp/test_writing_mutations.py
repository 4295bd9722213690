"""Whatever is changed in a package we wrote: never a crash, and no other letter is accepted in its place."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from shared.errors import DomainError, ErrorCode
from shared.eyp import INTEROP, STRICT, Inspection, Profile, inspect
from shared.eyp.container import part_key
from tests.unit.eyp import letters, shapes
from tests.unit.eyp.mutator import mutate
from tests.unit.eyp.shapes import SHAPES

_OFTEN = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
_REFUSALS = {ErrorCode.NOT_A_PACKAGE, ErrorCode.PACKAGE_INVALID, ErrorCode.TOO_LARGE}
_SHAPES = ["2.0 annexes", "2.0 recipients", "2.1", "1.3 annexes", "1.3 recipients", "1.3 unsealed"]


@dataclass(frozen=True)
class _Original:
    parts: dict[str, bytes]
    inspection: Inspection
    signed: frozenset[str]
    """Keys of the parts the signature vouches for, its manifest included."""
    sealed: frozenset[str]
    """The same of the seal."""


@cache
def _original(shape: str) -> _Original:
    content = SHAPES[shape]().to_bytes()
    parts = letters.parts_of(content)
    sealed = any("MuhurCades" in name for name in parts)
    return _Original(
        parts,
        inspect(content, profile=STRICT),
        _covered(parts, "PaketOzeti"),
        _covered(parts, "NihaiOzet") if sealed else frozenset(),
    )


def _covered(parts: Mapping[str, bytes], schema: str) -> frozenset[str]:
    manifest = f"/{schema}/{schema}.xml"
    uris = [element.get("URI", "") for element in etree.fromstring(parts[manifest.removeprefix("/")])]
    return frozenset(map(part_key, [manifest, *uris]))


def _changed(original: _Original, parts: Mapping[str, bytes]) -> set[str]:
    """Keys of the parts that are gone or have other bytes."""
    now = {part_key(f"/{name}"): content for name, content in parts.items()}
    return {key for name, content in original.parts.items() if now.get(key := part_key(f"/{name}")) != content} | {
        key for key in now if key not in {part_key(f"/{name}") for name in original.parts}
    }


def _judged(parts: Mapping[str, bytes], profile: Profile) -> Inspection | None:
    """The inspection; None if the package is refused as a whole."""
    try:
        return inspect(letters.packed(parts, zipfile.ZIP_STORED), profile=profile)
    except DomainError as error:
        refused = error.code
    assert refused in _REFUSALS
    return None


def _may_be_missing(original: _Original, parts: Mapping[str, bytes]) -> set[str]:
    """Initials and withheld annexes may be gone, but not changed (eyp.md 3.4)."""
    there = {part_key(f"/{name}") for name in parts}
    metadata = original.inspection.metadata
    assert metadata is not None
    withheld = {annex_id for item in metadata.distributions for annex_id in item.withheld_annexes or ()}
    files = {part_key(f"/Ekler/{annex.file_name}") for annex in metadata.annexes if annex.id in withheld}
    return (files | {part_key("/Paraflar/ParafImzaCades.imz")}) - there


@pytest.mark.parametrize("profile", [STRICT, INTEROP], ids=lambda profile: profile.name)
@_OFTEN
@given(st.sampled_from(_SHAPES), st.data())
def test_one_change(profile: Profile, shape: str, data: st.DataObject) -> None:
    """One change of a covered part is fatal, whatever it is and wherever it lies."""
    original = _original(shape)
    parts = mutate(original.parts, data, 1)
    judged = _judged(parts, profile)
    touched = _changed(original, parts) & (original.signed | original.sealed) - _may_be_missing(original, parts)
    assert judged is None or not touched or not judged.acceptable, touched


@pytest.mark.parametrize("profile", [STRICT, INTEROP], ids=lambda profile: profile.name)
@_OFTEN
@given(st.sampled_from(_SHAPES), st.data())
def test_several_changes(profile: Profile, shape: str, data: st.DataObject) -> None:
    """However changes play together, what is accepted says what was signed.

    In 1.x final digest and seal may be absent, so only what the signature covers is held against it.
    """
    original = _original(shape)
    parts = mutate(original.parts, data, 4)
    judged = _judged(parts, profile)
    if judged is None or not judged.acceptable:
        return
    covered = original.signed if shape.startswith("1") else original.signed | original.sealed
    missing = _may_be_missing(original, parts)
    assert not _changed(original, parts) & covered - missing
    before = original.inspection
    assert judged.metadata == before.metadata
    assert judged.kind is before.kind
    digests = {part_key(part.name): part.sha256 for part in judged.parts}
    expected = {part_key(part.name): part.sha256 for part in before.parts}
    assert judged.cover_letter is not None
    assert before.cover_letter is not None
    assert digests[part_key(judged.cover_letter)] == expected[part_key(before.cover_letter)]
    signed = {key for name in judged.annex_parts if (key := part_key(name)).startswith("/ekler/")}
    assert signed <= covered
    if not shape.startswith("1"):
        assert judged.final_metadata == before.final_metadata
        assert judged.version == before.version


@pytest.mark.parametrize(
    ("relationships", "kind"),
    [
        ("_rels/.rels", b"nihaiozet"),
        ("_rels/.rels", b"belgeimza"),
        ("NihaiOzet/_rels/NihaiOzet.xml.rels", b"muhurcades"),
    ],
)
def test_what_proves_an_older_package_cannot_be_made_invisible(relationships: str, kind: bytes) -> None:
    """In 1.x these parts are optional: without its relationship one would not be looked at, and others change unnoticed."""
    parts = letters.parts_of(shapes.older().to_bytes())
    parts[relationships] = parts[relationships].replace(b"iliskiler/" + kind, b"iliskiler/baska")
    found = inspect(letters.packed(parts))
    assert not found.acceptable
    assert "R.17.unrelated" in {finding.key for finding in found.findings}
