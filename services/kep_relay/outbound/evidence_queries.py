"""Reads the evidence of outgoing letters into its contract."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.tables import EvidenceRow
from shared.contracts.outbound import EvidenceRecord
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode


@dataclass(frozen=True)
class StoredBytes:
    """Where the bytes of one piece of evidence are."""

    sha256: str
    media_type: str


async def evidence_codes(session: AsyncSession, recipient_ids: Sequence[UUID]) -> dict[UUID, list[int]]:
    """The distinct known codes per recipient, ascending; what failed verification or awaits it is not among them."""
    if not recipient_ids:
        return {}
    rows = await session.execute(
        select(EvidenceRow.recipient_id, EvidenceRow.code)
        .where(
            EvidenceRow.recipient_id.in_(recipient_ids),
            EvidenceRow.code.is_not(None),
            or_(EvidenceRow.conclusion == Conclusion.PASSED.value, EvidenceRow.provisional),
        )
        .distinct()
        .order_by(EvidenceRow.code)
    )
    codes: dict[UUID, list[int]] = defaultdict(list)
    for recipient_id, code in rows:
        if recipient_id is not None and code is not None:
            codes[recipient_id].append(code)
    return codes


async def evidence_records(session: AsyncSession, message_id: UUID) -> list[EvidenceRecord]:
    """Everything received about a letter, in the order it came."""
    rows = await session.scalars(
        select(EvidenceRow)
        .where(EvidenceRow.message_id == message_id)
        .order_by(EvidenceRow.received_at, EvidenceRow.evidence_id)
    )
    return [
        EvidenceRecord.model_validate(
            {
                "evidence_id": row.evidence_id,
                "message_id": row.message_id,
                "recipient_id": row.recipient_id,
                "code": row.code,
                "evidence_type": row.evidence_type,
                "event": row.event,
                "identifier": row.identifier,
                "issuer": row.issuer,
                "event_time": row.event_time,
                "received_at": row.received_at,
                "sha256": row.sha256,
                "size": row.size,
                "media_type": row.media_type,
                "envelope_conclusion": row.envelope_conclusion,
                "signature_conclusion": row.signature_conclusion,
                "reason": row.reason,
            }
        )
        for row in rows
    ]


async def evidence_bytes(
    session: AsyncSession, message_id: UUID, evidence_id: UUID, form: Literal["evidence", "mail"]
) -> StoredBytes:
    """The evidence document, or the whole mail it came in. Raises NOT_FOUND."""
    row = await session.get(EvidenceRow, evidence_id)
    if row is None or row.message_id != message_id:
        raise DomainError(ErrorCode.NOT_FOUND, "no such evidence")
    if form == "mail":
        return StoredBytes(row.raw_sha256, "message/rfc822")
    return StoredBytes(row.sha256, row.media_type)
