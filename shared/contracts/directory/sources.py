"""Where an answer, or one value of it, comes from."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from shared.contracts.base import Contract


class AnswerSource(StrEnum):
    """``live``: DETSİS was asked for this; ``stored``: what DETSİS last said to such a question; ``mirror``: the nightly copy."""

    LIVE = "live"
    STORED = "stored"
    MIRROR = "mirror"


class Origin(StrEnum):
    """Where one value of a letter's data comes from. ``built``: made here from other values, by a rule."""

    LIVE = "live"
    MIRROR = "mirror"
    CONTACTS = "contacts"
    BUILT = "built"


class ItemSource(Contract):
    """Why one value is believed."""

    origin: Origin
    operation: str | None = None
    """The question put to DETSİS, by the name ``services/detsis_sync/soap/wire/operations.py`` gives it."""
    as_of: datetime | None = None
    """When DETSİS said so; of the mirror: completion of the refresh. None before the first."""
    stale: bool = False
    rule: str
    """Stable id of the rule that chose or made the value: docs/flows.md lists them."""


class DirectoryWarning(Contract):
    """Something a person should know although the answer can be used."""

    code: str
    """Stable id, for example ``address-differs-from-mirror``."""
    detail: str
    """One sentence in English."""
