"""Whether a letter's state rests on a provider's list alone."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.tables import EvidenceRow, ListedEvidenceRow
from shared.domain.message import EVIDENCE_STATE

_MOVES = tuple(int(code) for code in EVIDENCE_STATE)


async def unproven(session: AsyncSession, recipient_id: UUID | None, arriving: EvidenceRow | None = None) -> bool:
    """Whether an entry listed for the recipient has no document of its code yet.

    Any document of that code will do, also one that came as mail. ``arriving``: one that is being
    weighed now and may not be in the database as such.
    """
    here = exists().where(
        EvidenceRow.recipient_id == ListedEvidenceRow.recipient_id,
        EvidenceRow.code == ListedEvidenceRow.code,
        EvidenceRow.folded_at.is_not(None),
    )
    query = select(ListedEvidenceRow.number).where(
        ListedEvidenceRow.recipient_id == recipient_id,
        ListedEvidenceRow.fits,
        ListedEvidenceRow.code.in_(_MOVES),
        ~here,
    )
    if arriving is not None and arriving.code is not None:
        query = query.where(ListedEvidenceRow.code != arriving.code)
    return await session.scalar(query.limit(1)) is not None
