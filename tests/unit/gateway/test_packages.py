"""What an inspection tells a client."""

from __future__ import annotations

from dataclasses import replace

from services.gateway.schemas.packages import describe_package
from shared.eyp import SecurityCode, inspect
from tests.unit.eyp import letters, wrappers


def test_an_inspection_is_described_level_by_level() -> None:
    """Without any verdict, and with the digest of what lies inside."""
    secret = letters.package(security_code=SecurityCode.SECRET)
    once = wrappers.update(secret, replace(wrappers.CHANGE, new_degree=SecurityCode.RESTRICTED))
    content = wrappers.update(once, replace(wrappers.CHANGE, new_degree=SecurityCode.UNCLASSIFIED))
    answer = describe_package(inspect(content), sha256="0" * 64, size=len(content), signatures=[])
    assert answer.inner is not None
    assert answer.inner.inner is not None
    levels = [answer, answer.inner, answer.inner.inner]
    assert [level.kind for level in levels] == ["update", "update", "plain"]
    assert [level.security_code for level in levels] == ["unclassified", "restricted", "secret"]
    assert answer.inner.inner.size == len(secret)
    assert all(level.conclusion is None for level in levels)
