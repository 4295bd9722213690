"""What may travel is decided by the degree of confidentiality in force, whatever wraps the letter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.gateway.packages import refuse_confidential
from services.gateway.schemas.packages import describe_package
from shared.errors import DomainError, ErrorCode
from shared.eyp import SecurityCode, inspect, inspect_decrypted
from tests.unit.eyp import letters, wrappers

_SECRET = letters.package(security_code=SecurityCode.SECRET)


def _update(original: bytes, degree: SecurityCode) -> bytes:
    return wrappers.update(original, replace(wrappers.CHANGE, new_degree=degree))


@pytest.mark.parametrize(
    "content",
    [
        _update(_SECRET, SecurityCode.UNCLASSIFIED),
        _update(_update(letters.package(), SecurityCode.TOP_SECRET), SecurityCode.RESTRICTED),
    ],
)
def test_a_letter_whose_degree_was_lowered_may_travel(content: bytes) -> None:
    refuse_confidential(inspect(content))


@pytest.mark.parametrize(
    "content",
    [
        _update(letters.package(), SecurityCode.SECRET),
        _update(_update(_SECRET, SecurityCode.UNCLASSIFIED), SecurityCode.TOP_SECRET),
        wrappers.resealed(_update(_SECRET, SecurityCode.UNCLASSIFIED), GuncellemeBilgisi=b"<"),
        wrappers.edited(_SECRET, "package/", letters.replacing(">RESMIYAZISMA<", ">RESMIYAZISMA/SIFRELI<")),
        wrappers.edited(_SECRET, "package/", letters.replacing(">RESMIYAZISMA<", ">RESMIYAZISMA/GUNCELLEME<")),
    ],
)
def test_what_is_secret_or_may_be_so_does_not(content: bytes) -> None:
    """A raised degree, an update nobody understands, and a secret letter under another label."""
    with pytest.raises(DomainError) as caught:
        refuse_confidential(inspect(content))
    assert caught.value.code is ErrorCode.CONFIDENTIALITY_FORBIDDEN


def test_a_decrypted_letter_counts_with_its_degree() -> None:
    with pytest.raises(DomainError):
        refuse_confidential(inspect_decrypted(wrappers.encrypted(_SECRET), _SECRET))


def test_an_inspection_is_described_level_by_level() -> None:
    """Without any verdict, and with the digest of what lies inside."""
    content = _update(_update(_SECRET, SecurityCode.RESTRICTED), SecurityCode.UNCLASSIFIED)
    answer = describe_package(inspect(content), sha256="0" * 64, size=len(content), signatures=[])
    assert answer.inner is not None
    assert answer.inner.inner is not None
    levels = [answer, answer.inner, answer.inner.inner]
    assert [level.kind for level in levels] == ["update", "update", "plain"]
    assert [level.security_code for level in levels] == ["unclassified", "restricted", "secret"]
    assert answer.inner.inner.size == len(_SECRET)
    assert all(level.conclusion is None for level in levels)
