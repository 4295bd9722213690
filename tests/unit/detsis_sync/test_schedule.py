"""When refreshes are due: inside the nightly window of Türkiye, spread over it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.detsis_sync.refresh.schedule import next_night, retry_moment
from shared.clock import ISTANBUL

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
DELAY = timedelta(minutes=15)


@given(MOMENTS, st.integers())
def test_a_refresh_is_due_in_the_night_that_has_not_begun_yet(now: datetime, seed: int) -> None:
    due = next_night(now, random.Random(seed))
    local, here = due.astimezone(ISTANBUL), now.astimezone(ISTANBUL)
    assert time(0) <= local.time() < time(5, 30)
    assert local.date() == here.date() + timedelta(days=1)
    assert due > now
    assert due.tzinfo is UTC


def test_institutions_do_not_all_call_at_once() -> None:
    chance = random.Random(7)
    due = [next_night(datetime(2026, 3, 2, 9, tzinfo=UTC), chance) for _ in range(200)]
    hours = [moment.astimezone(ISTANBUL).hour for moment in due]
    assert {hours.count(hour) > 10 for hour in range(5)} == {True}


@pytest.mark.parametrize(
    ("now", "empty", "again"),
    [
        ("2026-03-02T22:10", False, "2026-03-02T22:25"),  # 01:10 in Türkiye
        ("2026-03-03T02:10", False, "2026-03-03T02:25"),  # 05:10
        ("2026-03-03T02:20", False, None),  # 05:35 would be too late
        ("2026-03-03T09:00", False, None),
        ("2026-03-02T20:50", False, "2026-03-02T21:05"),  # 23:50, so 00:05
        ("2026-03-03T09:00", True, "2026-03-03T09:15"),
    ],
)
def test_after_a_failure(now: str, empty: bool, again: str | None) -> None:
    expected = None if again is None else datetime.fromisoformat(f"{again}:00+00:00")
    assert retry_moment(datetime.fromisoformat(f"{now}:00+00:00"), DELAY, mirror_empty=empty) == expected
