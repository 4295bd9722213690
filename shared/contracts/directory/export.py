"""The lines of an export: a header, one line for each unit, a trailer."""

from __future__ import annotations

from datetime import datetime

from shared.contracts.base import Contract
from shared.contracts.directory.units import Unit

FORMAT_VERSION = 1
MEDIA_TYPE = "application/x-ndjson"


class ExportHeader(Contract):
    """What the lines after it are a picture of."""

    format: int
    """Version of the form of the lines."""
    snapshot_id: int
    as_of: datetime
    stale: bool
    changes_cursor: str
    """``after`` for the feed of changes: it goes on exactly where this picture was taken."""
    open_only: bool


class ExportTrailer(Contract):
    """The last line. Without it the export was cut off."""

    units: int
    """How many lines there were between header and trailer."""


class ExportLine(Contract):
    """One line: exactly one of these."""

    header: ExportHeader | None = None
    unit: Unit | None = None
    """``path`` is left out: parents stand in the same export."""
    trailer: ExportTrailer | None = None
