"""KEP addresses in the mirror: those of a unit, the owner of one, and which of several is used."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.mirror import warnings
from services.detsis_sync.tables import KepAddressRecord, UnitRecord
from shared.contracts.directory import DirectoryWarning, Freshness, ResolutionProblem, Unit, WarningCode
from shared.contracts.directory.addresses import (
    AddressOwner,
    AddressState,
    KepAddressAnswer,
    KepAddressEntry,
    UnitKepAddresses,
)
from shared.domain.identifiers import KepAddress
from shared.errors import DomainError, ErrorCode

_MOST_OWNERS = 100
_STATES = list(AddressState)


def is_open(unit: Unit) -> bool:
    """Active, operating and an addressee from outside, by what the mirror says."""
    return unit.active and unit.operating and unit.external_addressee


def mirrored(unit: Unit | None) -> tuple[str | None, ResolutionProblem | None]:
    """The address to use by the mirror, or why there is none."""
    if unit is None:
        return None, ResolutionProblem.UNKNOWN
    if not is_open(unit):
        return None, ResolutionProblem.INACTIVE
    usable = next((item.address for item in unit.kep_addresses if item.active), None)
    if usable is not None:
        return usable, None
    return None, ResolutionProblem.KEP_INACTIVE if unit.kep_addresses else ResolutionProblem.NO_KEP_ADDRESS


def of_unit(unit: Unit, freshness: Freshness, moment: datetime | None = None) -> UnitKepAddresses:
    """The addresses of a unit, of now or of ``moment``, and which of them a letter would go to."""
    chosen, problem = mirrored(unit)
    doubts = [*warnings.of_mirrored_address(unit, freshness), *warnings.of_standing(unit, unit.absent_since)]
    several = sum(item.active for item in unit.kep_addresses) > 1
    return UnitKepAddresses(
        detsis_no=unit.detsis_no,
        name=unit.name,
        addresses=sorted(
            (
                KepAddressEntry(
                    address=item.address,
                    state=_state(active=item.active, absent_since=item.absent_since),
                    status_text=item.status_text,
                    absent_since=item.absent_since,
                )
                for item in unit.kep_addresses
            ),
            key=lambda item: _STATES.index(item.state),
        ),
        chosen=chosen,
        rule="mirror.none" if chosen is None else f"mirror.{'first' if several else 'only'}-active-address",
        problem=problem,
        level=warnings.level(problem, doubts),
        warnings=doubts,
        moment=moment,
        freshness=freshness,
    )


async def owner_of(session: AsyncSession, address: KepAddress, freshness: Freshness) -> KepAddressAnswer:
    """Who has ``address``. Raises ``DomainError`` (NOT_FOUND) when DETSİS never listed it."""
    rows = list(
        await session.execute(
            select(KepAddressRecord, UnitRecord)
            .outerjoin(UnitRecord, UnitRecord.detsis_no == KepAddressRecord.detsis_no)
            .where(KepAddressRecord.address == address)
            .order_by(
                KepAddressRecord.absent_since.is_not(None), KepAddressRecord.active.desc(), KepAddressRecord.detsis_no
            )
            .limit(_MOST_OWNERS)
        )
    )
    if not rows:
        raise DomainError(ErrorCode.NOT_FOUND, "the mirror knows no such KEP address")
    owners = [_owner(record, unit) for record, unit in rows]
    active = [owner for owner in owners if owner.state is AddressState.ACTIVE]
    doubts = list(_of_owners(owners, active, freshness))
    return KepAddressAnswer(
        address=address,
        owner_no=active[0].detsis_no if len(active) == 1 else None,
        owners=owners,
        level=warnings.level(None if active else ResolutionProblem.KEP_INACTIVE, doubts),
        warnings=doubts,
        freshness=freshness,
    )


def _state(*, active: bool, absent_since: datetime | None) -> AddressState:
    if absent_since is not None:
        return AddressState.ABSENT
    return AddressState.ACTIVE if active else AddressState.NOT_ACTIVE


def _owner(record: KepAddressRecord, unit: UnitRecord | None) -> AddressOwner:
    return AddressOwner(
        detsis_no=record.detsis_no,
        name=unit.name if unit is not None else None,
        main_institution_no=unit.main_institution_no if unit is not None else None,
        open_to_letters=unit is not None and unit.active and unit.operating and unit.external_addressee,
        state=_state(active=record.active, absent_since=record.absent_since),
        status_text=record.status_text,
        absent_since=record.absent_since,
    )


def _of_owners(owners: list[AddressOwner], active: list[AddressOwner], freshness: Freshness) -> list[DirectoryWarning]:
    found = []
    if freshness.stale:
        found.append(warnings.stale())
    if len(active) > 1:
        named = ", ".join(str(owner.detsis_no) for owner in active[:5])
        found.append(
            warnings.warning(
                WarningCode.SEVERAL_OWNERS, f"DETSİS lists this address as active for {len(active)} units: {named}"
            )
        )
    if any(owner.name is None for owner in owners):
        found.append(
            warnings.warning(WarningCode.OWNER_UNKNOWN, "the mirror does not know a unit this address is listed for")
        )
    return found
