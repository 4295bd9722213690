"""Where recipients are reached."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.directory.freshness import Freshness
from shared.contracts.directory.sources import DirectoryWarning


class AddressSource(StrEnum):
    """``live``: DETSİS answered for this letter; ``mirror``: our nightly copy, because it could not."""

    LIVE = "live"
    MIRROR = "mirror"


class ResolutionRequest(Contract):
    """Ask for the KEP addresses of a letter's real recipients (EK-3/4 h)."""

    sender_no: int
    recipient_nos: list[int] = Field(min_length=1, max_length=500)
    mode: Literal["live", "mirror"] = "live"
    """``live`` asks DETSİS and falls back, marked, to the mirror; ``mirror`` spares DETSİS a call."""
    thorough: bool = False
    """Also warn of what the mirror knows about the units themselves; no letter's address needs it."""
    eyp_version: str | None = Field(default=None, max_length=20)
    """The letter's package has this version: warn of recipients that take only lower ones."""
    encrypted: bool = False
    """The letter's package is to be encrypted: warn of recipients without a usable certificate."""


class ResolutionProblem(StrEnum):
    """Why a recipient cannot be written to by KEP."""

    UNKNOWN = "recipient-unknown"
    INACTIVE = "recipient-inactive"
    NO_KEP_ADDRESS = "recipient-kep-missing"
    KEP_INACTIVE = "recipient-kep-inactive"


class ResolutionLevel(StrEnum):
    """``ok``; ``warning``: can be written to, but look; ``error``: cannot be written to by KEP."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class ResolvedAddress(Contract):
    """Where one recipient is reached, and why we believe it."""

    detsis_no: int
    name: str | None = None
    address: str | None = None
    problem: ResolutionProblem | None = None
    level: ResolutionLevel = ResolutionLevel.OK
    warnings: list[DirectoryWarning] = Field(default_factory=list)
    source: AddressSource
    rule: str
    """Stable id of the rule that chose the address, for example ``live.eYazismaPaketi``."""
    snapshot_id: int | None = None
    """The refresh that the mirror stood at when it was asked, also beside a live answer."""
    resolved_at: datetime
    """When DETSİS said so; of a mirror answer: when it was looked up."""


class ResolutionAnswer(Contract):
    """One item per asked number, in the order asked."""

    recipients: list[ResolvedAddress]
    freshness: Freshness | None = None
    """Of the mirror, also beside what DETSİS said live."""
