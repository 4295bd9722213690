"""Units of the mirror, with their addresses and surroundings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.tables import CodeRecord, KepAddressRecord, UnitRecord, UnitSighting
from shared.contracts.directory import Unit, UnitKepAddress
from shared.contracts.directory import units as contract

DEEPEST = 32
"""The register has about ten levels; a loop among parents must not hang a query."""
_AS_THEY_ARE = (
    "detsis_no", "name", "parent_no", "second_parent_no", "main_institution_no", "level", "category_id", "status_id",
    "active", "operating", "external_addressee", "postal_address", "place_id", "place_name",
)  # fmt: skip


class Sighting(Protocol):
    """In which list a unit was seen, as a row of now or of then."""

    @property
    def list_name(self) -> str:
        """Name of the list."""
        ...

    @property
    def absent_since(self) -> datetime | None:
        """Since when it is missing there."""
        ...

    @property
    def tombstoned_at(self) -> datetime | None:
        """When it was missing a second time."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """What stands around a unit; nothing of it is needed for a letter's address."""

    path: Sequence[str] = ()
    main_institution_name: str | None = None
    sightings: Sequence[Sighting] = ()
    category: str | None = None
    status: str | None = None


@dataclass(frozen=True)
class Labels:
    """Labels of categories and statuses by their ids, as the code lists have them today."""

    categories: Mapping[int, str] = field(default_factory=dict)
    statuses: Mapping[int, str] = field(default_factory=dict)


async def units(session: AsyncSession, numbers: Sequence[int], *, surroundings: bool = True) -> dict[int, Unit]:
    """The units of the given numbers that the mirror knows."""
    found = list((await session.scalars(select(UnitRecord).where(UnitRecord.detsis_no.in_(numbers)))).all())
    return {unit.detsis_no: unit for unit in await described(session, found, surroundings=surroundings)}


async def described(
    session: AsyncSession, records: Sequence[UnitRecord], *, surroundings: bool = True, paths: bool = True
) -> list[Unit]:
    """Records with their addresses, in the same order; a fixed number of queries.

    With ``surroundings`` also path, main institution's name, labels and sightings, which no letter's address needs;
    without ``paths`` all of these but the path, which costs more than the rest together.
    """
    numbers = [record.detsis_no for record in records]
    addresses: dict[int, list[KepAddressRecord]] = {number: [] for number in numbers}
    for row in await session.scalars(select(KepAddressRecord).where(KepAddressRecord.detsis_no.in_(numbers))):
        addresses[row.detsis_no].append(row)
    around: Mapping[int, Surroundings] = await _around(session, records, paths=paths) if surroundings else {}
    return [
        unit_of(
            vars(record),
            [address_of(vars(row)) for row in addresses[record.detsis_no]],
            around.get(record.detsis_no, Surroundings()),
        )
        for record in records
    ]


def unit_of(fields: Mapping[str, Any], addresses: Iterable[UnitKepAddress], around: Surroundings) -> Unit:
    """One unit from the fields of its row, of now or of then; addresses in use first."""
    listed = sorted(addresses, key=lambda item: (not item.active, item.address))
    merged = merged_sightings(around.sightings)
    everywhere = [(item.absent_since, item.tombstoned_at) for item in merged]
    absent = bool(everywhere) and all(since is not None for since, _ in everywhere)
    buried = absent and all(at is not None for _, at in everywhere)
    return Unit(
        **{name: fields[name] for name in _AS_THEY_ARE},
        main_institution_name=around.main_institution_name,
        path=list(around.path),
        category=around.category,
        status=around.status,
        kinds=[contract.UnitKind(kind_id=item["id"], label=item["label"]) for item in fields["kinds"]],
        sendable=fields["active"]
        and fields["operating"]
        and fields["external_addressee"]
        and any(item.active for item in listed),
        absent_since=max(since for since, _ in everywhere if since is not None) if absent else None,
        tombstoned_at=max(at for _, at in everywhere if at is not None) if buried else None,
        sightings=merged,
        first_snapshot_id=fields["first_run_id"],
        changed_snapshot_id=fields["changed_run_id"],
        kep_addresses=listed,
    )


def address_of(fields: Mapping[str, Any]) -> UnitKepAddress:
    """One address from the fields of its row."""
    return UnitKepAddress(
        address=fields["address"],
        active=fields["active"] and fields["absent_since"] is None,
        status_text=fields["status_text"],
        absent_since=fields["absent_since"],
    )


