"""State of the mirror and reports of its refreshes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.directory.freshness import Freshness

RefreshMode = Literal["full", "delta"]


class DirectoryCount(Contract):
    """How many of one kind the mirror holds."""

    kind: str
    count: int


class RefreshRowFault(Contract):
    """Why one row of a list was left out."""

    position: int
    field: str
    reason: str


class RefreshList(Contract):
    """One list of one refresh: what came, how it was judged, what it changed."""

    list_name: str
    state: Literal["staged", "applied", "refused", "failed", "skipped"]
    """``staged``: fetched whole, not published. ``skipped``: this account is not offered it."""
    started_at: datetime
    finished_at: datetime | None = None
    rows: int = 0
    """Distinct ones."""
    duplicates: int = 0
    rejected: int = 0
    """Rows that were not understood and left out; ``row_faults`` names the first."""
    nil_items: int = 0
    unclear_flags: int = 0
    repaired_characters: int = 0
    bytes_read: int = 0
    unknown_elements: dict[str, int] = Field(default_factory=dict)
    unknown_texts: dict[str, int] = Field(default_factory=dict)
    """Texts of active flags that nobody understands, and of address states never met before."""
    row_faults: list[RefreshRowFault] = Field(default_factory=list)
    changes: dict[str, int] = Field(default_factory=dict)
    reason: str | None = None


class RefreshRun(Contract):
    """One nightly (or manual) refresh."""

    run_id: int
    institution_no: int
    trigger: Literal["nightly", "manual", "first-start"]
    mode: RefreshMode = "full"
    """``delta``: units were asked for only as far as they changed; none of them can go missing by it."""
    state: Literal["running", "accepted", "refused", "failed"]
    started_at: datetime
    finished_at: datetime | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    """By list and in sum: new, changed, closed, absent, addresses opened and moved, certificates replaced …"""
    reason: str | None = None
    released_by: str | None = None
    """Who let a refused refresh through."""
    released_at: datetime | None = None
    release_note: str | None = None
    lists: list[RefreshList] = Field(default_factory=list)
    """Empty where only the run itself is shown."""


class RefreshRuns(Contract):
    """Refreshes, newest first."""

    runs: list[RefreshRun]


class RefreshOrder(Contract):
    """A refresh that a person starts. Without ``mode`` it is what the next night would be."""

    mode: RefreshMode | None = None


class ReleaseOrder(Contract):
    """A person lets a refused refresh through, having seen its report."""

    released_by: str = Field(min_length=1, max_length=200)
    note: str = Field(min_length=1, max_length=2000)


class DirectoryStatus(Contract):
    """State of the mirror."""

    freshness: Freshness
    counts: list[DirectoryCount]
    last_runs: list[RefreshRun]
