"""Up and down the hierarchy, from parent to parent: the path DETSİS writes is for display and can be wrong."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.mirror import cursors
from services.detsis_sync.mirror.units import described, lines, units
from services.detsis_sync.tables import UnitRecord
from shared.contracts.directory import Unit
from shared.contracts.directory.tree import LineEnd
from shared.errors import DomainError, ErrorCode

_SORTED_LETTERS = 200
_OPEN = and_(UnitRecord.active, UnitRecord.operating)


@dataclass(frozen=True)
class Children:
    """One page of units below another."""

    units: list[Unit]
    next_cursor: str | None


def unknown_unit(detsis_no: int) -> DomainError:
    """The mirror has never seen it."""
    return DomainError(ErrorCode.NOT_FOUND, f"the mirror knows no unit {detsis_no}")


async def known(session: AsyncSession, detsis_no: int) -> UnitRecord:
    """The row of a unit. Raises ``DomainError`` (not-found)."""
    row = await session.get(UnitRecord, detsis_no)
    if row is None:
        raise unknown_unit(detsis_no)
    return row


async def children(
    session: AsyncSession, detsis_no: int, *, open_only: bool, cursor: str | None, limit: int
) -> Children:
    """Units whose parent is this one: open ones first, then by name. Raises ``DomainError`` (not-found)."""
    await known(session, detsis_no)
    closed = (~_OPEN).label("closed")
    name = func.left(UnitRecord.folded_name, _SORTED_LETTERS).collate("C").label("sorted_name")
    wanted = select(UnitRecord.detsis_no, closed, name).where(
        UnitRecord.parent_no == detsis_no, UnitRecord.detsis_no != detsis_no
    )
    if open_only:
        wanted = wanted.where(_OPEN)
    if cursor is not None:
        was_closed, was_name, was_no = cursors.place(cursor, "children", bool, str, int)
        after = tuple_(literal(was_closed), literal(was_name).collate("C"), literal(was_no))
        wanted = wanted.where(tuple_(closed, name, UnitRecord.detsis_no) > after)
    rows = (await session.execute(wanted.order_by(closed, name, UnitRecord.detsis_no).limit(limit + 1))).all()
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        following = cursors.written("children", last.closed, last.sorted_name, last.detsis_no)
    return Children(await described(session, [row.detsis_no for row in rows[:limit]]), following)


async def ancestors(session: AsyncSession, detsis_no: int) -> tuple[list[Unit], LineEnd]:
    """Units above this one, nearest first, and why there are no more. Raises ``DomainError`` (not-found)."""
    line = (await lines(session, [detsis_no])).get(detsis_no)
    if not line:
        raise unknown_unit(detsis_no)
    numbers = [number for number, _name, _parent in line]
    above = numbers[1:]
    found = await units(session, above)
    last, _name, beyond = line[-1]
    if beyond is None or beyond == last:
        return [found[number] for number in above], LineEnd.TOP
    end = LineEnd.LOOP if beyond in numbers else LineEnd.UNKNOWN
    return [found[number] for number in above], end
