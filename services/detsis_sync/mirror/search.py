"""Search by name: words in any order, without their diacritics, with endings and typing errors."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, bindparam, case, func, literal, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.detsis_sync.mirror.choices import WordChoice, shortest_name
from services.detsis_sync.mirror.folding import fold
from services.detsis_sync.mirror.units import described
from services.detsis_sync.mirror.vocabulary import Vocabulary
from services.detsis_sync.tables import PlaceRecord, UnitRecord
from shared.contracts.directory import Unit
from shared.contracts.directory.units import WordCorrection
from shared.errors import DomainError, ErrorCode, Fault

_MOST_WORDS = 12
_COMMON = 5000
"""Words that so many units have are looked for at the top of the order first."""
_DENSE = 10_000
"""From so many hits on, sorting all of them costs more than walking along the order until a page is full."""
_DEEPEST = 10_000
_NEAR = 4000
"""So far down from the top it is worth looking before anything is sorted."""
_NUMBER_DIGITS = 8
_CURSOR = re.compile(r"([sdr]):(\d{1,7})")
_INFLECTION = re.compile(r"['’]\w+")
"""What Turkish parts from a proper name by an apostrophe: Isparta'ya."""
_SIMPLE = text("'simple'::regconfig")

_U = UnitRecord
_LENGTH = func.length(_U.folded_name)
_ORDER = (_U.search_rank, _LENGTH, _U.level, _U.detsis_no)
"""As ``ix_units_ranked`` has it."""
# Of those that can be written to, from a length on. With the length as a column of its own PostgreSQL sees that the
# order stays, and stops where the page is full.
_TOP = (
    select(_U, _LENGTH.label("length"))
    .where(_U.search_rank == 0, bindparam("shortest") <= _LENGTH)
    .order_by(*_ORDER)
    .limit(_NEAR)
    .subquery("top")
)
_FIRST = aliased(UnitRecord, _TOP)
_FIRST_ORDER = (_TOP.c.length, _FIRST.level, _FIRST.detsis_no)


@dataclass(frozen=True)
class Narrowing:
    """What a search is confined to; None does not confine."""

    sendable_only: bool = False
    main_institution: int | None = None
    category_id: int | None = None
    status_id: int | None = None
    place_id: int | None = None
    province_code: int | None = None
    active: bool | None = None
    external_addressee: bool | None = None


@dataclass(frozen=True)
class SearchPage:
    """One page of a search."""

    units: list[Unit]
    next_cursor: str | None
    corrections: list[WordCorrection] = field(default_factory=list)


async def search(
    session: AsyncSession, vocabulary: Vocabulary, query: str, *, limit: int, cursor: str | None, narrowing: Narrowing
) -> SearchPage:
    """Units whose name holds every word of ``query``, best first.

    Best: who can receive a letter, then who is open, then the exact name, then a name that starts with
    the query, then one that holds its words whole; among those the shorter and the higher. Of words that
    thousands of names hold, length and height alone decide: the shortest names are the exact ones. After them come
    units whose name holds some of the words while their main institution's holds the others. Eight
    digits find the unit of that number; without a query all are listed by number. Raises ``DomainError``
    (validation-failed) for a cursor of another kind, for a longer number, and beyond 10,000 hits.
    """
    stage, offset = _place(cursor)
    folded = fold(_INFLECTION.sub(" ", query))
    confined = _confined(narrowing)
    if folded.isdigit() and len(folded) >= _NUMBER_DIGITS:
        if len(folded) > _NUMBER_DIGITS:
            detail = "a DETSİS number has eight digits"
            raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault("/query/q", detail)])
        confined.append(_U.detsis_no == int(folded))
    elif folded:
        return await _by_words(session, vocabulary, folded, narrowing, stage=stage, offset=offset, limit=limit)
    elif query.strip():
        return SearchPage([], None)  # a query of which nothing is left is not the same as none
    listed = select(_U.detsis_no).where(*confined).order_by(_U.detsis_no).offset(offset).limit(limit + 1)
    found = list(await session.scalars(listed))
    return SearchPage(await described(session, found[:limit]), _more(found, limit, "s", offset))


async def _by_words(
    session: AsyncSession,
    vocabulary: Vocabulary,
    folded: str,
    narrowing: Narrowing,
    *,
    stage: str,
    offset: int,
    limit: int,
) -> SearchPage:
    choices = vocabulary.choose(list(dict.fromkeys(folded.split()[:_MOST_WORDS])))
    corrections = [
        WordCorrection(written=item.written, taken_as=list(item.guesses)) for item in choices if item.guesses
    ]
    found: list[int] = []
    if stage != "r":
        stage, found = await _by_name(session, choices, folded, narrowing, stage=stage, offset=offset, limit=limit + 1)
        following = _more(found, limit, stage, offset)
        offset = 0
        if following is not None:
            return SearchPage(await described(session, found[:limit]), following, corrections)
    room = limit - len(found)
    related = await _related(session, vocabulary, choices, narrowing, offset=offset, limit=room + 1)
    following = _more(related, room, "r", offset)
    return SearchPage(await described(session, found + related[:room]), following, corrections)


