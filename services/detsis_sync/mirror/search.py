"""Search by name: words in any order, without their diacritics, with endings and typing errors."""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, case, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.mirror.folding import fold
from services.detsis_sync.mirror.units import described
from services.detsis_sync.mirror.vocabulary import Vocabulary, WordChoice
from services.detsis_sync.tables import PlaceRecord, UnitRecord
from shared.contracts.directory import Unit
from shared.contracts.directory.units import WordCorrection
from shared.errors import DomainError, ErrorCode, Fault

_MOST_WORDS = 12
_DENSE = 5000
"""From so many hits on, sorting all of them costs more than walking along the order until a page is full."""
_DEEPEST = 10_000
_MOST_MAIN_INSTITUTIONS = 200
_MOST_SHARES = 4
_NUMBER_DIGITS = 8
_CURSOR = re.compile(r"([sdr]):(\d{1,7})")
_INFLECTION = re.compile(r"['’]\w+")
"""What Turkish parts from a proper name by an apostrophe: Isparta'ya."""
_SIMPLE = text("'simple'::regconfig")

_U = UnitRecord
_LENGTH = func.length(_U.folded_name)


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
    the query, then one that holds its words whole; among those the shorter and the higher. After them come
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
        return await _by_words(session, vocabulary, folded, confined, stage=stage, offset=offset, limit=limit)
    elif query.strip():
        return SearchPage([], None)  # a query of which nothing is left is not the same as none
    listed = select(_U.detsis_no).where(*confined).order_by(_U.detsis_no).offset(offset).limit(limit + 1)
    found = list(await session.scalars(listed))
    return SearchPage(await _units(session, found[:limit]), _more(found, limit, "s", offset))


async def _by_words(
    session: AsyncSession,
    vocabulary: Vocabulary,
    folded: str,
    confined: Sequence[ColumnElement[bool]],
    *,
    stage: str,
    offset: int,
    limit: int,
) -> SearchPage:
    choices = [vocabulary.choose(word) for word in dict.fromkeys(folded.split()[:_MOST_WORDS])]
    corrections = [
        WordCorrection(written=item.written, taken_as=list(item.guesses)) for item in choices if item.guesses
    ]
    found: list[int] = []
    if stage != "r":
        stage, found = await _by_name(session, choices, folded, confined, stage=stage, offset=offset, limit=limit + 1)
        following = _more(found, limit, stage, offset)
        offset = 0
        if following is not None:
            return SearchPage(await _units(session, found[:limit]), following, corrections)
    room = limit - len(found)
    related = await _related(session, choices, confined, offset=offset, limit=room + 1)
    following = _more(related, room, "r", offset)
    return SearchPage(await _units(session, found + related[:room]), following, corrections)


async def _by_name(
    session: AsyncSession,
    choices: Sequence[WordChoice],
    folded: str,
    confined: Sequence[ColumnElement[bool]],
    *,
    stage: str,
    offset: int,
    limit: int,
) -> tuple[str, list[int]]:
    """Numbers of units whose own name fits, and how they are ordered: ``s`` by all that counts, ``d`` along the index."""
    fits = _matches(" & ".join(choice.condition for choice in choices))
    if stage == "s":
        # Materialised and cut off: the planner would otherwise walk the whole register for words that never meet.
        whole = _matches(" & ".join(choice.written for choice in choices))
        hits = (
            select(
                _U.detsis_no,
                _U.search_rank,
                case(
                    (_U.folded_name == folded, 0),
                    (_U.folded_name.startswith(folded, autoescape=True), 1),
                    (whole, 2),
                    else_=3,
                ).label("fit"),
                _LENGTH.label("length"),
                _U.level,
            )
            .where(fits, *confined)
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
        if not rows or rows[0][1] <= _DENSE or offset:
            return "s", [number for number, _hits in rows]
    walked = (
        select(_U.detsis_no)
        .where(fits, *confined)
        .order_by(_U.search_rank, _LENGTH, _U.level, _U.detsis_no)
        .offset(offset)
        .limit(limit)
    )
    return "d", list(await session.scalars(walked))


async def _related(
    session: AsyncSession,
    choices: Sequence[WordChoice],
    confined: Sequence[ColumnElement[bool]],
    *,
    offset: int,
    limit: int,
) -> list[int]:
    """Numbers of units that share the words with their main institution: "izmir su isleri" below İZMİR … BELEDİYESİ."""
    if len(choices) < 2:
        return []
    shares = await _main_institutions_by_words(session, choices)
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
        .where(or_(*either), ~own, *confined)
        .order_by(_U.search_rank, _LENGTH, _U.level, _U.detsis_no)
        .offset(offset)
        .limit(limit)
    )
    return list(await session.scalars(statement))


async def _main_institutions_by_words(
    session: AsyncSession, choices: Sequence[WordChoice]
) -> list[tuple[frozenset[int], list[int]]]:
    """Main institutions whose names hold some of the words but not all, by which of the words they hold; most words first."""
    held = [_matches(choice.condition) for choice in choices]
    rows = await session.execute(
        select(_U.detsis_no, *held)
        .where(_U.detsis_no == _U.main_institution_no, _matches(" | ".join(choice.condition for choice in choices)))
        .order_by(
            sum((case((match, 1), else_=0) for match in held[1:]), case((held[0], 1), else_=0)).desc(), _U.search_rank
        )
        .limit(_MOST_MAIN_INSTITUTIONS)
    )
    by_words: dict[frozenset[int], list[int]] = defaultdict(list)
    for number, *flags in rows:
        places = frozenset(place for place, flag in enumerate(flags) if flag)
        if len(places) < len(choices):
            by_words[places].append(number)
    return sorted(by_words.items(), key=lambda item: -len(item[0]))[:_MOST_SHARES]


def _matches(condition: str) -> ColumnElement[bool]:
    return _U.search_words.bool_op("@@")(func.to_tsquery(_SIMPLE, condition))


def _confined(narrowing: Narrowing) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if narrowing.sendable_only:
        wanted.append(_U.search_rank == 0)
    for column, value in (
        (_U.main_institution_no, narrowing.main_institution),
        (_U.category_id, narrowing.category_id),
        (_U.status_id, narrowing.status_id),
        (_U.place_id, narrowing.place_id),
        (_U.active, narrowing.active),
        (_U.external_addressee, narrowing.external_addressee),
    ):
        if value is not None:
            wanted.append(column == value)
    if narrowing.province_code is not None:
        wanted.append(
            _U.place_id.in_(select(PlaceRecord.place_id).where(PlaceRecord.province_code == narrowing.province_code))
        )
    return wanted


async def _units(session: AsyncSession, numbers: Sequence[int]) -> list[Unit]:
    """The units, in the order of ``numbers``."""
    if not numbers:
        return []
    records = {row.detsis_no: row for row in await session.scalars(select(_U).where(_U.detsis_no.in_(numbers)))}
    return await described(session, [records[number] for number in numbers if number in records])


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
