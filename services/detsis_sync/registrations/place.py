"""Whether a unit stands in an institution's tree: nobody registers an address for another's unit."""

from __future__ import annotations

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.registrations.listing import Register
from services.detsis_sync.tables import UnitRecord
from shared.db.session import Database
from shared.domain.identifiers import detsis_number
from shared.errors import DomainError, ErrorCode, Fault

_DEEPEST = 32
"""The register has about ten levels; a loop among parents must not hang a query."""


async def own_unit_name(database: Database, register: Register, institution_no: int, detsis_no: int) -> str:
    """The unit's name: by the mirror where that places it, else by DETSİS itself.

    Raises VALIDATION_FAILED for a unit that does not exist or is another institution's,
    DIRECTORY_UNAVAILABLE when nobody can say.
    """
    try:
        number = detsis_number(detsis_no)
    except ValueError as error:
        raise _refused(str(error)) from error
    async with database.reading() as session:
        unit = await session.get(UnitRecord, number)
        above = set() if unit is None else await _above(session, number)
    if unit is not None and institution_no in {number, unit.main_institution_no, *above}:
        return unit.name
    place = await register.unit(institution_no, number)
    if place is None and unit is None:
        raise DomainError(
            ErrorCode.DIRECTORY_UNAVAILABLE, "the mirror does not know the unit and DETSİS gives no answer",
            retry_after_seconds=30,
        )  # fmt: skip
    if place is not None and place.unit is not None:
        if institution_no in {number, place.unit.main_institution_no, *place.above}:
            return place.unit.name
    elif unit is None:
        raise _refused("DETSİS knows no such unit")
    raise _refused("the unit does not belong to the institution")


async def _above(session: AsyncSession, number: int) -> set[int]:
    """Every unit above, as far as the mirror knows the way."""
    base = select(UnitRecord.parent_no, literal(0).label("up")).where(UnitRecord.detsis_no == number)
    chain = base.cte("chain", recursive=True)
    chain = chain.union_all(
        select(UnitRecord.parent_no, chain.c.up + 1)
        .join(chain, UnitRecord.detsis_no == chain.c.parent_no)
        .where(chain.c.up < _DEEPEST)
    )
    return {found for found in await session.scalars(select(chain.c.parent_no)) if found is not None}


def _refused(detail: str) -> DomainError:
    return DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault("/body/detsis_no", detail)])
