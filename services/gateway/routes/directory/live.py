"""When DETSİS itself is asked instead of the nightly copy, and as whom (EK-3/3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Query

from services.gateway.callers import Caller
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.live_choices import LiveChoices
from services.gateway.operations import SCOPED
from services.gateway.schemas.text import DetsisNo
from shared.contracts.directory import Unit, UnitPage
from shared.contracts.directory.codes import MainInstitution, MainInstitutionPage
from shared.contracts.directory.tree import Ancestors, ChildPage, LineEnd
from shared.errors import DomainError, ErrorCode, Fault

LIVE_PROBLEMS = (*SCOPED, ErrorCode.STATE_CONFLICT, ErrorCode.DIRECTORY_REFUSED)
"""What may come on top of a mirror answer's problems: the institution has no account, or DETSİS says no."""

AS_INSTITUTION = "/query/institution_no"
"""Where the parameter below stands."""

AsInstitution = Annotated[
    DetsisNo | None,
    Query(
        description="The institution whose DETSİS account asks; may be left out when the API key is bound to one only."
    ),
]


async def _asking_institution(caller: CurrentCaller, institution_no: AsInstitution = None) -> int:
    return caller.acting_for(institution_no, AS_INSTITUTION)


AskingInstitution = Annotated[int, Depends(_asking_institution)]
"""The institution as which DETSİS is asked; adds the parameter ``institution_no`` to an operation."""

_Source = Annotated[
    Literal["auto", "mirror", "live"],
    Query(
        description="`mirror` is the nightly copy, `live` asks DETSİS as `institution_no`; `auto` is live for callers all "
        "of whose institutions with a DETSİS account keep no copy."
    ),
]


@dataclass(frozen=True)
class LiveWish:
    """What a caller said about who is to answer."""

    caller: Caller
    choices: LiveChoices
    source: Literal["auto", "mirror", "live"]
    institution_no: int | None

    async def institution(self) -> int | None:
        """The institution as which DETSİS is to be asked; None: the nightly copy answers.

        Raises INSTITUTION_FORBIDDEN, VALIDATION_FAILED when it would have to be named, DIRECTORY_UNAVAILABLE.
        """
        if self.source == "live" or self.institution_no is not None:
            named = self.caller.acting_for(self.institution_no, AS_INSTITUTION)
            if self.source != "auto":
                return named if self.source == "live" else None
            return await self.choices.of((named,))
        return None if self.source == "mirror" else await self.choices.of(self.caller.institutions)


async def _live_wish(
    caller: CurrentCaller, gateway: GatewayParts, source: _Source = "auto", institution_no: AsInstitution = None
) -> LiveWish:
    # Nothing is asked here: other parameters may still turn out to be wrong.
    return LiveWish(caller, gateway.live_choices, source, institution_no)


LiveAs = Annotated[LiveWish, Depends(_live_wish)]
"""Adds the parameters ``source`` and ``institution_no`` to an operation."""


def only_in_mirror(**parameters: object) -> None:
    """Raise VALIDATION_FAILED for parameters DETSİS itself has nothing for."""
    detail = "DETSİS itself cannot be asked this: leave it out, or take source=mirror"
    faults = [
        Fault(f"/query/{name}", detail)
        for name, value in parameters.items()
        if value is not None and value is not False
    ]
    if faults:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "only the nightly copy can answer this", faults=faults)


def as_children(parent_no: int, page: UnitPage) -> ChildPage:
    """A live list in the form of the mirror's."""
    return ChildPage(parent_no=parent_no, units=page.units, next_cursor=page.next_cursor, freshness=page.freshness)


def as_ancestors(detsis_no: int, page: UnitPage) -> Ancestors:
    """A live list in the form of the mirror's."""
    ends = LineEnd.TOP if not page.units or _is_top(page.units[-1]) else LineEnd.UNKNOWN
    return Ancestors(detsis_no=detsis_no, units=page.units, ends=ends, freshness=page.freshness)


def as_main_institutions(page: UnitPage) -> MainInstitutionPage:
    """A live list in the form of the mirror's; DETSİS names budgets elsewhere."""
    found = [
        MainInstitution(
            detsis_no=unit.detsis_no,
            name=unit.name,
            active=unit.active,
            operating=unit.operating,
            external_addressee=unit.external_addressee,
            sendable=unit.sendable,
        )
        for unit in page.units
    ]
    return MainInstitutionPage(institutions=found, next_cursor=page.next_cursor, freshness=page.freshness)


def _is_top(unit: Unit) -> bool:
    return unit.parent_no is None or unit.main_institution_no == unit.detsis_no
