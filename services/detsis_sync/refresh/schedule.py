"""When each account's nightly refresh is due: a random minute inside 00:00–06:00 Turkish time (EK-3/2)."""

from __future__ import annotations

import random
from datetime import datetime, time, timedelta

from shared.clock import ISTANBUL

WINDOW_MINUTES = 5 * 60 + 30
"""The last start leaves half an hour for the refresh itself."""


def retry_moment(now: datetime, delay: timedelta, *, mirror_empty: bool) -> datetime | None:
    """When to try again after DETSİS could not be reached; None when that has to wait for the next night.

    With nothing to fall back on, the window does not matter.
    """
    moment = now + delay
    minute = moment.astimezone(ISTANBUL).hour * 60 + moment.astimezone(ISTANBUL).minute
    return moment if mirror_empty or minute < WINDOW_MINUTES else None


def next_night(now: datetime, chance: random.Random) -> datetime:
    """A moment in the next window that has not begun yet (UTC).

    Random, so that the institutions of the country do not all call DETSİS at midnight.
    """
    local = now.astimezone(ISTANBUL)
    start = datetime.combine(local.date() + timedelta(days=1), time(0), ISTANBUL)
    return (start + timedelta(seconds=chance.randrange(WINDOW_MINUTES * 60))).astimezone(now.tzinfo)
