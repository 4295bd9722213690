"""Working days of Turkish public bodies (law 2429; legal.md 7 and L.36). Pure.

Public holidays and the half days before them come from the ``holidays`` library; what is decided for one place or
year (idari izin, a provincial day of liberation) from a table of the operator's. Religious holidays of years that are
not announced yet are the library's estimates, and a period that touches such a year says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

import holidays

from shared.clock import ISTANBUL

HALF_DAY_ENDS = time(13)
_ESTIMATED = "(tahmini)"
_LONGEST_PERIOD = 3660
"""Days; a table that leaves no working day in so many is a mistake."""


class DayKind(StrEnum):
    """What a calendar day is for those who work in offices."""

    WORKING = "working"
    HALF = "half"
    """Ends at 13.00: the eve of a holiday."""
    OFF = "off"


class HalfDays(StrEnum):
    """Whether half days count towards a period; the law does not say (legal.md 7)."""

    COUNT = "count"
    """The safe reading of what we owe: a half day is a working day that ends at 13.00."""
    SKIP = "skip"
    """The safe reading of what others owe us."""


@dataclass(frozen=True)
class Period:
    """A number of working days after a moment."""

    last_day: date
    ends_at: datetime
    """UTC."""
    estimated: bool
    """A religious holiday that is not announced yet may still move the end."""


class WorkingDays:
    """The calendar of one body."""

    def __init__(self, overrides: Mapping[date, DayKind] | None = None, *, day_ends: time = time(17)) -> None:
        self._overrides = dict(overrides or {})
        self._day_ends = day_ends

    def kind(self, day: date) -> DayKind:
        """What ``day`` is; the operator's table outweighs law and weekend."""
        if day in self._overrides:
            return self._overrides[day]
        if day.weekday() >= 5 or day in _public(day.year):
            return DayKind.OFF
        return DayKind.HALF if day in _half(day.year) else DayKind.WORKING

    def ends_at(self, day: date) -> datetime:
        """When work ends on ``day``, in UTC."""
        end = HALF_DAY_ENDS if self.kind(day) is DayKind.HALF else self._day_ends
        return datetime.combine(day, end, ISTANBUL).astimezone(UTC)

    def after(self, start: datetime, days: int, half_days: HalfDays) -> Period:
        """The end of the ``days``-th working day after the day on which ``start`` lies in Turkey.

        Raises ``ValueError`` when ``days`` is not positive, ``start`` has no zone, or no such day is found within ten
        years.
        """
        if days < 1 or start.tzinfo is None:
            raise ValueError("a positive number of days after a moment with a zone")
        day = start.astimezone(ISTANBUL).date()
        counted = {DayKind.WORKING} | ({DayKind.HALF} if half_days is HalfDays.COUNT else set())
        years, left = {day.year}, days
        for _ in range(_LONGEST_PERIOD):
            day += timedelta(days=1)
            years.add(day.year)
            if self.kind(day) in counted and not (left := left - 1):
                return Period(day, self.ends_at(day), any(map(is_estimated, years)))
        raise ValueError(f"no {days} working days within ten years")


def is_estimated(year: int) -> bool:
    """Whether the religious holidays of ``year`` are not announced yet."""
    return any(_ESTIMATED in name for name in (*_public(year).values(), *_half(year).values()))


@lru_cache(maxsize=64)
def _public(year: int) -> dict[date, str]:
    return dict(holidays.country_holidays("TR", years=year, categories=("public",), language="tr"))


@lru_cache(maxsize=64)
def _half(year: int) -> dict[date, str]:
    return dict(holidays.country_holidays("TR", years=year, categories=("half_day",), language="tr"))
