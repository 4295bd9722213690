"""Working days against the vectors of legal.md 7, and the operator's own table."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest

from shared.clock import ISTANBUL
from shared.domain.working_days import DayKind, HalfDays, WorkingDays, is_estimated

CALENDAR = WorkingDays()


def received(day: str, at: str = "10:00") -> datetime:
    return datetime.fromisoformat(f"{day}T{at}:00").replace(tzinfo=ISTANBUL)


@pytest.mark.parametrize(
    ("day", "counted", "skipped"),
    [
        ("2026-03-17", "2026-03-19", "2026-03-23"),
        ("2026-03-18", "2026-03-23", "2026-03-24"),
        ("2026-05-22", "2026-05-26", "2026-06-01"),
        ("2026-05-25", "2026-06-01", "2026-06-02"),
        ("2026-10-27", "2026-10-30", "2026-11-02"),
        ("2026-12-31", "2027-01-05", "2027-01-05"),
        ("2026-11-21", "2026-11-24", "2026-11-24"),
    ],
)
def test_the_second_working_day(day: str, counted: str, skipped: str) -> None:
    for half_days, expected in ((HalfDays.COUNT, counted), (HalfDays.SKIP, skipped)):
        found = CALENDAR.after(received(day), 2, half_days)
        assert found.last_day == date.fromisoformat(expected)
        assert not found.estimated


@pytest.mark.parametrize(
    ("day", "kind", "ends"),
    [
        ("2026-11-20", DayKind.WORKING, "17:00"),
        ("2026-11-21", DayKind.OFF, "17:00"),
        ("2026-10-28", DayKind.HALF, "13:00"),
        ("2026-10-29", DayKind.OFF, "17:00"),
        ("2026-03-20", DayKind.OFF, "17:00"),
        ("2026-07-15", DayKind.OFF, "17:00"),
    ],
)
def test_kinds_of_days_and_when_they_end(day: str, kind: DayKind, ends: str) -> None:
    found = date.fromisoformat(day)
    assert CALENDAR.kind(found) is kind
    assert CALENDAR.ends_at(found).astimezone(ISTANBUL).time() == time.fromisoformat(ends)


def test_the_day_is_the_one_in_turkey() -> None:
    late = datetime(2026, 11, 19, 21, 30, tzinfo=UTC)  # half past midnight of the 20th, a Friday
    assert CALENDAR.after(late, 1, HalfDays.COUNT).last_day == date(2026, 11, 23)
    assert CALENDAR.after(late - timedelta(hours=1), 1, HalfDays.COUNT).last_day == date(2026, 11, 20)


def test_the_operators_table_outweighs_the_law() -> None:
    own = WorkingDays(
        {date(2026, 11, 23): DayKind.OFF, date(2026, 11, 24): DayKind.HALF, date(2026, 11, 21): DayKind.WORKING}
    )
    friday = received("2026-11-20")
    assert own.after(friday, 1, HalfDays.COUNT).last_day == date(2026, 11, 21), "a Saturday that is worked"
    found = own.after(friday, 2, HalfDays.COUNT)
    assert (found.last_day, found.ends_at.astimezone(ISTANBUL).time()) == (date(2026, 11, 24), time(13))
    assert own.after(friday, 2, HalfDays.SKIP).last_day == date(2026, 11, 25)


def test_years_that_are_not_announced_yet_are_told() -> None:
    assert not is_estimated(2026)
    assert is_estimated(2040)
    assert CALENDAR.after(received("2040-06-01"), 2, HalfDays.COUNT).estimated
    assert not CALENDAR.after(received("2027-06-01"), 2, HalfDays.COUNT).estimated


def test_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="positive"):
        CALENDAR.after(received("2026-11-20"), 0, HalfDays.COUNT)
    with pytest.raises(ValueError, match="zone"):
        CALENDAR.after(datetime(2026, 11, 20, 10), 1, HalfDays.COUNT)  # noqa: DTZ001 - that is the point
    never = WorkingDays({date(2026, 11, 20) + timedelta(days=number): DayKind.OFF for number in range(4000)})
    with pytest.raises(ValueError, match="ten years"):
        never.after(received("2026-11-19"), 1, HalfDays.COUNT)
