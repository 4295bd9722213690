"""What was seen in one bulk list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RowFault:
    """Why one row of a bulk list could not be translated."""

    position: int
    """Of the row in its list, from 1."""
    field: str
    """English name of the field."""
    reason: str


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What was seen in one bulk list; exists only after the whole answer was read and found complete."""

    rows: int
    """Translated rows handed out."""
    nil_items: int
    rejected_rows: int
    """Rows that could not be translated and were left out: a list of units with any must not be applied."""
    row_faults: tuple[RowFault, ...]
    """The first few of them."""
    unclear_flags: int
    """Units whose active flag was not understood."""
    repaired_characters: int
    unknown_elements: Mapping[str, int]
    bytes_read: int
    """Of the answer after decompression."""
    started_at: datetime
    finished_at: datetime
