"""What changed in the register, as rows of a feed and of one unit's history."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.directory.freshness import Freshness


class ChangeSubject(StrEnum):
    """What kind of thing changed."""

    UNIT = "unit"
    KEP_ADDRESS = "kep_address"
    CERTIFICATE = "certificate"
    CERTIFICATE_OWNER = "certificate_owner"
    EYP_VERSION = "eyp_version"
    MAIN_INSTITUTION = "main_institution"
    CODE = "code"
    PLACE = "place"


class ChangeKind(StrEnum):
    """What became of it.

    ``closed`` and ``reopened`` are said of units, whose active and operating flags decide. ``absent``: a list that
    named it does not name it any more; ``tombstoned``: the next full list does not either; ``returned``: it is named
    again. Nothing is ever deleted.
    """

    CREATED = "created"
    CHANGED = "changed"
    CLOSED = "closed"
    REOPENED = "reopened"
    ABSENT = "absent"
    RETURNED = "returned"
    TOMBSTONED = "tombstoned"


class DirectoryChange(Contract):
    """One thing that became different. Never changed afterwards, never deleted."""

    change_id: int
    """Ascending in the order in which the mirror changed."""
    snapshot_id: int
    """The refresh that found it."""
    changed_at: datetime
    """When the mirror changed. DETSİS itself keeps no dates of change: it happened there since the refresh before."""
    subject: ChangeSubject
    subject_key: str
    """The key as text: a DETSİS number, ``number address``, ``number sha256``, ``kind id`` …"""
    detsis_no: int | None = None
    """The unit it concerns, if any."""
    kind: ChangeKind
    old: dict[str, Any] | None = None
    """The fields that changed, as they were; null for something new."""
    new: dict[str, Any] | None = None
    """The same fields as they are now; all of them for something new."""


class ChangeFeed(Contract):
    """Changes of the whole register, oldest first."""

    changes: list[DirectoryChange]
    next_cursor: str
    """Where to go on; given even when there was nothing, so keep it and ask again."""
    more: bool
    """Whether there is more already."""
    freshness: Freshness


class SnapshotRef(Contract):
    """The refresh behind a change."""

    snapshot_id: int
    as_of: datetime | None
    """When its lists had been fetched."""
    published_at: datetime | None
    """When what it brought came into the mirror: later than ``as_of`` where a person had to release it."""


class UnitHistory(Contract):
    """Changes of one unit, its addresses, certificates and EYP versions, newest first."""

    detsis_no: int
    changes: list[DirectoryChange]
    snapshots: list[SnapshotRef] = Field(default_factory=list)
    """The refreshes these changes name."""
    first_snapshot_id: int
    """The refresh that brought the unit. What was so then is the baseline and no change."""
    next_cursor: str | None = None
    freshness: Freshness
