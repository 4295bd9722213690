"""State of the mirror and reports of its refreshes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.directory.freshness import Freshness


class DirectoryCount(Contract):
    """How many of one kind the mirror holds."""

    kind: str
    count: int


class RefreshRun(Contract):
    """One nightly (or manual) refresh."""

    run_id: int
    institution_no: int
    trigger: Literal["nightly", "manual", "first-start"]
    state: Literal["running", "accepted", "refused", "failed"]
    started_at: datetime
    finished_at: datetime | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    reason: str | None = None


class DirectoryStatus(Contract):
    """State of the mirror."""

    freshness: Freshness
    counts: list[DirectoryCount]
    last_runs: list[RefreshRun]
