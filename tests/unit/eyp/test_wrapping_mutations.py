"""Whatever is changed in encrypted and update packages: never a crash, and nothing else is accepted in their place."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import DomainError, ErrorCode
from shared.eyp import INTEROP, STRICT, Inspection, PackageKind, Profile, SecurityCode, inspect, inspect_decrypted
from tests.unit.eyp import letters, wrappers
from tests.unit.eyp.mutator import mutate

_OFTEN = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
_REFUSALS = {ErrorCode.NOT_A_PACKAGE, ErrorCode.PACKAGE_INVALID, ErrorCode.TOO_LARGE, ErrorCode.VALIDATION_FAILED}
_LETTER = letters.package(security_code=SecurityCode.SECRET)
_OLDER = wrappers.older()
_UPDATE = wrappers.update(_LETTER)
_TWICE = wrappers.update(_UPDATE)
_PROFILES = pytest.mark.parametrize("profile", [STRICT, INTEROP], ids=lambda profile: profile.name)


def _judged(parts: Mapping[str, bytes], judge: Callable[[bytes], Inspection]) -> Inspection | None:
    """The inspection if the package is acceptable."""
    try:
        found = judge(letters.packed(parts, zipfile.ZIP_STORED))
    except DomainError as error:
        refused = error.code
    else:
        return found if found.acceptable else None
    assert refused in _REFUSALS
    return None


@_PROFILES
@_OFTEN
@given(st.sampled_from([_UPDATE, _TWICE]), st.data())
def test_update(profile: Profile, content: bytes, data: st.DataObject) -> None:
    """What is accepted is the same change of the same letter under the same identifier."""
    before = inspect(content, profile=profile)
    parts = mutate(letters.parts_of(content), data, 4)
    found = _judged(parts, lambda changed: inspect(changed, profile=profile))
    if found is not None:
        assert found.kind is PackageKind.UPDATE
        assert (found.update, found.core, found.inner) == (before.update, before.core, before.inner)
        assert found.security_code is SecurityCode.UNCLASSIFIED


@_PROFILES
@_OFTEN
@given(st.data())
def test_original_inside_an_update(profile: Profile, data: st.DataObject) -> None:
    """An update may be sealed over anything; it is as good as the letter inside, no better."""
    parts = mutate(letters.parts_of(_LETTER), data, 2)
    inside = letters.packed(parts, zipfile.ZIP_STORED)
    found = inspect(wrappers.resealed(_UPDATE, OrijinalPaket=inside), profile=profile)
    own = _judged(parts, lambda changed: inspect(changed, profile=profile))
    assert found.acceptable is (own is not None and own.kind is not PackageKind.ENCRYPTED)


@_PROFILES
@_OFTEN
@given(st.sampled_from([_LETTER, _OLDER]), st.data())
def test_encrypted(profile: Profile, letter: bytes, data: st.DataObject) -> None:
    """What is accepted shows outside what the letter inside was signed and sealed with."""
    content = wrappers.encrypted(letter)
    parts = mutate(letters.parts_of(content), data, 4)
    found = _judged(parts, lambda changed: inspect_decrypted(changed, letter, profile=profile))
    if found is not None:
        assert found.kind is PackageKind.ENCRYPTED
        assert found.encrypted_content is not None
        assert found.inner == inspect(letter, profile=profile)
        copies = {name: item for name, item in letters.parts_of(content).items() if "Ozeti/" in name or "Ozet/" in name}
        kept = set(parts.values())
        assert all(item in kept for name, item in copies.items() if not name.endswith(".rels"))


@_PROFILES
@_OFTEN
@given(st.data())
def test_decrypted(profile: Profile, data: st.DataObject) -> None:
    """Another letter than the one that was wrapped is not taken for it."""
    content = wrappers.encrypted(_LETTER)
    parts = mutate(letters.parts_of(_LETTER), data, 2)
    found = inspect_decrypted(content, letters.packed(parts, zipfile.ZIP_STORED), profile=profile)
    if found.acceptable:
        assert found.letter.metadata == inspect(_LETTER).metadata
        assert found.letter.final_metadata == inspect(_LETTER).final_metadata