def merged_sightings(rows: Iterable[Sighting]) -> list[contract.UnitSighting]:
    """One line for each list by name, whoever fetched it: absent only where nobody's names the unit any more."""
    by_list: dict[str, list[Sighting]] = {}
    for row in rows:
        by_list.setdefault(row.list_name, []).append(row)
    merged = []
    for name, seen in sorted(by_list.items()):
        absences = [row.absent_since for row in seen if row.absent_since is not None]
        burials = [row.tombstoned_at for row in seen if row.tombstoned_at is not None]
        merged.append(
            contract.UnitSighting(
                list_name=name,
                absent_since=max(absences) if len(absences) == len(seen) else None,
                tombstoned_at=max(burials) if len(burials) == len(seen) else None,
            )
        )
    return merged


async def labels_of(session: AsyncSession, categories: Iterable[int], statuses: Iterable[int]) -> Labels:
    """What the code lists call them."""
    found: dict[str, dict[int, str]] = {"category": {}, "status": {}}
    wanted = select(CodeRecord.kind, CodeRecord.code_id, CodeRecord.label).where(
        CodeRecord.label.is_not(None),
        or_(
            (CodeRecord.kind == "category") & CodeRecord.code_id.in_(set(categories)),
            (CodeRecord.kind == "status") & CodeRecord.code_id.in_(set(statuses)),
        ),
    )
    for kind, code_id, label in await session.execute(wanted):
        found[kind][code_id] = label or ""
    return Labels(found["category"], found["status"])


async def _around(session: AsyncSession, records: Sequence[UnitRecord], *, paths: bool) -> dict[int, Surroundings]:
    numbers = [record.detsis_no for record in records]
    walked = await _paths(session, numbers) if paths else {}
    main_names = await _names(session, {record.main_institution_no for record in records})
    seen: dict[int, list[UnitSighting]] = {}
    for row in await session.scalars(select(UnitSighting).where(UnitSighting.detsis_no.in_(numbers))):
        seen.setdefault(row.detsis_no, []).append(row)
    labels = await labels_of(
        session, {record.category_id for record in records}, {record.status_id for record in records}
    )
    return {
        record.detsis_no: Surroundings(
            path=walked.get(record.detsis_no, []),
            main_institution_name=main_names.get(record.main_institution_no or 0),
            sightings=seen.get(record.detsis_no, ()),
            category=labels.categories.get(record.category_id),
            status=labels.statuses.get(record.status_id),
        )
        for record in records
    }


async def lines(session: AsyncSession, numbers: Sequence[int]) -> dict[int, list[tuple[int, str, int | None]]]:
    """Number, name and parent of each unit and of all above it that the mirror knows, nearest first."""
    base = select(
        UnitRecord.detsis_no.label("unit"), UnitRecord.detsis_no, UnitRecord.parent_no, UnitRecord.name,
        literal(0).label("up"),
    ).where(UnitRecord.detsis_no.in_(numbers))  # fmt: skip
    chain = base.cte("chain", recursive=True)
    chain = chain.union_all(
        select(chain.c.unit, UnitRecord.detsis_no, UnitRecord.parent_no, UnitRecord.name, chain.c.up + 1)
        .join(chain, UnitRecord.detsis_no == chain.c.parent_no)
        .where(chain.c.up < DEEPEST)
    )
    found: dict[int, dict[int, tuple[int, str, int | None]]] = {}
    for unit, number, name, parent in await session.execute(
        select(chain.c.unit, chain.c.detsis_no, chain.c.name, chain.c.parent_no).order_by(chain.c.unit, chain.c.up)
    ):
        found.setdefault(unit, {}).setdefault(number, (number, name, parent))  # a loop is walked once
    return {unit: list(line.values()) for unit, line in found.items()}


async def _paths(session: AsyncSession, numbers: Sequence[int]) -> dict[int, list[str]]:
    """Names from the topmost known ancestor down to each unit; the display path of DETSİS can be wrong."""
    return {
        unit: [name for _number, name, _parent in reversed(line)]
        for unit, line in (await lines(session, numbers)).items()
    }


async def _names(session: AsyncSession, numbers: set[int | None]) -> Mapping[int, str]:
    wanted = select(UnitRecord.detsis_no, UnitRecord.name).where(UnitRecord.detsis_no.in_(numbers - {None}))
    return {row.detsis_no: row.name for row in await session.execute(wanted)}
