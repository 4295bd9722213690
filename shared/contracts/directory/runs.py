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
    """When its lists had been fetched and judged."""
    published_at: datetime | None = None
    """When what it brought came into the mirror; of a released refresh later than ``finished_at``."""
    counts: dict[str, int] = Field(default_factory=dict)
    """By list and in sum: new, changed, closed, absent, addresses opened and moved, certificates replaced …"""
    reason: str | None = None
    released_by: str | None = None
    """Who let a refused refresh through."""
    released_at: datetime | None = None
    release_note: str | None = None
    list_states: dict[str, str] = Field(default_factory=dict)
    """State of each list by its name."""
    lists: list[RefreshList] = Field(default_factory=list)
    """Empty where only the run itself is shown."""


class RefreshRuns(Contract):
    """Refreshes, newest first."""

    runs: list[RefreshRun]
    next_cursor: str | None = None
    freshness: Freshness


class RefreshRunAnswer(Contract):
    """One refresh with its lists."""

    run: RefreshRun
    freshness: Freshness


class AccountState(Contract):
    """How an institution's refreshes stand."""

    institution_no: int
    keeps_copy: bool
    next_run_at: datetime | None = None
    last_run_id: int | None = None
    """The newest refresh that is over."""
    last_state: Literal["accepted", "refused", "failed"] | None = None
    """How it ended; null before the first."""
    last_finished_at: datetime | None = None
    last_reason: str | None = None
    last_accepted_at: datetime | None = None


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
    """``all`` · ``open`` (active and operating) · ``sendable`` · ``absent`` (no list names them any more) ·
    ``tombstoned`` · ``active_kep_addresses`` · ``certificates`` (active and readable)."""
    last_runs: list[RefreshRun]
    """Newest first, with the state of each of their lists; only of institutions the caller may act for."""
    accounts: list[AccountState] = Field(default_factory=list)
    """Accounts at DETSİS by institution; only those the caller may act for."""
