"""The period for refusing a letter, its reminders, and the operator's calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest

from services.kep_relay.acceptance.calendars import calendar_of, read_overrides
from services.kep_relay.acceptance.rules import ACCEPTANCE, deadline, rule_of
from shared.clock import ISTANBUL
from shared.domain.working_days import DayKind, WorkingDays

CALENDAR = WorkingDays()


def here(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ISTANBUL)


@pytest.mark.parametrize(
    ("delivered", "due", "reminders"),
    [
        # Friday noon: half time lies in the weekend.
        ("2026-11-20T12:00", "2026-11-24T17:00", ["2026-11-22T14:30", "2026-11-24T09:00"]),
        # The second day is the eve of a holiday and ends at 13.00.
        ("2026-03-17T10:00", "2026-03-19T13:00", ["2026-03-18T11:30", "2026-03-19T09:00"]),
        ("2026-10-28T18:00", "2026-11-02T17:00", ["2026-10-31T05:30", "2026-11-02T09:00"]),
    ],
)
def test_the_period_and_its_reminders(delivered: str, due: str, reminders: list[str]) -> None:
    found = deadline(here(delivered).astimezone(UTC), CALENDAR)
    assert (found.due_at, found.last_day) == (here(due), here(due).date())
    assert list(found.reminders) == [here(item) for item in reminders]
    assert found.next_after(found.started_at) == found.reminders[0]
    assert found.next_after(found.reminders[0]) == found.reminders[1]
    assert found.next_after(found.reminders[1]) == found.due_at
    assert found.next_after(found.due_at) == found.due_at
    assert (found.rule.rule, found.rule.silence_rule, found.estimated) == ("L.9", "L.10", False)


def test_rules_are_dated() -> None:
    assert [item.in_force_since for item in ACCEPTANCE] == sorted(item.in_force_since for item in ACCEPTANCE)
    assert rule_of(date(2030, 1, 1)) is ACCEPTANCE[-1]
    assert rule_of(date(2000, 1, 1)) is ACCEPTANCE[0]


def test_the_operators_days(tmp_path: Path) -> None:
    file = tmp_path / "days.json"
    file.write_text('{"2026-11-23": "off", "2026-11-24": "half"}')
    assert read_overrides(file) == {date(2026, 11, 23): DayKind.OFF, date(2026, 11, 24): DayKind.HALF}
    found = deadline(here("2026-11-20T12:00"), calendar_of(file, time(16)))
    assert found.due_at == here("2026-11-25T16:00")
    assert calendar_of(None, time(17)).kind(date(2026, 11, 23)) is DayKind.WORKING


@pytest.mark.parametrize(
    "content",
    ['["2026-11-23"]', '{"23.11.2026": "off"}', '{"2026-11-23": "leave"}', '{"2026-11-23": ["off"]}', "{", "[" * 100_000, " " * 300_000],
    ids=["list", "date", "kind", "value", "cut", "deep", "large"],
)  # fmt: skip
def test_a_calendar_that_cannot_be_used_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "days.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"days\.json: not a calendar"):
        read_overrides(file)
    with pytest.raises(ValueError, match="not a calendar"):
        read_overrides(tmp_path / "missing.json")
