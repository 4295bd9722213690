"""Code lists, places and main institutions."""

from __future__ import annotations

from sqlalchemy import Select, and_, func, or_, select, text, union
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.mirror import cursors
from services.detsis_sync.mirror.conditions import SENDABLE
from services.detsis_sync.mirror.folding import prefix_query
from services.detsis_sync.tables import (
    Account,
    CodeRecord,
    MainInstitutionRecord,
    PlaceRecord,
    UnitRecord,
    UnitSighting,
)
from shared.contracts.directory import Freshness
from shared.contracts.directory.codes import (
    CategoryDetail,
    CodeEntry,
    CodeKind,
    CodePage,
    MainInstitution,
    MainInstitutionPage,
    Place,
    PlacePage,
    StatusDetail,
)

_MAIN_LIST = "main_institutions"
_SORTED_LETTERS = 200
"""As the index has it."""


async def codes(
    session: AsyncSession, freshness: Freshness, kind: CodeKind, *, cursor: str | None, limit: int
) -> CodePage:
    """Codes of one kind by number, those DETSİS lists no longer included."""
    if kind is CodeKind.PLACE:
        found = await places(session, freshness, province_code=None, cursor=cursor, limit=limit, kind="place")
        return CodePage(
            kind=kind,
            codes=[
                CodeEntry(
                    code_id=item.place_id, label=item.name, active=item.active, absent_since=item.absent_since,
                    place=item,
                )
                for item in found.places
            ],
            next_cursor=found.next_cursor,
            freshness=freshness,
        )  # fmt: skip
    after = _after(cursor, kind.value)
    rows = list(
        await session.scalars(
            select(CodeRecord)
            .where(CodeRecord.kind == kind.value, CodeRecord.code_id > after)
            .order_by(CodeRecord.code_id)
            .limit(limit + 1)
        )
    )
    return CodePage(
        kind=kind,
        codes=[_code(row, kind) for row in rows[:limit]],
        next_cursor=cursors.written(kind.value, rows[limit - 1].code_id) if len(rows) > limit else None,
        freshness=freshness,
    )


async def places(
    session: AsyncSession,
    freshness: Freshness,
    *,
    province_code: int | None,
    cursor: str | None,
    limit: int,
    kind: str = "places",
) -> PlacePage:
    """Places by number; of one province, or all. ``kind`` names the list its cursors belong to."""
    after = _after(cursor, kind)
    wanted = select(PlaceRecord).where(PlaceRecord.place_id > after).order_by(PlaceRecord.place_id).limit(limit + 1)
    if province_code is not None:
        wanted = wanted.where(PlaceRecord.province_code == province_code)
    rows = list(await session.scalars(wanted))
    return PlacePage(
        places=[
            Place.model_validate({name: getattr(row, name) for name in Place.model_fields}) for row in rows[:limit]
        ],
        next_cursor=cursors.written(kind, rows[limit - 1].place_id) if len(rows) > limit else None,
        freshness=freshness,
    )


async def main_institutions(
    session: AsyncSession,
    freshness: Freshness,
    *,
    query: str,
    budget_type: int | None,
    legal_person: int | None,
    cursor: str | None,
    limit: int,
) -> MainInstitutionPage:
    """Main institutions by name: those of either list of DETSİS that names them.

    ``query``: words of the name, each at least its beginning, in any order.
    """
    budget, by_name = MainInstitutionRecord, func.left(UnitRecord.folded_name, _SORTED_LETTERS)
    wanted: Select[UnitRecord, bool, MainInstitutionRecord | None] = (
        select(UnitRecord, SENDABLE, budget)
        .outerjoin(budget, and_(budget.detsis_no == UnitRecord.detsis_no, budget.absent_since.is_(None)))
        .where(UnitRecord.detsis_no.in_(_numbers()))
        .order_by(by_name, UnitRecord.detsis_no)
        .limit(limit + 1)
    )
    if query.strip():
        words = prefix_query(query)
        if words is None:
            return MainInstitutionPage(institutions=[], freshness=freshness)
        wanted = wanted.where(
            UnitRecord.search_words.bool_op("@@")(func.to_tsquery(text("'simple'::regconfig"), words))
        )
    if budget_type is not None:
        wanted = wanted.where(budget.budget_type_id == budget_type)
    if legal_person is not None:
        wanted = wanted.where(budget.legal_person_id == legal_person)
    if cursor is not None:
        name, number = cursors.place(cursor, _MAIN_LIST, str, int)
        beyond = and_(by_name == str(name), UnitRecord.detsis_no > int(number))
        wanted = wanted.where(or_(by_name > str(name), beyond))
    rows = list(await session.execute(wanted))
    following = None
    if len(rows) > limit:
        last = rows[limit - 1][0]
        following = cursors.written(_MAIN_LIST, last.folded_name[:_SORTED_LETTERS], last.detsis_no)
    return MainInstitutionPage(
        institutions=[_institution(unit, budget, sendable=sendable) for unit, sendable, budget in rows[:limit]],
        next_cursor=following,
        freshness=freshness,
    )


def _numbers() -> Select[int]:
    """Numbers of all main institutions: of the list of units, and of the list of budgets."""
    # By account, because that is how the key of the sightings begins: without it all of them would be read.
    listed = select(UnitSighting.detsis_no).where(
        UnitSighting.institution_no.in_(select(Account.institution_no)),
        UnitSighting.list_name == _MAIN_LIST,
        UnitSighting.absent_since.is_(None),
    )
    budgets = select(MainInstitutionRecord.detsis_no).where(MainInstitutionRecord.absent_since.is_(None))
    every = union(listed, budgets).subquery()
    return select(every.c.detsis_no)


def _after(cursor: str | None, kind: str) -> int:
    if cursor is None:
        return -1
    (after,) = cursors.place(cursor, kind, int)
    return int(after)


def _code(row: CodeRecord, kind: CodeKind) -> CodeEntry:
    detail = row.detail
    return CodeEntry(
        code_id=row.code_id,
        label=row.label,
        parent_id=row.parent_id,
        active=row.active,
        absent_since=row.absent_since,
        category=CategoryDetail(plural=detail.get("plural"), opens_status_id=detail.get("opens_status_id"))
        if kind is CodeKind.CATEGORY
        else None,
        status=StatusDetail.model_validate({name: detail.get(name) for name in StatusDetail.model_fields})
        if kind is CodeKind.STATUS
        else None,
    )


def _institution(unit: UnitRecord, budget: MainInstitutionRecord | None, *, sendable: bool) -> MainInstitution:
    return MainInstitution(
        detsis_no=unit.detsis_no,
        name=unit.name,
        active=unit.active,
        operating=unit.operating,
        external_addressee=unit.external_addressee,
        sendable=sendable,
        budget_type_id=budget.budget_type_id if budget is not None else None,
        budget_type=budget.budget_type if budget is not None else None,
        legal_person_id=budget.legal_person_id if budget is not None else None,
        legal_person=budget.legal_person if budget is not None else None,
    )
