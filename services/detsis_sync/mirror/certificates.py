"""Which encryption certificate serves a unit: the one rule, for letters and for the directory (detsis.md 8)."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from services.detsis_sync.tables import CertificateOwnerRecord, CertificateRecord
from shared.contracts.directory import CertificateHolder
from shared.contracts.directory.certificates import CertificateRefusal, UnitCertificate

NEWEST_FIRST = (
    CertificateRecord.registered_at.desc().nulls_last(),
    CertificateRecord.not_after.desc().nulls_last(),
    CertificateRecord.sha256,
)
"""Order among the certificates of one institution."""
_MOST_OF_ONE = 50
"""An institution has a handful; what a broken list piles up is not shown whole."""


def refusal(record: CertificateRecord, now: datetime) -> CertificateRefusal | None:
    """Why ``record`` is not used at ``now``; None if only its chain is left to check."""
    if record.absent_since is not None:
        return CertificateRefusal.ABSENT
    if record.unreadable is not None or record.not_before is None or record.not_after is None:
        return CertificateRefusal.UNREADABLE
    if not record.active:
        return CertificateRefusal.INACTIVE
    if now < record.not_before:
        return CertificateRefusal.NOT_YET_VALID
    return CertificateRefusal.EXPIRED if now >= record.not_after else None


def usable(
    certificates: Mapping[int, Sequence[CertificateRecord]], number: int, owner_no: int | None, now: datetime
) -> Iterator[CertificateRecord]:
    """What unit ``number`` may be encrypted for with, best first: its own before its owner's, newest first.

    ``certificates``: by the institution they were uploaded for, each in the order ``NEWEST_FIRST``.
    """
    for holder in dict.fromkeys((number, owner_no)):
        if holder is not None:
            yield from (record for record in certificates.get(holder, ()) if refusal(record, now) is None)


async def owners(session: AsyncSession, numbers: Collection[int]) -> dict[int, int]:
    """Whose certificate serves each unit, as far as DETSİS names one."""
    rows = await session.execute(
        select(CertificateOwnerRecord.unit_no, CertificateOwnerRecord.owner_no).where(
            CertificateOwnerRecord.unit_no.in_(numbers), CertificateOwnerRecord.absent_since.is_(None)
        )
    )
    return {row.unit_no: row.owner_no for row in rows}


async def by_holder(
    session: AsyncSession, holders: Collection[int], *, content: bool = True
) -> dict[int, list[CertificateRecord]]:
    """Every certificate of these institutions, in the order ``NEWEST_FIRST``; without ``content`` their DER is not read."""
    found: defaultdict[int, list[CertificateRecord]] = defaultdict(list)
    for record in await session.scalars(
        select(CertificateRecord)
        .options(*(() if content else (defer(CertificateRecord.der, raiseload=True),)))
        .where(CertificateRecord.detsis_no.in_(holders))
        .order_by(CertificateRecord.detsis_no, *NEWEST_FIRST)
    ):
        found[record.detsis_no].append(record)
    return dict(found)


async def best(session: AsyncSession, numbers: Collection[int], now: datetime) -> dict[int, CertificateRecord]:
    """The certificate each unit would be encrypted for with, without its DER; units that have none are left out."""
    owned_by = await owners(session, numbers)
    found = await by_holder(session, {*numbers, *owned_by.values()}, content=False)
    chosen = {number: next(usable(found, number, owned_by.get(number), now), None) for number in numbers}
    return {number: record for number, record in chosen.items() if record is not None}


async def of_unit(
    session: AsyncSession, number: int, now: datetime, soon: timedelta
) -> tuple[int | None, list[UnitCertificate]]:
    """The institution whose certificate serves ``number``, and all certificates of both, in order of preference."""
    owner_no = (await owners(session, [number])).get(number)
    holders = [holder for holder in dict.fromkeys((number, owner_no)) if holder is not None]
    found = await by_holder(session, holders)
    best = list(usable(found, number, owner_no, now))
    rest = [record for holder in holders for record in found.get(holder, ()) if refusal(record, now) is not None]
    return owner_no, [_shown(record, number, now, soon) for record in [*best, *rest][:_MOST_OF_ONE]]


def _shown(record: CertificateRecord, number: int, now: datetime, soon: timedelta) -> UnitCertificate:
    return UnitCertificate(
        sha256=record.sha256,
        der_base64=base64.b64encode(record.der).decode("ascii"),
        holder=CertificateHolder.OWN if record.detsis_no == number else CertificateHolder.OWNER,
        holder_no=record.detsis_no,
        subject=record.subject,
        issuer=record.issuer,
        serial=record.serial,
        not_before=record.not_before,
        not_after=record.not_after,
        active=record.active,
        stated_expiry=record.stated_expiry,
        registered_at=record.registered_at,
        updated_at=record.updated_at,
        absent_since=record.absent_since,
        unreadable=record.unreadable,
        expires_soon=record.not_after is not None and now <= record.not_after <= now + soon,
        refusal=refusal(record, now),
    )
