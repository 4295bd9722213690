"""One measured figure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What was measured, what came out, and the same of the reference."""

    what: str
    value: str
    reference: str = ""
    ratio: str = ""
