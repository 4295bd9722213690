"""The operator's own days, out of a file (legal.md L.36)."""

from __future__ import annotations

import json
from datetime import date, time
from pathlib import Path

from shared.domain.working_days import DayKind, WorkingDays

_LARGEST_FILE = 256 * 1024


def read_overrides(file: Path | None) -> dict[date, DayKind]:
    """Days and what they are; raises ``ValueError`` for a file that cannot be used, and says why."""
    if file is None:
        return {}
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST_FILE + 1)
        if len(text) > _LARGEST_FILE:
            raise ValueError(f"larger than {_LARGEST_FILE} bytes")  # noqa: TRY301 - one way to say what is wrong
        found = json.loads(text)
        return {date.fromisoformat(day): DayKind(kind) for day, kind in found.items()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{file}: not a calendar: {error}") from error


def calendar_of(file: Path | None, day_ends: time) -> WorkingDays:
    """The calendar of this installation; raises as ``read_overrides`` does."""
    return WorkingDays(read_overrides(file), day_ends=day_ends)
