"""Units of the mirror, with their addresses and surroundings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import literal, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.tables import CodeRecord, UnitRecord
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


_READ = text("""
    SELECT u.detsis_no, u.name, u.parent_no, u.second_parent_no, u.main_institution_no, u.level, u.category_id,
      u.status_id, u.active, u.operating, u.external_addressee, u.postal_address, u.place_id, u.place_name, u.kinds,
      u.first_run_id, u.changed_run_id,
      (SELECT jsonb_agg(jsonb_build_array(k.address, k.active, k.status_text, k.absent_since))
        FROM kep_addresses k WHERE k.detsis_no = u.detsis_no) AS addresses,
      CASE WHEN :around THEN
        (SELECT m.name FROM units m WHERE m.detsis_no = u.main_institution_no) END AS main_institution_name,
      CASE WHEN :around THEN
        (SELECT c.label FROM codes c WHERE c.kind = 'category' AND c.code_id = u.category_id) END AS category,
      CASE WHEN :around THEN
        (SELECT c.label FROM codes c WHERE c.kind = 'status' AND c.code_id = u.status_id) END AS status,
      CASE WHEN :around THEN
        (SELECT jsonb_agg(jsonb_build_array(s.list_name, s.absent_since, s.tombstoned_at))
          FROM unit_sightings s WHERE s.detsis_no = u.detsis_no) END AS sightings,
      CASE WHEN :path THEN
        (WITH RECURSIVE line (above, names, numbers) AS (
            SELECT u.parent_no, ARRAY[u.name], ARRAY[u.detsis_no]
            UNION ALL
            SELECT p.parent_no, p.name || line.names, p.detsis_no || line.numbers
            FROM line JOIN units p ON p.detsis_no = line.above
            WHERE p.detsis_no <> ALL (line.numbers) AND cardinality(line.numbers) <= :deepest)
          SELECT names FROM line ORDER BY cardinality(numbers) DESC LIMIT 1) END AS path
    FROM unnest(CAST(:numbers AS bigint[])) WITH ORDINALITY AS wanted (detsis_no, place)
    JOIN units u ON u.detsis_no = wanted.detsis_no
    ORDER BY wanted.place
""")
"""One question for a whole page: what a question costs on its way to PostgreSQL and back is more than what it finds."""


@dataclass(frozen=True)
class _Sighting:
    list_name: str
    absent_since: datetime | None
    tombstoned_at: datetime | None


async def units(session: AsyncSession, numbers: Sequence[int], *, surroundings: bool = True) -> dict[int, Unit]:
    """The units of the given numbers that the mirror knows."""
    return {unit.detsis_no: unit for unit in await described(session, numbers, surroundings=surroundings)}


async def described(
    session: AsyncSession, numbers: Sequence[int], *, surroundings: bool = True, paths: bool = True
) -> list[Unit]:
    """The units of the given numbers with their addresses, in the same order; those the mirror does not know are left out.

    With ``surroundings`` also path, main institution's name, labels and sightings, which no letter's address needs;
    without ``paths`` all of these but the path, which costs more than the rest together.
    """
    if not numbers:
        return []
    asked = {
        "numbers": list(dict.fromkeys(numbers)), "around": surroundings, "path": surroundings and paths,
        "deepest": DEEPEST,
    }  # fmt: skip
    rows = (await session.execute(_READ, asked)).mappings()
    return [
        unit_of(
            dict(row),
            [
                _address(address, status_text, active=active, absent_since=_moment(since))
                for address, active, status_text, since in row["addresses"] or ()
            ],
            Surroundings(
                path=row["path"] or (),
                main_institution_name=row["main_institution_name"],
                sightings=[
                    _Sighting(name, _moment(absent), _moment(buried)) for name, absent, buried in row["sightings"] or ()
                ],
                category=row["category"],
                status=row["status"],
            ),
        )
        for row in rows
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
    return _address(
        fields["address"], fields["status_text"], active=fields["active"], absent_since=fields["absent_since"]
    )


def _address(address: str, status_text: str | None, *, active: bool, absent_since: datetime | None) -> UnitKepAddress:
    return UnitKepAddress(
        address=address,
        active=active and absent_since is None,
        status_text=status_text,
        absent_since=absent_since,
    )


def _moment(written: str | None) -> datetime | None:
    """A moment that came as JSON."""
    return None if written is None else datetime.fromisoformat(written)


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
