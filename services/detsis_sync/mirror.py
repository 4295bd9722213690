"""Questions to the mirror: search, one unit, addresses, age."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, and_, case, exists, func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.folding import fold, prefix_query
from services.detsis_sync.tables import KepAddressRecord, Run, UnitRecord, UnitSighting
from shared.contracts.directory import DirectoryCount, Freshness, RefreshRun, Unit, UnitKepAddress
from shared.errors import DomainError, ErrorCode

_DEEPEST = 32  # the register has about ten levels; a loop among parents must not hang a query

_has_address = exists().where(
    KepAddressRecord.detsis_no == UnitRecord.detsis_no,
    KepAddressRecord.active,
    KepAddressRecord.absent_since.is_(None),
)
_sendable = and_(UnitRecord.active, UnitRecord.operating, UnitRecord.external_addressee, _has_address)
_absent = (
    select(UnitSighting.detsis_no, func.max(UnitSighting.absent_since))
    .group_by(UnitSighting.detsis_no)
    .having(func.bool_and(UnitSighting.absent_since.is_not(None)))
)
"""Units absent from every list that ever named them, and since when."""


@dataclass(frozen=True)
class SearchPage:
    """One page of a search."""

    units: list[Unit]
    next_cursor: str | None


async def freshness(session: AsyncSession, *, now: datetime, stale_after: timedelta) -> Freshness:
    """When the newest accepted refresh finished, and whether that is too long ago."""
    row = (
        await session.execute(
            select(Run.run_id, Run.finished_at).where(Run.state == "accepted").order_by(Run.finished_at.desc()).limit(1)
        )
    ).first()
    if row is None or row.finished_at is None:
        return Freshness(as_of=None, stale=True, snapshot_id=None)
    return Freshness(as_of=row.finished_at, stale=now - row.finished_at > stale_after, snapshot_id=row.run_id)


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
            case((_sendable, 0), else_=1),
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
        statement = statement.where(_sendable)
    if main_institution is not None:
        statement = statement.where(UnitRecord.main_institution_no == main_institution)
    statement = statement.order_by(UnitRecord.detsis_no).offset(offset).limit(limit + 1)
    found = list((await session.scalars(statement)).all())
    following = _cursor(offset + limit) if len(found) > limit else None
    return SearchPage(await described(session, found[:limit]), following)


async def units(session: AsyncSession, numbers: Sequence[int], *, surroundings: bool = True) -> dict[int, Unit]:
    """The units of the given numbers that the mirror knows."""
    found = list((await session.scalars(select(UnitRecord).where(UnitRecord.detsis_no.in_(numbers)))).all())
    return {unit.detsis_no: unit for unit in await described(session, found, surroundings=surroundings)}


async def described(session: AsyncSession, records: Sequence[UnitRecord], *, surroundings: bool = True) -> list[Unit]:
    """Records with their addresses, in the same order; a fixed number of queries.

    With ``surroundings`` also path, main institution's name and absence, which no letter's address needs.
    """
    numbers = [record.detsis_no for record in records]
    addresses: dict[int, list[UnitKepAddress]] = {number: [] for number in numbers}
    for row in await session.scalars(
        select(KepAddressRecord)
        .where(KepAddressRecord.detsis_no.in_(numbers))
        .order_by(KepAddressRecord.active.desc(), KepAddressRecord.address)
    ):
        addresses[row.detsis_no].append(
            UnitKepAddress(
                address=row.address, active=row.active and row.absent_since is None, status_text=row.status_text
            )
        )
    paths: Mapping[int, list[str]] = {}
    main_names: Mapping[int, str] = {}
    absences: Mapping[int, datetime] = {}
    if surroundings:
        paths = await _paths(session, numbers)
        main_names = await _names(session, {record.main_institution_no for record in records})
        absences = await _absences(session, numbers)
    return [
        Unit(
            detsis_no=record.detsis_no,
            name=record.name,
            parent_no=record.parent_no,
            main_institution_no=record.main_institution_no,
            main_institution_name=main_names.get(record.main_institution_no or 0),
            path=paths.get(record.detsis_no, []),
            active=record.active,
            operating=record.operating,
            external_addressee=record.external_addressee,
            sendable=record.active
            and record.operating
            and record.external_addressee
            and any(item.active for item in addresses[record.detsis_no]),
            absent_since=absences.get(record.detsis_no),
            postal_address=record.postal_address,
            place_name=record.place_name,
            kep_addresses=addresses[record.detsis_no],
        )
        for record in records
    ]


async def _paths(session: AsyncSession, numbers: Sequence[int]) -> dict[int, list[str]]:
    """Names from the topmost known ancestor down to each unit; the display path of DETSİS can be wrong."""
    base = select(
        UnitRecord.detsis_no.label("unit"), UnitRecord.detsis_no, UnitRecord.parent_no, UnitRecord.name,
        literal(0).label("up"),
    ).where(UnitRecord.detsis_no.in_(numbers))  # fmt: skip
    chain = base.cte("chain", recursive=True)
    chain = chain.union_all(
        select(chain.c.unit, UnitRecord.detsis_no, UnitRecord.parent_no, UnitRecord.name, chain.c.up + 1)
        .join(chain, UnitRecord.detsis_no == chain.c.parent_no)
        .where(chain.c.up < _DEEPEST)
    )
    ancestors: dict[int, dict[int, str]] = {}
    for unit, number, name in await session.execute(
        select(chain.c.unit, chain.c.detsis_no, chain.c.name).order_by(chain.c.unit, chain.c.up)
    ):
        ancestors.setdefault(unit, {}).setdefault(number, name)  # a loop among parents is walked once
    return {unit: list(names.values())[::-1] for unit, names in ancestors.items()}


async def _names(session: AsyncSession, numbers: set[int | None]) -> Mapping[int, str]:
    wanted = select(UnitRecord.detsis_no, UnitRecord.name).where(UnitRecord.detsis_no.in_(numbers - {None}))
    return {row.detsis_no: row.name for row in await session.execute(wanted)}


async def _absences(session: AsyncSession, numbers: Sequence[int]) -> dict[int, datetime]:
    """Since when each unit is absent from every list that ever named it."""
    rows = await session.execute(_absent.where(UnitSighting.detsis_no.in_(numbers)))
    return {number: since for number, since in rows if since is not None}


async def counts(session: AsyncSession) -> list[DirectoryCount]:
    """How much the mirror holds."""
    everything = await session.scalar(select(func.count()).select_from(UnitRecord))
    sendable = await session.scalar(select(func.count()).select_from(UnitRecord).where(_sendable))
    addresses = await session.scalar(
        select(func.count())
        .select_from(KepAddressRecord)
        .where(KepAddressRecord.active, KepAddressRecord.absent_since.is_(None))
    )
    absent = await session.scalar(select(func.count()).select_from(_absent.subquery()))
    found = {"all": everything, "sendable": sendable, "active_kep_addresses": addresses, "absent": absent}
    return [DirectoryCount(kind=kind, count=count or 0) for kind, count in found.items()]


async def last_runs(session: AsyncSession, limit: int = 10) -> list[RefreshRun]:
    """The newest refreshes, newest first."""
    return [run_report(row) for row in await session.scalars(select(Run).order_by(Run.run_id.desc()).limit(limit))]


def run_report(row: Run) -> RefreshRun:
    """One refresh as others see it."""
    return RefreshRun.model_validate({name: getattr(row, name) for name in RefreshRun.model_fields}, strict=False)


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
