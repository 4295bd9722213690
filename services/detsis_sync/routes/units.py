"""One unit, now and then, and what is around it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.detsis_sync.mirror.changes import unit_history
from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.history import unit_at
from services.detsis_sync.mirror.moments import moment_of
from services.detsis_sync.mirror.tree import ancestors, children, unknown_unit
from services.detsis_sync.mirror.units import units
from shared.contracts.directory import UnitAnswer
from shared.contracts.directory.history import UnitHistory
from shared.contracts.directory.tree import Ancestors, ChildPage
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode

_Cursor = Annotated[str | None, Query(max_length=500)]
_Limit = Annotated[int, Query(ge=1, le=200)]


def unit_routes(database: Database, age: MirrorAge) -> APIRouter:
    """``/units/{detsis_no}``."""
    routes = APIRouter()

    @routes.get("/units/{detsis_no}")
    async def one_unit(detsis_no: int, as_of: Annotated[str | None, Query(max_length=40)] = None) -> UnitAnswer:
        _eight_digits(detsis_no)
        moment = None if as_of is None else moment_of(as_of, age.now())
        async with database.reading() as session:
            if moment is not None:
                return await unit_at(session, age, detsis_no, moment)
            found = await units(session, [detsis_no])
            if detsis_no not in found:
                raise unknown_unit(detsis_no)
            return UnitAnswer(unit=found[detsis_no], freshness=await age.of(session))

    @routes.get("/units/{detsis_no}/changes")
    async def changes(detsis_no: int, cursor: _Cursor = None, limit: _Limit = 50) -> UnitHistory:
        _eight_digits(detsis_no)
        async with database.reading() as session:
            freshness = await age.of(session)
            return await unit_history(session, freshness, detsis_no, cursor=cursor, limit=limit)

    @routes.get("/units/{detsis_no}/children")
    async def below(
        detsis_no: int, *, open_only: bool = False, cursor: _Cursor = None, limit: _Limit = 50
    ) -> ChildPage:
        _eight_digits(detsis_no)
        async with database.reading() as session:
            page = await children(session, detsis_no, open_only=open_only, cursor=cursor, limit=limit)
            return ChildPage(
                parent_no=detsis_no,
                units=page.units,
                next_cursor=page.next_cursor,
                freshness=await age.of(session),
            )

    @routes.get("/units/{detsis_no}/ancestors")
    async def above(detsis_no: int) -> Ancestors:
        _eight_digits(detsis_no)
        async with database.reading() as session:
            found, ends = await ancestors(session, detsis_no)
            return Ancestors(detsis_no=detsis_no, units=found, ends=ends, freshness=await age.of(session))

    return routes


def _eight_digits(detsis_no: int) -> None:
    if not 0 < detsis_no < 100_000_000:
        raise DomainError(ErrorCode.NOT_FOUND, "a DETSİS number has eight digits")
