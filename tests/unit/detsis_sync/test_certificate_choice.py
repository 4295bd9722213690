"""Which certificate serves a unit, and which package version is the higher one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.detsis_sync.mirror.certificates import refusal, usable
from services.detsis_sync.mirror.versions import ordered
from services.detsis_sync.tables import CertificateRecord
from shared.contracts.directory.certificates import CertificateRefusal

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
OWN, OWNER = 10000021, 10000002


def record(sha256: str = "a", number: int = OWN, **changed: Any) -> CertificateRecord:
    values: dict[str, Any] = {
        "detsis_no": number, "sha256": sha256, "der": b"", "active": True, "not_before": NOW - DAY,
        "not_after": NOW + DAY, "registered_at": NOW,
    }  # fmt: skip
    return CertificateRecord(**(values | changed))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, None),
        ({"active": False}, CertificateRefusal.INACTIVE),
        ({"absent_since": NOW}, CertificateRefusal.ABSENT),
        ({"unreadable": "no"}, CertificateRefusal.UNREADABLE),
        ({"not_after": None}, CertificateRefusal.UNREADABLE),
        ({"not_before": None}, CertificateRefusal.UNREADABLE),
        ({"not_after": NOW}, CertificateRefusal.EXPIRED),
        ({"not_after": NOW + timedelta(seconds=1)}, None),
        ({"not_before": NOW}, None),
        ({"not_before": NOW + timedelta(seconds=1)}, CertificateRefusal.NOT_YET_VALID),
        ({"registered_at": None}, None),
        ({"absent_since": NOW, "active": False, "not_after": NOW - DAY}, CertificateRefusal.ABSENT),
    ],
)
def test_why_one_is_not_used(changed: dict[str, Any], expected: CertificateRefusal | None) -> None:
    assert refusal(record(**changed), NOW) is expected


def test_own_before_owners_and_in_the_given_order() -> None:
    held = {
        OWN: [record("own-expired", not_after=NOW - DAY), record("own-1"), record("own-2")],
        OWNER: [record("owner-1", OWNER), record("owner-off", OWNER, active=False)],
    }
    assert [item.sha256 for item in usable(held, OWN, OWNER, NOW)] == ["own-1", "own-2", "owner-1"]
    assert [item.sha256 for item in usable(held, OWN, None, NOW)] == ["own-1", "own-2"]
    assert [item.sha256 for item in usable(held, OWN, OWN, NOW)] == ["own-1", "own-2"], "its own owner is not twice"
    assert [item.sha256 for item in usable(held, 10000099, OWNER, NOW)] == ["owner-1"]
    assert list(usable({}, OWN, OWNER, NOW)) == []


@pytest.mark.parametrize(
    ("lower", "higher"), [("1.3", "2.0"), ("1.9", "1.10"), ("1", "1.1"), ("2", "2.0.1"), ("2.0", "2.1")]
)
def test_versions_are_numbers_not_text(lower: str, higher: str) -> None:
    one, other = ordered(lower), ordered(higher)
    assert one is not None
    assert other is not None
    assert one < other


def test_two_is_two_point_zero_and_other_texts_are_no_version() -> None:
    assert ordered(" 2 ") == ordered("2.0") == (2, 0, 0)
    for text in ("", "2.x", "v2", "2.0.0.0", "12345", "-1", "²"):
        assert ordered(text) is None, text
