"""The register as it was: present rows with the later changes taken back, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import inspect, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.tree import known
from services.detsis_sync.mirror.units import DEEPEST, Surroundings, address_of, labels_of, unit_of
from services.detsis_sync.tables import Change, KepAddressRecord, Run, UnitRecord, UnitSighting
from shared.contracts.directory import Freshness, Unit, UnitAnswer
from shared.contracts.directory.history import ChangeKind, ChangeSubject
from shared.errors import DomainError, ErrorCode

Row = dict[str, Any]
_OF_LISTS = (ChangeKind.ABSENT, ChangeKind.RETURNED, ChangeKind.TOMBSTONED)
_MOMENTS = ("absent_since", "tombstoned_at")


@dataclass(frozen=True)
class Taken:
    """One change to take back."""

    kind: str
    old: Mapping[str, Any] | None


@dataclass
class PastSighting:
    """In which list a unit was seen, then."""

    list_name: str
    absent_since: datetime | None
    tombstoned_at: datetime | None


def taken_back(row: Row, later: Iterable[Taken]) -> Row | None:
    """``row`` as it was before ``later`` changes (newest first); None if it did not exist yet."""
    then = dict(row)
    for change in later:
        if change.kind == ChangeKind.CREATED:
            return None
        then |= {name: _value(name, value) for name, value in (change.old or {}).items() if name in then}
    return then


def _value(name: str, value: Any) -> Any:
    """What JSON keeps as text."""
    return datetime.fromisoformat(value) if name in _MOMENTS and value is not None else value


async def unit_at(session: AsyncSession, age: MirrorAge, detsis_no: int, moment: datetime) -> UnitAnswer:
    """A unit as the mirror had it at ``moment``, with its addresses of then.

    Raises ``DomainError`` (not-found): the unit was never seen, history begins later, or the unit was not there yet.
    """
    freshness = await snapshot_at(session, age, moment)
    await known(session, detsis_no)
    unit = await Past(session, moment).unit(detsis_no)
    if unit is None:
        detail = f"the mirror did not know unit {detsis_no} yet at {moment.isoformat()}"
        raise DomainError(ErrorCode.NOT_FOUND, detail)
    return UnitAnswer(unit=unit, moment=moment, freshness=freshness)


async def snapshot_at(session: AsyncSession, age: MirrorAge, moment: datetime) -> Freshness:
    """The snapshot that was served at ``moment``. Raises ``DomainError`` (not-found) where history does not reach."""
    begins = await age.history_begins(session)
    if begins is None:
        raise DomainError(ErrorCode.NOT_FOUND, "the mirror has no snapshot yet")
    if moment < begins:
        detail = f"history begins with the snapshot of {begins.isoformat()}; what was before is not known"
        raise DomainError(ErrorCode.NOT_FOUND, detail)
    return await age.at(session, moment)


class Past:
    """Rows as they were at one moment. Belongs to one session, and remembers what it has folded."""

    def __init__(self, session: AsyncSession, moment: datetime) -> None:
        self._session = session
        self._moment = moment
        self._rows: dict[int, Row | None] = {}

    async def unit(self, detsis_no: int) -> Unit | None:
        """The unit with its addresses, path and main institution of then; None if it was not there yet.

        Labels of category and status are those of today.
        """
        row = await self.row(detsis_no)
        if row is None:
            return None
        labels = await labels_of(self._session, [row["category_id"]], [row["status_id"]])
        main = await self.row(row["main_institution_no"]) if row["main_institution_no"] is not None else None
        around = Surroundings(
            path=await self._path(row),
            main_institution_name=None if main is None else main["name"],
            sightings=await self._sightings(detsis_no),
            category=labels.categories.get(row["category_id"]),
            status=labels.statuses.get(row["status_id"]),
        )
        return unit_of(row, [address_of(item) for item in await self.addresses(detsis_no)], around)

    async def row(self, detsis_no: int) -> Row | None:
        """The fields of the unit's row; None if it was not there."""
        if detsis_no not in self._rows:
            self._rows[detsis_no] = await self._folded_unit(detsis_no)
        return self._rows[detsis_no]

    async def addresses(self, detsis_no: int) -> list[Row]:
        """The unit's KEP addresses, those no longer listed then included."""
        rows = await self._session.scalars(select(KepAddressRecord).where(KepAddressRecord.detsis_no == detsis_no))
        later: dict[str, list[Taken]] = {}
        for change in await self._later(detsis_no, ChangeSubject.KEP_ADDRESS):
            later.setdefault(change.subject_key.partition(" ")[2], []).append(Taken(change.kind, change.old))
        folded = (taken_back(_fields(row), later.get(row.address, ())) for row in rows)
        return [row for row in folded if row is not None]

    async def _folded_unit(self, detsis_no: int) -> Row | None:
        record = await self._session.get(UnitRecord, detsis_no)
        if record is None:
            return None
        later = [c for c in await self._later(detsis_no, ChangeSubject.UNIT) if c.kind not in _OF_LISTS]
        row = taken_back(_fields(record), [Taken(change.kind, change.old) for change in later])
        if row is None or not later:
            return row
        before = await self._session.scalar(
            select(Change.run_id)
            .where(
                Change.detsis_no == detsis_no, Change.subject == ChangeSubject.UNIT, Change.kind.not_in(_OF_LISTS),
                Change.changed_at <= self._moment,
            )
            .order_by(Change.change_id.desc())
            .limit(1)
        )  # fmt: skip
        return row | {"changed_run_id": before or row["first_run_id"]}

    async def _sightings(self, detsis_no: int) -> list[PastSighting]:
        """Lists that had named the unit by then."""
        seen = await self._session.execute(
            select(UnitSighting)
            .outerjoin(Run, Run.run_id == UnitSighting.first_run_id)
            .where(
                UnitSighting.detsis_no == detsis_no,
                or_(UnitSighting.first_run_id.is_(None), Run.published_at <= self._moment),
            )
        )
        rows = {(row.institution_no, row.list_name): _fields(row) for (row,) in seen}
        changes = await self._session.execute(
            select(Run.institution_no, Change.kind, Change.old)
            .join(Run, Run.run_id == Change.run_id)
            .where(*self._after(detsis_no, ChangeSubject.UNIT), Change.kind.in_(_OF_LISTS))
            .order_by(Change.change_id.desc())
        )
        for institution_no, kind, old in changes:
            key = (institution_no, (old or {}).get("list"))
            if key in rows:
                # Of a list that has just been missed a second time, what came before has no burial.
                before = Taken(kind, {"tombstoned_at": None} | (old or {}))
                rows[key] = taken_back(rows[key], [before]) or rows[key]
        return [PastSighting(row["list_name"], row["absent_since"], row["tombstoned_at"]) for row in rows.values()]

    async def _path(self, row: Row) -> list[str]:
        names, seen, above = [row["name"]], {row["detsis_no"]}, row["parent_no"]
        while above is not None and above not in seen and len(seen) <= DEEPEST:
            parent = await self.row(above)
            if parent is None:
                break
            seen.add(above)
            names.append(parent["name"])
            above = parent["parent_no"]
        return names[::-1]

    async def _later(self, detsis_no: int, subject: ChangeSubject) -> Sequence[Change]:
        """Changes after the moment, newest first."""
        wanted = select(Change).where(*self._after(detsis_no, subject)).order_by(Change.change_id.desc())
        return (await self._session.scalars(wanted)).all()

    def _after(self, detsis_no: int, subject: ChangeSubject) -> tuple[Any, ...]:
        return Change.detsis_no == detsis_no, Change.subject == subject, Change.changed_at > self._moment


def _fields(record: object) -> Row:
    """A row's columns by name."""
    state = inspect(record)
    assert state is not None
    return {attribute.key: attribute.value for attribute in state.attrs}
