"""Search by name."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from sqlalchemy import Select, case, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.mirror.conditions import SENDABLE
from services.detsis_sync.mirror.folding import fold, prefix_query
from services.detsis_sync.mirror.units import described
from services.detsis_sync.tables import UnitRecord
from shared.contracts.directory import Unit
from shared.errors import DomainError, ErrorCode


@dataclass(frozen=True)
class SearchPage:
    """One page of a search."""

    units: list[Unit]
    next_cursor: str | None


async def search(
    session: AsyncSession,
    query: str,
    *,
    limit: int,
    cursor: str | None,
    sendable_only: bool,
    main_institution: int | None,
) -> SearchPage:
    """Units whose name holds every word of ``query`` as the beginning of a word, in any order; best first.

    Best: can receive a letter, then the exact name, then a name that starts with the query, then
    the shorter name. A query of eight digits finds the unit of that number.
    """
    offset = _offset(cursor)
    statement: Select[UnitRecord] = select(UnitRecord)
    folded = fold(query)
    if folded.isdigit() and len(folded) == 8:
        statement = statement.where(UnitRecord.detsis_no == int(folded))
    elif (words := prefix_query(query)) is not None:
        statement = statement.where(
            UnitRecord.search_words.bool_op("@@")(func.to_tsquery(text("'simple'::regconfig"), words))
        ).order_by(
            case((SENDABLE, 0), else_=1),
            case(
                (UnitRecord.folded_name == folded, 0),
                (UnitRecord.folded_name.startswith(folded, autoescape=True), 1),
                else_=2,
            ),
            func.length(UnitRecord.folded_name),
        )
    elif query.strip():
        return SearchPage([], None)
    if sendable_only:
        statement = statement.where(SENDABLE)
    if main_institution is not None:
        statement = statement.where(UnitRecord.main_institution_no == main_institution)
    statement = statement.order_by(UnitRecord.detsis_no).offset(offset).limit(limit + 1)
    found = list((await session.scalars(statement)).all())
    following = _cursor(offset + limit) if len(found) > limit else None
    return SearchPage(await described(session, found[:limit]), following)


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode().rstrip("=")


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        offset = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii"))
    except ValueError as error:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the cursor was not made by this service") from error
    if not 0 <= offset <= 1_000_000:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the cursor was not made by this service")
    return offset
