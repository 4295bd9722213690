"""Which moment an ``as_of`` means."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from shared.clock import ISTANBUL
from shared.errors import DomainError, ErrorCode, Fault

POINTER = "/query/as_of"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})")


def moment_of(text: str, now: datetime) -> datetime:
    """The moment ``text`` means: an RFC 3339 time, or a date, which stands for the end of that day in Turkey.

    Today's date means ``now``. Raises ``DomainError`` (validation-failed) for anything else, and for the future.
    """
    try:
        moment = (
            _end_of_day(date.fromisoformat(text), now) if _DAY.fullmatch(text) else _written_out(text).astimezone(UTC)
        )
    except (ValueError, OverflowError) as error:
        detail = "must be an RFC 3339 time with its zone (+ written as %2B) or a date"
        raise _refused(detail) from error
    if moment > now:
        raise _refused("lies in the future")
    return moment


def _end_of_day(day: date, now: datetime) -> datetime:
    if day == now.astimezone(ISTANBUL).date():
        return now
    following = datetime.combine(day + timedelta(days=1), time(), ISTANBUL)
    # In UTC first: on the wall clock of a zone, subtraction ignores its changes.
    return following.astimezone(UTC) - timedelta(microseconds=1)


def _written_out(text: str) -> datetime:
    if not _MOMENT.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text.upper())


def _refused(detail: str) -> DomainError:
    return DomainError(ErrorCode.VALIDATION_FAILED, f"as_of {detail}", faults=[Fault(POINTER, detail)])
