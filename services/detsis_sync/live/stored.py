"""What the mirror has for one letter: units, certificates, and how a name becomes an addressee line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.mirror.certificates import by_holder, owners, usable
from services.detsis_sync.mirror.units import units as mirrored_units
from services.detsis_sync.tables import CertificateRecord, CodeRecord, UnitRecord
from shared.contracts.directory import Unit


@dataclass(frozen=True)
class MirroredLetter:
    """The mirror's side of a letter, read in one view."""

    units: Mapping[int, Unit]
    """Recipients and sender."""
    addressees: Mapping[int, str]
    """The addressee line of each recipient whose status says how its name is inflected."""
    certificates: Mapping[int, Sequence[CertificateRecord]]
    """Newest first, by the institution they were uploaded for."""
    owners: Mapping[int, int]
    """Whose certificate serves a recipient."""

    def certificate(self, number: int, now: datetime) -> CertificateRecord | None:
        """The certificate to encrypt with: active, in date, newest; the recipient's own, else its owner's."""
        return next(usable(self.certificates, number, self.owners.get(number), now), None)

    def holder(self, number: int, sha256: str) -> int | None:
        """Whom the certificate with this digest, which serves ``number``, was uploaded for."""
        for holder in (number, self.owners.get(number)):
            if holder is not None and any(record.sha256 == sha256 for record in self.certificates.get(holder, ())):
                return holder
        return None


async def mirrored_letter(session: AsyncSession, sender: int, recipients: Sequence[int]) -> MirroredLetter:
    """Read everything the mirror has for this letter, in a fixed number of queries."""
    units = await mirrored_units(session, [sender, *recipients], surroundings=False)
    owned_by = await owners(session, recipients)
    certificates = await by_holder(session, {*recipients, *owned_by.values()})
    return MirroredLetter(units, await _addressees(session, recipients), certificates, owned_by)


def addressee(name: str, removed: str | None, added: str | None) -> str | None:
    """``name`` as an addressee line by its status: … BAŞKANLIĞI becomes … BAŞKANLIĞINA. None if the rule does not fit."""
    if not added:
        return None
    if not removed:
        return name + added
    return name.removesuffix(removed) + added if name.endswith(removed) else None


async def _addressees(session: AsyncSession, recipients: Sequence[int]) -> dict[int, str]:
    rows = await session.execute(
        select(UnitRecord.detsis_no, UnitRecord.name, CodeRecord.detail)
        .join(CodeRecord, (CodeRecord.kind == "status") & (CodeRecord.code_id == UnitRecord.status_id))
        .where(UnitRecord.detsis_no.in_(recipients), CodeRecord.absent_since.is_(None))
    )
    lines = {
        number: addressee(name, detail.get("addressee_removed"), detail.get("addressee_added"))
        for number, name, detail in rows
    }
    return {number: line for number, line in lines.items() if line is not None}