async def _by_name(
    session: AsyncSession,
    choices: Sequence[WordChoice],
    folded: str,
    narrowing: Narrowing,
    *,
    stage: str,
    offset: int,
    limit: int,
) -> tuple[str, list[int]]:
    """Numbers of units whose own name fits, and how they are ordered: ``s`` by all that counts, ``d`` along the index."""
    words = " & ".join(choice.condition for choice in choices)
    if stage == "s" and (offset or not _perhaps_dense(choices)):
        whole = _matches(" & ".join(choice.written for choice in choices))
        fit = case(
            (_U.folded_name == folded, 0),
            (_U.folded_name.startswith(folded, autoescape=True), 1),
            (whole, 2),
            else_=3,
        )
        found, hits = await _sorted(session, [_matches(words), *_confined(narrowing)], fit, offset=offset, limit=limit)
        if hits <= _DENSE or offset:
            return "s", found
    return "d", await _along_the_index(session, words, shortest_name(choices), narrowing, offset=offset, limit=limit)


def _perhaps_dense(choices: Sequence[WordChoice]) -> bool:
    """Whether even the rarest word is a common one: names that hold it whole are then found among the shortest."""
    return all(choice.most_units is not None and choice.most_units > _COMMON for choice in choices)


async def _sorted(
    session: AsyncSession,
    conditions: Sequence[ColumnElement[bool]],
    fit: ColumnElement[int],
    *,
    offset: int,
    limit: int,
) -> tuple[list[int], int]:
    """One page of all hits in order, and how many there are; more than ``_DENSE`` are not looked at."""
    # Materialised and cut off: the planner would otherwise walk the whole register for words that never meet.
    hits = (
        select(_U.detsis_no, _U.search_rank, fit.label("fit"), _LENGTH.label("length"), _U.level)
        .where(*conditions)
        .limit(_DENSE + 1)
        .cte("hits")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    columns = hits.c
    rows = (
        await session.execute(
            select(columns.detsis_no, select(func.count()).select_from(hits).scalar_subquery())
            .order_by(columns.search_rank, columns.fit, columns.length, columns.level, columns.detsis_no)
            .offset(offset)
            .limit(limit)
        )
    ).all()
    return [number for number, _hits in rows], rows[0][1] if rows else 0


async def _along_the_index(
    session: AsyncSession, words: str, shortest: int, narrowing: Narrowing, *, offset: int, limit: int
) -> list[int]:
    """One page by rank, length and level alone, which an index holds ready."""
    conditions = [_matches(words, _FIRST), *_confined(narrowing, _FIRST)]
    walked = select(_FIRST.detsis_no).where(*conditions).order_by(*_FIRST_ORDER).offset(offset).limit(limit)
    found = list(await session.scalars(walked, {"shortest": shortest}))
    if len(found) == limit:
        return found
    # Not all at the top: then sorting what there is costs less than walking on, unless it is very much.
    conditions = [_matches(words), *_confined(narrowing)]
    found, hits = await _sorted(session, conditions, literal(0), offset=offset, limit=limit)
    if hits <= _DENSE:
        return found
    whole = select(_U.detsis_no).where(*conditions).order_by(*_ORDER).offset(offset).limit(limit)
    return list(await session.scalars(whole))


async def _related(
    session: AsyncSession,
    vocabulary: Vocabulary,
    choices: Sequence[WordChoice],
    narrowing: Narrowing,
    *,
    offset: int,
    limit: int,
) -> list[int]:
    """Numbers of units that share the words with their main institution: "izmir su isleri" below İZMİR … BELEDİYESİ."""
    shares = vocabulary.mains.shares(choices)
    if not shares:
        return []
    either = [
        and_(
            _U.main_institution_no.in_(numbers),
            _U.detsis_no != _U.main_institution_no,
            _matches(" & ".join(choices[place].condition for place in range(len(choices)) if place not in held)),
        )
        for held, numbers in shares
    ]
    own = _matches(" & ".join(choice.condition for choice in choices))
    statement = (
        select(_U.detsis_no)
        .where(or_(*either), ~own, *_confined(narrowing))
        .order_by(*_ORDER)
        .offset(offset)
        .limit(limit)
    )
    return list(await session.scalars(statement))


def _matches(condition: str, unit: type[UnitRecord] = _U) -> ColumnElement[bool]:
    return unit.search_words.bool_op("@@")(func.to_tsquery(_SIMPLE, condition))


def _confined(narrowing: Narrowing, unit: type[UnitRecord] = _U) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if narrowing.sendable_only:
        wanted.append(unit.search_rank == 0)
    for column, value in (
        (unit.main_institution_no, narrowing.main_institution),
        (unit.category_id, narrowing.category_id),
        (unit.status_id, narrowing.status_id),
        (unit.place_id, narrowing.place_id),
        (unit.active, narrowing.active),
        (unit.external_addressee, narrowing.external_addressee),
    ):
        if value is not None:
            wanted.append(column == value)
    if narrowing.province_code is not None:
        wanted.append(
            unit.place_id.in_(select(PlaceRecord.place_id).where(PlaceRecord.province_code == narrowing.province_code))
        )
    return wanted


def _more(found: Sequence[int], limit: int, stage: str, offset: int) -> str | None:
    """The cursor of the next page, if more was found than fits on this one."""
    if len(found) <= limit:
        return None
    return base64.urlsafe_b64encode(f"{stage}:{offset + limit}".encode()).decode().rstrip("=")


def _place(cursor: str | None) -> tuple[str, int]:
    if cursor is None:
        return "s", 0
    try:
        written = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError as error:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the cursor was not made by this service") from error
    match = _CURSOR.fullmatch(written)
    if match is None:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the cursor was not made by this service")
    if int(match[2]) > _DEEPEST:
        detail = "nobody reads 10,000 hits: narrow the search, or read the export"
        raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault("/query/cursor", detail)])
    return match[1], int(match[2])
