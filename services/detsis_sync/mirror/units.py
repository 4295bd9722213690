"""Units of the mirror, with their addresses and surroundings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.mirror.conditions import ABSENT
from services.detsis_sync.tables import KepAddressRecord, UnitRecord, UnitSighting
from shared.contracts.directory import Unit, UnitKepAddress

_DEEPEST = 32  # the register has about ten levels; a loop among parents must not hang a query


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
    rows = await session.execute(ABSENT.where(UnitSighting.detsis_no.in_(numbers)))
    return {number: since for number, since in rows if since is not None}
