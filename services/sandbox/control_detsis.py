"""The control API's hand on the register: reading units, letting days pass, forcing single changes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
from typing import Literal, TypeVar

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.sandbox.detsis.calendar import RegisterCalendar
from services.sandbox.detsis.forest import ACTIVE, EXTERNAL, OPEN
from services.sandbox.detsis.register import Register
from shared.domain.identifiers import kep_address

_LONGEST_NAME = 500
_T = TypeVar("_T")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class UnitChange(_Body):
    """Change a named or generated unit of the register; what is left out stays."""

    active: bool | None = None
    kep_address: str | None = Field(default=None, description="A new address; an empty string takes the address away.")

    @field_validator("kep_address")
    @classmethod
    def _normalised(cls, value: str | None) -> str | None:
        return kep_address(value) if value else value


class UnitReport(_Body):
    """A unit of the register and its KEP addresses."""

    detsis_no: int
    name: str
    active: bool
    kep_addresses: dict[str, bool]
    """Address → whether it is active."""


class Day(_Body):
    """Where the register stands."""

    day: int = Field(description="Days since `first_day`.")
    date: dt.date
    first_day: dt.date
    units: int


class DaysOrder(_Body):
    """Let days pass."""

    days: int = Field(default=1, ge=1, le=4000)
    share: float | None = Field(
        default=None, ge=0, le=0.5, description="Part of all units that something happens to on each of these days."
    )


class DaysReport(Day):
    """Where the register stands now, and what has happened since it was last asked, by kind."""

    changes: dict[str, int]


class ChangeOrder(_Body):
    """One change, today. What else it needs depends on `kind`."""

    kind: Literal[
        "close", "reopen", "open", "start", "rename", "move", "external", "announce_kep", "confirm_kep",
        "replace_certificate", "raise_eyp",
    ]  # fmt: skip
    detsis_no: int = Field(description="The unit; for `open` the one above the new unit.")
    name: str | None = Field(default=None, min_length=1, max_length=_LONGEST_NAME, description="`rename`, `open`")
    parent_no: int | None = Field(default=None, description="`move`: the unit it comes under.")
    external: bool = Field(default=True, description="`external`, `open`: may be written to from outside.")
    working: bool = Field(default=True, description="`open`: false for one that starts later.")
    kep_address: str | None = Field(default=None, description="`announce_kep`")
    certificate: str | None = Field(
        default=None, description="`replace_certificate`: DER in base64; needed for the named institutions."
    )

    @field_validator("kep_address")
    @classmethod
    def _normalised(cls, value: str | None) -> str | None:
        return None if value is None else kep_address(value)


def register_routes(calendar: RegisterCalendar) -> APIRouter:
    """Reading and changing units of the register."""
    router = APIRouter(prefix="/control/register", tags=["register"])
    register = calendar.register

    @router.get("/units/{detsis_no}")
    async def read_unit(detsis_no: int) -> UnitReport:
        """One unit as DETSİS would tell it."""
        return _report(register, detsis_no)

    @router.patch("/units/{detsis_no}")
    async def change_unit(detsis_no: int, change: UnitChange) -> UnitReport:
        """Close or open a unit, move its KEP address at once: the next DETSİS answer says so."""
        await asyncio.to_thread(calendar.catch_up)
        _report(register, detsis_no)
        if change.active is not None:
            register.set_active(detsis_no, change.active)
        if change.kep_address is not None:
            register.set_kep_address(detsis_no, change.kep_address or None)
        return _report(register, detsis_no)

    return router


def day_routes(calendar: RegisterCalendar) -> APIRouter:
    """The days of the register, and changes that do not wait for one."""
    router = APIRouter(prefix="/control/detsis", tags=["detsis"])
    register = calendar.register

    @router.get("/day")
    async def read_day() -> Day:
        """The day the register stands at."""
        await asyncio.to_thread(calendar.catch_up)
        return _day(register)

    @router.post("/days")
    async def let_days_pass(order: DaysOrder) -> DaysReport:
        """Let days pass in the register alone, beside those of the clock. They outlive a restart."""
        try:
            happened = await asyncio.to_thread(calendar.advance, order.days, order.share)
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        changes = {kind.value: number for kind, number in sorted(happened.items())}
        return DaysReport(**_day(register).model_dump(), changes=changes)

    @router.post("/changes")
    async def change(order: ChangeOrder) -> UnitReport:
        """Force one change, as of today. Gone after a restart, as every order is."""
        await asyncio.to_thread(calendar.catch_up)
        index = register.forest.index(order.detsis_no)
        if index is None:
            raise HTTPException(404, f"the register has no unit {order.detsis_no}")
        try:
            index = _carry_out(register, order, index)
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        return _report(register, register.forest.number(index))

    return router


def _carry_out(register: Register, order: ChangeOrder, index: int) -> int:
    """Make the change; return the index of the unit to report. Raises ``ValueError``."""
    number = order.detsis_no
    match order.kind:
        case "close":
            register.set_active(number, active=False)
        case "reopen":
            register.set_active(number, active=True)
        case "open":
            flags = (OPEN if order.working else ACTIVE) | (EXTERNAL if order.external else 0)
            # Any sixteen bits will do; these differ from one new unit to the next.
            index = register.open_at(index, len(register) * 7919 % 65_536, flags)
            if order.name is not None:
                register.set_name(index, order.name)
        case "start":
            register.set_flags(index, OPEN, OPEN)
        case "rename":
            register.set_name(index, _needed(order.name, "name"))
        case "move":
            parent = register.forest.index(_needed(order.parent_no, "parent_no"))
            if parent is None:
                raise ValueError(f"the register has no unit {order.parent_no}")
            register.move_to(index, parent)
        case "external":
            register.set_flags(index, EXTERNAL if order.external else 0, EXTERNAL)
        case "announce_kep":
            register.announce_kep_address(number, _needed(order.kep_address, "kep_address"))
        case "confirm_kep":
            register.confirm_kep_address(number)
        case "replace_certificate":
            register.upload_certificate(index, _decoded(order.certificate))
        case "raise_eyp":
            if not register.raise_eyp(register.forest.root(index)):
                raise ValueError("the institution accepts the newest version already")
    register.ordered()
    return index


def _needed(value: _T | None, name: str) -> _T:
    if value is None:
        raise ValueError(f"{name} is missing")
    return value


def _decoded(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("certificate is not base64") from None


def _day(register: Register) -> Day:
    return Day(day=register.day, date=register.today, first_day=register.first_day, units=len(register))


def _report(register: Register, detsis_no: int) -> UnitReport:
    unit = register.unit(detsis_no)
    if unit is None:
        raise HTTPException(404, f"the register has no unit {detsis_no}")
    return UnitReport(
        detsis_no=unit.number,
        name=unit.name,
        active=unit.active,
        kep_addresses={entry.address: entry.active for entry in register.kep_entries(detsis_no)},
    )
