"""How old an answer is."""

from __future__ import annotations

from datetime import datetime

from shared.contracts.base import Contract
from shared.contracts.directory.sources import AnswerSource


class Freshness(Contract):
    """How old an answer is: stamped on everything that comes from the mirror."""

    as_of: datetime | None
    """Completion of the last accepted refresh; None before the first."""
    stale: bool
    snapshot_id: int | None
    source: AnswerSource = AnswerSource.MIRROR
    """``live``: DETSİS was asked for this answer; ``as_of`` is then when it said so."""
