"""Moments, cursors and folding, without a database."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from services.detsis_sync.mirror import cursors
from services.detsis_sync.mirror.history import Taken, taken_back
from services.detsis_sync.mirror.moments import moment_of
from services.detsis_sync.mirror.units import merged_sightings
from shared.contracts.directory.units import UnitSighting
from shared.errors import DomainError, ErrorCode

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01t12:00:00.5z", "2026-03-01T12:00:00.500000+00:00"),
        ("2026-03-01T12:00:00+03:00", "2026-03-01T09:00:00+00:00"),
        ("2026-03-01", "2026-03-01T20:59:59.999999+00:00"),
        ("2026-03-02", NOW.isoformat()),  # today
        (NOW.isoformat(), NOW.isoformat()),
        ("2016-03-27", "2016-03-27T20:59:59.999999+00:00"),  # the night in which Turkey's clocks last went forward
        ("2015-10-25", "2015-10-25T20:59:59.999999+00:00"),
        ("2015-01-15", "2015-01-15T21:59:59.999999+00:00"),  # winter time, until 2016
    ],
)
def test_moments(text: str, moment: str) -> None:
    assert moment_of(text, NOW).isoformat() == moment


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026", "2026-3-1", "2026-02-30", "20260301", "2026-03-01T12:00:00", "2026-03-01T12:00Z",
        "2026-03-01T12:00:00 03:00", "2026-03-01T25:00:00Z", "2026-03-01T12:00:00+99:00", "2026-W09-1", "9999-12-31",
        "0000-01-01", "2026-03-03", "2026-03-02T09:30:01Z", "２０２６-03-01", "0001-01-01T00:00:00+14:00",
    ],
)  # fmt: skip
def test_what_is_no_moment_or_lies_ahead(text: str) -> None:
    with pytest.raises(DomainError) as caught:
        moment_of(text, NOW)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED
    assert [fault.pointer for fault in caught.value.faults] == ["/query/as_of"]


def test_a_cursor_leads_back_to_its_place() -> None:
    cursor = cursors.written("children", True, "a b", 10000001)
    assert cursors.place(cursor, "children", bool, str, int) == [True, "a b", 10000001]
    assert cursor.isascii()
    assert len(cursors.written("children", False, "x" * 200, 99_999_999)) < 500


@pytest.mark.parametrize(
    "cursor",
    [
        "", "=", "é", "x" * 600, cursors.written("runs", 1), cursors.written("feed", "1"), cursors.written("feed", True),
        cursors.written("feed", 1, 2), cursors.written("feed", -1), cursors.written("feed", 2**63),
        base64.urlsafe_b64encode(b"[" * 300).decode(), base64.urlsafe_b64encode(b'["feed",1e400]').decode(),
        base64.urlsafe_b64encode(b'{"feed": 1}').decode(), base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)  # fmt: skip
def test_other_cursors_are_refused(cursor: str) -> None:
    with pytest.raises(DomainError) as caught:
        cursors.place(cursor, "feed", int, pointer="/query/after")
    assert caught.value.code is ErrorCode.VALIDATION_FAILED
    assert caught.value.faults[0].pointer == "/query/after"


def test_changes_are_taken_back_newest_first() -> None:
    now = {"name": "C", "level": 3, "absent_since": None}
    later = [
        Taken("returned", {"absent_since": "2026-03-02T09:30:00+00:00", "list": "addresses"}),
        Taken("changed", {"name": "B"}),
        Taken("closed", {"name": "A", "level": 2}),
    ]
    assert taken_back(now, later) == {"name": "A", "level": 2, "absent_since": NOW}
    assert taken_back(now, later[:1]) == {"name": "C", "level": 3, "absent_since": NOW}
    assert taken_back(now, [*later, Taken("created", None)]) is None
    assert taken_back(now, []) == now
    assert now["name"] == "C", "the present row is left alone"


def test_a_unit_is_absent_from_a_list_only_if_nobody_finds_it_there() -> None:
    absent = UnitSighting(list_name="external", absent_since=NOW)
    buried = UnitSighting(list_name="external", absent_since=NOW - timedelta(days=1), tombstoned_at=NOW)
    named = UnitSighting(list_name="external")
    own = UnitSighting(list_name="own")
    assert merged_sightings([absent, named]) == [named]
    assert merged_sightings([own, absent, buried]) == [absent, own]
    assert merged_sightings([buried]) == [buried]
    assert merged_sightings([]) == []
