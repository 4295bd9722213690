"""DETSİS numbers in paths of internal calls."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

UnitNo = Annotated[int, Path(ge=10_000_000, le=99_999_999)]
"""Eight digits, the first not zero."""
