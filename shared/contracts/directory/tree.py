"""What is above and below a unit."""

from __future__ import annotations

from enum import StrEnum

from shared.contracts.base import Contract
from shared.contracts.directory.freshness import Freshness
from shared.contracts.directory.units import Unit


class ChildPage(Contract):
    """Units directly below another: open ones first, then by name."""

    parent_no: int
    units: list[Unit]
    next_cursor: str | None = None
    freshness: Freshness


class LineEnd(StrEnum):
    """Why a line of ancestors ends.

    ``top``: the last one has nothing above it. ``unknown``: the mirror does not know what is above it. ``loop``: the
    one above it stands in the line already; the register contradicts itself.
    """

    TOP = "top"
    UNKNOWN = "unknown"
    LOOP = "loop"


class Ancestors(Contract):
    """Units above another, nearest first, followed from parent to parent."""

    detsis_no: int
    units: list[Unit]
    ends: LineEnd
    freshness: Freshness
