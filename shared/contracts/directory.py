"""What detsis_sync is asked and what it answers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from shared.contracts.base import Contract

_NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f]*$"


class AddressSource(StrEnum):
    """``live``: DETSİS answered for this letter; ``mirror``: our nightly copy, because it could not."""

    LIVE = "live"
    MIRROR = "mirror"


class Freshness(Contract):
    """How old an answer is: stamped on everything that comes from the mirror."""

    as_of: datetime | None
    """Completion of the last accepted refresh; None before the first."""
    stale: bool
    snapshot_id: int | None


class UnitKepAddress(Contract):
    """One KEP address DETSİS lists for a unit."""

    address: str
    active: bool
    status_text: str | None = None


class Unit(Contract):
    """One unit of the register."""

    detsis_no: int
    name: str
    parent_no: int | None = None
    main_institution_no: int | None = None
    main_institution_name: str | None = None
    path: list[str] = Field(default_factory=list)
    """Names from the main institution down to this unit, built from parents."""
    active: bool
    operating: bool
    external_addressee: bool
    sendable: bool
    """active ∧ operating ∧ external addressee ∧ an active KEP address (detsis.md 8)."""
    absent_since: datetime | None = None
    postal_address: str | None = None
    place_name: str | None = None
    kep_addresses: list[UnitKepAddress] = Field(default_factory=list)


class UnitAnswer(Contract):
    """One unit, with its freshness."""

    unit: Unit
    freshness: Freshness


class UnitPage(Contract):
    """Search results, best first."""

    units: list[Unit]
    next_cursor: str | None = None
    freshness: Freshness


class ResolutionRequest(Contract):
    """Ask for the KEP addresses of a letter's real recipients (EK-3/4 h)."""

    sender_no: int
    recipient_nos: list[int] = Field(min_length=1, max_length=500)
    mode: Literal["live", "mirror"] = "live"
    """``live`` asks DETSİS and falls back, marked, to the mirror; ``mirror`` spares DETSİS a call."""


class ResolutionProblem(StrEnum):
    """Why a recipient cannot be written to by KEP."""

    UNKNOWN = "recipient-unknown"
    INACTIVE = "recipient-inactive"
    NO_KEP_ADDRESS = "recipient-kep-missing"
    KEP_INACTIVE = "recipient-kep-inactive"


class ResolvedAddress(Contract):
    """Where one recipient is reached, and why we believe it."""

    detsis_no: int
    name: str | None = None
    address: str | None = None
    problem: ResolutionProblem | None = None
    source: AddressSource
    rule: str
    """Stable id of the rule that chose the address, for example ``live.eYazismaPaketi``."""
    snapshot_id: int | None = None
    resolved_at: datetime


class ResolutionAnswer(Contract):
    """One item per asked number, in the order asked."""

    recipients: list[ResolvedAddress]


class DirectoryCount(Contract):
    """How many of one kind the mirror holds."""

    kind: str
    count: int


class RefreshRun(Contract):
    """One nightly (or manual) refresh."""

    run_id: int
    institution_no: int
    trigger: Literal["nightly", "manual", "first-start"]
    state: Literal["running", "accepted", "refused", "failed"]
    started_at: datetime
    finished_at: datetime | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    reason: str | None = None


class DirectoryStatus(Contract):
    """State of the mirror."""

    freshness: Freshness
    counts: list[DirectoryCount]
    last_runs: list[RefreshRun]


class RegisterAccount(Contract):
    """One institution's DETSİS account. The password goes in and never comes out."""

    institution_no: int
    account_id: str = Field(min_length=1, max_length=100, pattern=_NO_CONTROL_CHARACTERS)
    """DETSİS ``KurumID``: looks like the caller's own number, but that is not proven."""
    endpoint: str = Field(max_length=500, pattern=_NO_CONTROL_CHARACTERS)
    """The https URL of the service; the address inside the WSDL is never used."""
    password: str | None = Field(default=None, min_length=1, max_length=500, repr=False)
