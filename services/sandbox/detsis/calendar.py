"""Which day it is in the register: the sandbox's date, and the days that were ordered on top of it."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta, timezone
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from services.sandbox.detsis.evolution import ChangeKind, Evolution
from services.sandbox.detsis.register import Register
from services.sandbox.pki.identity import write_private
from shared.clock import Clock

TURKISH_TIME = timezone(timedelta(hours=3))
"""Since 2016 without daylight saving."""
LATEST_DAY = 20_000


class _Kept(BaseModel):
    """What outlives a restart."""

    model_config = ConfigDict(extra="forbid")

    extra_days: int = 0
    shares: dict[int, float] = Field(default_factory=dict)
    """Day → another part of the units than usual."""


class RegisterCalendar:
    """Moves the register on when its date has come, or when days are ordered. Never back.

    Safe to use from several threads.
    """

    def __init__(
        self, register: Register, clock: Clock, *, seed: int = 0, daily_share: float = 0, file: Path | None = None
    ) -> None:
        self.register = register
        self._clock = clock
        self._file = file
        self._kept = _Kept.model_validate_json(file.read_bytes()) if file is not None and file.exists() else _Kept()
        self._evolution = Evolution(register, seed, daily_share, self._kept.shares)
        self._lock = threading.Lock()

    def is_behind(self) -> bool:
        """Whether ``catch_up`` would change anything."""
        return self.register.day < self._due_day()

    def catch_up(self) -> Counter[ChangeKind]:
        """Live the days up to the sandbox's date. May take seconds after a long jump."""
        with self._lock:
            return self._evolution.advance_to(self._due_day())

    def advance(self, days: int, share: float | None = None) -> Counter[ChangeKind]:
        """Live some days more, now. ``share`` is the part of all units that something happens to on each of them.

        Raises ``ValueError`` if that is too far.
        """
        with self._lock:
            happened = self._evolution.advance_to(self._due_day())
            today = self.register.day
            if today + days > LATEST_DAY:
                raise ValueError(f"the register ends with day {LATEST_DAY}")
            if share is not None:
                for day in range(today + 1, today + days + 1):
                    self._kept.shares[day] = share
                    self._evolution.give_share(day, share)
            self._kept.extra_days += days
            happened += self._evolution.advance_to(today + days)
            if self._file is not None:
                write_private(self._file, self._kept.model_dump_json().encode())
            return happened

    def _due_day(self) -> int:
        today = self._clock.now().astimezone(TURKISH_TIME).date()
        passed = max(0, (today - self.register.first_day).days)
        return min(LATEST_DAY, passed + self._kept.extra_days)
