"""What a person should know about a unit that can be written to, by what the mirror says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.mirror import certificates, versions
from services.detsis_sync.mirror.conditions import ABSENT
from services.detsis_sync.tables import CertificateRecord, UnitSighting
from shared.contracts.directory import (
    DirectoryWarning,
    Freshness,
    ResolutionLevel,
    ResolutionProblem,
    Unit,
    WarningCode,
)


@dataclass(frozen=True)
class Asked:
    """What a letter is to be, as far as it matters for its recipients."""

    eyp_version: str | None = None
    """The version of its package."""
    encrypted: bool = False
    """The package is to be encrypted for its recipient."""


@dataclass(frozen=True)
class Background:
    """What the mirror has about some units besides their addresses, for what was asked."""

    units: Mapping[int, Unit]
    asked: Asked
    now: datetime
    soon: timedelta
    """A certificate that expires within this time is named."""
    absent: Mapping[int, datetime]
    versions: Mapping[int, Sequence[str]]
    certificates: Mapping[int, CertificateRecord]

    def of(self, number: int) -> list[DirectoryWarning]:
        """What speaks against writing to ``number``; nothing about a unit the mirror does not know."""
        unit = self.units.get(number)
        if unit is None:
            return []
        return [
            *of_standing(unit, self.absent.get(number)),
            *self._version(number),
            *self._certificate(number),
        ]

    def _version(self, number: int) -> Iterator[DirectoryWarning]:
        if self.asked.eyp_version is None:
            return
        known = self.versions.get(number, ())
        taken = [item for item in map(versions.ordered, known) if item is not None]
        wanted = versions.ordered(self.asked.eyp_version)
        if not taken or wanted is None:
            yield warning(WarningCode.EYP_VERSION_UNKNOWN, "which package versions this recipient takes is not known")
        elif max(taken) < wanted:
            yield warning(
                WarningCode.EYP_VERSION_LOWER,
                f"the recipient takes package versions {', '.join(known)}; the letter's is {self.asked.eyp_version}",
            )

    def _certificate(self, number: int) -> Iterator[DirectoryWarning]:
        if not self.asked.encrypted:
            return
        record = self.certificates.get(number)
        if record is None:
            yield warning(
                WarningCode.NO_ENCRYPTION_CERTIFICATE,
                "the nightly copy has no usable encryption certificate of this recipient",
            )
        elif record.not_after is not None and (doubt := expiring(record.not_after, self.now, self.soon)) is not None:
            yield doubt


async def of_units(
    session: AsyncSession,
    numbers: Sequence[int],
    known: Mapping[int, Unit],
    asked: Asked,
    now: datetime,
    soon: timedelta,
) -> Background:
    """Gather what the mirror has about these units: one query, two more for each thing asked."""
    rows = await session.execute(ABSENT.where(UnitSighting.detsis_no.in_(numbers)))
    absent = {number: since for number, since in rows if since is not None}
    taken = await versions.versions_of(session, numbers) if asked.eyp_version is not None else {}
    chosen = await certificates.best(session, numbers, now) if asked.encrypted else {}
    return Background(known, asked, now, soon, absent, taken, chosen)


def of_standing(unit: Unit, absent_since: datetime | None) -> Iterator[DirectoryWarning]:
    """Doubts about the unit itself. ``absent_since``: from every list that ever named it."""
    if unit.active and not unit.operating:
        yield warning(WarningCode.UNIT_HALF_OPEN, "DETSİS lists the unit as active but not operating (yet)")
    elif unit.operating and not unit.active:
        yield warning(WarningCode.UNIT_HALF_OPEN, "DETSİS lists the unit as operating but not active (any more)")
    if absent_since is not None:
        yield warning(
            WarningCode.UNIT_ABSENT,
            f"no list of DETSİS names this unit any more, since {absent_since.date().isoformat()}",
        )


def of_mirrored_address(unit: Unit | None, freshness: Freshness) -> Iterator[DirectoryWarning]:
    """Doubts about an address that the mirror gives."""
    if unit is None:
        return
    if freshness.stale:
        yield stale()
    yield from of_addresses(unit)


def of_addresses(unit: Unit) -> Iterator[DirectoryWarning]:
    """Doubts that a unit's list of addresses raises."""
    active = [item.address for item in unit.kep_addresses if item.active]
    if len(active) > 1:
        yield warning(
            WarningCode.SEVERAL_ADDRESSES, f"the unit has {len(active)} active addresses: {', '.join(active[:5])}"
        )
    elif active and any(not item.active and item.absent_since is None for item in unit.kep_addresses):
        yield warning(WarningCode.ADDRESS_BEING_REPLACED, "another address of this unit is listed but not active (yet)")


def stale() -> DirectoryWarning:
    """The mirror as a whole is old."""
    return warning(WarningCode.MIRROR_STALE, "the nightly copy is old: the unit or its address may have changed")


def expiring(not_after: datetime, now: datetime, soon: timedelta) -> DirectoryWarning | None:
    """Whether a certificate that is still valid has to be renewed soon."""
    if not_after - now > soon:
        return None
    return warning(
        WarningCode.CERTIFICATE_EXPIRES_SOON, f"the encryption certificate expires at {not_after.isoformat()}"
    )


def level(problem: ResolutionProblem | None, warnings: Sequence[DirectoryWarning]) -> ResolutionLevel:
    """How much a person has to look."""
    if problem is not None:
        return ResolutionLevel.ERROR
    return ResolutionLevel.WARNING if warnings else ResolutionLevel.OK


def warning(code: WarningCode, detail: str) -> DirectoryWarning:
    """One warning."""
    return DirectoryWarning(code=code, detail=detail)
