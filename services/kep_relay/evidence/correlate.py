"""Which letter a piece of evidence belongs to, in the order of kep.md 3.6, within one institution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.tables import EvidenceRow, OutboundRecipientRow
from shared.domain.verdict import Conclusion

_Recipient = OutboundRecipientRow


@dataclass(frozen=True)
class Correlation:
    """The recipient a piece of evidence is about, and what told."""

    recipient_id: UUID
    message_id: UUID
    by: str
    """``original-id``, ``dispatch-id``, ``digest``, ``rem-id`` or ``references``."""


async def correlate(session: AsyncSession, evidence: EvidenceRow) -> Correlation | None:
    """Find the recipient; None when nothing fits or more than one does. Never guesses by subject or time."""
    if evidence.original_id and (
        found := await _one(
            session, evidence, "original-id", _Recipient.message_id_header.in_(_spellings(evidence.original_id))
        )
    ):
        return found
    if evidence.dispatch_id and (found := await _by_dispatch(session, evidence)):
        return found
    if evidence.digest_value and (
        found := await _one(session, evidence, "digest", _Recipient.composed_sha256 == evidence.digest_value)
    ):
        return found
    if evidence.rem_id and (found := await _one(session, evidence, "rem-id", _Recipient.rem_id == evidence.rem_id)):
        return found
    if evidence.references:
        spellings = [text for reference in evidence.references for text in _spellings(reference)]
        return await _one(session, evidence, "references", _Recipient.message_id_header.in_(spellings))
    return None


def _spellings(message_id: str) -> tuple[str, str]:
    return f"<{message_id}>", message_id


async def _by_dispatch(session: AsyncSession, evidence: EvidenceRow) -> Correlation | None:
    """The provider's own identifier, learned from earlier evidence (usually 10) that named our Message-ID."""
    known = select(EvidenceRow.recipient_id).where(
        EvidenceRow.institution_no == evidence.institution_no,
        EvidenceRow.dispatch_id == evidence.dispatch_id,
        EvidenceRow.recipient_id.is_not(None),
        EvidenceRow.evidence_id != evidence.evidence_id,
        EvidenceRow.conclusion.is_distinct_from(Conclusion.FAILED.value),
    )
    return await _one(session, evidence, "dispatch-id", _Recipient.recipient_id.in_(known))


async def _one(
    session: AsyncSession, evidence: EvidenceRow, by: str, condition: ColumnElement[Any]
) -> Correlation | None:
    rows = (
        await session.execute(
            select(_Recipient.recipient_id, _Recipient.message_id)
            .where(_Recipient.institution_no == evidence.institution_no, condition)
            .limit(2)
        )
    ).all()
    return Correlation(rows[0][0], rows[0][1], by) if len(rows) == 1 else None
