"""What goes wrong: processes killed at random moments, PostgreSQL restarted, providers and registers failing."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

from tests.chaos.replica import REPLICA
from tests.support.stack import Stack

VICTIMS = ("kep_relay", REPLICA, "gateway", "signer", "detsis_sync")
DATABASE = "postgresql"
FAULTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("smtp.drop_after_data", {"probability": 0.3}),
    ("smtp.drop_before_data", {"probability": 0.5}),
    ("smtp.refuse_connection", {"probability": 0.5}),
    ("smtp.tempfail", {"probability": 0.5}),
    ("smtp.delay_answer", {"probability": 0.2, "value": 3}),
    ("imap.drop", {"probability": 0.3}),
    ("imap.refuse_connection", {"probability": 0.7}),
    ("evidence.duplicate", {"probability": 0.5}),
    ("evidence.delay", {"probability": 0.5, "value": 3}),
    ("detsis.down", {}),
    ("pki.down", {}),
)
"""None of them loses or doubles a letter by itself: where the provider keeps its word, so must we."""


@dataclass
class Storm:
    """Runs in a thread of its own until it is stopped; the same seed is the same plan, not the same moments."""

    stack: Stack
    chance: random.Random
    pause: tuple[float, float] = (0.5, 3.0)
    """Seconds between two events, at least and at most."""
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name="storm", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, with everything that was stopped running and no fault in force."""
        self._stopping.set()
        self._thread.join(120)
        self.stack.clear_faults()
        self.stack.database.start()

    def _run(self) -> None:
        while not self._stopping.wait(self.chance.uniform(*self.pause)):
            kind = self.chance.choices(("kill", "fault", "calm", "database"), (6, 6, 3, 1))[0]
            if kind == "kill":
                self._kill(self.chance.choice(VICTIMS))
            elif kind == "fault":
                self._fault()
            elif kind == "calm":
                self.stack.clear_faults()
            else:
                self._restart_database()

    def _kill(self, victim: str) -> None:
        # At its work, not while it starts: on a slow machine nothing would ever get there.
        if is_ready(self.stack, victim):
            self.stack.signal(victim, signal.SIGKILL)
            self.kills[victim] += 1

    def _fault(self) -> None:
        name, order = self.chance.choice(FAULTS)
        self.stack.fault(name, **order)
        self.faults[name] += 1

    def _restart_database(self) -> None:
        self.stack.database.stop()
        time.sleep(self.chance.uniform(0.1, 1.0))
        self.stack.database.start()
        self.kills[DATABASE] += 1


def is_ready(stack: Stack, name: str) -> bool:
    """Whether a process is alive and does its work."""
    if not stack.alive(name):
        return False
    try:
        return stack.ops(name, "/readyz").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
