"""The rules about accepting letters, as dated data, and the period they give (legal.md L.9, L.10, L.36, L.37). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from shared.clock import ISTANBUL
from shared.domain.working_days import HalfDays, WorkingDays

_MORNING = time(9)


@dataclass(frozen=True)
class AcceptanceRule:
    """The rule of one period of time."""

    rule: str
    """Id under which it is recorded with every letter it was applied to."""
    silence_rule: str
    """The same of what follows when nobody says anything."""
    in_force_since: date
    basis: str
    """The texts it follows from, for people."""
    basis_for_senders: str
    """The same in Turkish, as a notice of refusal names it."""
    working_days: int
    half_days: HalfDays


ACCEPTANCE = (
    AcceptanceRule(
        rule="L.9",
        silence_rule="L.10",
        in_force_since=date(2020, 7, 1),
        basis="Regulation 2646 (RG 31151) art. 30(4), (7): reasons are told by the end of the second working day; "
        "silence counts as opened and found proper",
        basis_for_senders="Resmî Yazışmalarda Uygulanacak Usul ve Esaslar Hakkında Yönetmelik (10.06.2020 tarihli ve "
        "31151 sayılı Resmî Gazete) madde 30, fıkra 4 ve 7",
        working_days=2,
        half_days=HalfDays.COUNT,
    ),
)
"""Oldest first."""


@dataclass(frozen=True)
class Deadline:
    """Until when a letter can be refused, and when to remind of it."""

    rule: AcceptanceRule
    started_at: datetime
    due_at: datetime
    last_day: date
    estimated: bool
    reminders: tuple[datetime, ...]
    """Half time and the last morning, in order; those that lie within the period."""

    def next_after(self, moment: datetime) -> datetime:
        """The first of reminders and end that is still to come after ``moment``; the end when none is."""
        return next((item for item in self.reminders if item > moment), self.due_at)


def rule_of(day: date) -> AcceptanceRule:
    """The rule in force on a day in Turkey; before the first one, that."""
    return next((item for item in reversed(ACCEPTANCE) if item.in_force_since <= day), ACCEPTANCE[0])


def deadline(started_at: datetime, calendar: WorkingDays) -> Deadline:
    """The period of a letter that was delivered at ``started_at`` (UTC)."""
    rule = rule_of(started_at.astimezone(ISTANBUL).date())
    period = calendar.after(started_at, rule.working_days, rule.half_days)
    half_time = started_at + (period.ends_at - started_at) / 2
    last_morning = datetime.combine(period.last_day, _MORNING, ISTANBUL).astimezone(UTC)
    reminders = sorted(item for item in {half_time, last_morning} if started_at < item < period.ends_at)
    return Deadline(rule, started_at, period.ends_at, period.last_day, period.estimated, tuple(reminders))
