"""How old an answer is."""

from __future__ import annotations

from datetime import datetime

from shared.contracts.base import Contract


class Freshness(Contract):
    """How old an answer is: stamped on everything that comes from the mirror."""

    as_of: datetime | None
    """Completion of the last accepted refresh; None before the first."""
    stale: bool
    snapshot_id: int | None
