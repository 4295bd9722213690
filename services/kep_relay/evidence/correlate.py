"""Which letter a piece of evidence belongs to, in the order of kep.md 3.6, within one institution.

Every identifier in it was chosen by some sender, who may have chosen one of ours for a letter of his
own; the mail's headers can be anybody's. So the addresses a document names must fit the letter too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.tables import EvidenceRow, MailboxRow, OutboundRecipientRow
from shared.domain.identifiers import KepAddress, kep_address
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
    # A mail also refers to the letters it answers; an id in the document itself speaks against those.
    if evidence.references and evidence.original_id is None:
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
        or_(EvidenceRow.conclusion == Conclusion.PASSED.value, EvidenceRow.provisional),
    )
    return await _one(session, evidence, "dispatch-id", _Recipient.recipient_id.in_(known))


async def _one(
    session: AsyncSession, evidence: EvidenceRow, by: str, condition: ColumnElement[Any]
) -> Correlation | None:
    rows = (
        await session.execute(
            select(_Recipient.recipient_id, _Recipient.message_id)
            .where(_Recipient.institution_no == evidence.institution_no, condition, *_fitting(evidence))
            .limit(2)
        )
    ).all()
    return Correlation(rows[0][0], rows[0][1], by) if len(rows) == 1 else None


def _fitting(evidence: EvidenceRow) -> list[ColumnElement[bool]]:
    """The letter was sent by the named sender to one of the named recipients, as far as any are named."""
    conditions: list[ColumnElement[bool]] = []
    if recipients := _addresses(evidence.recipients):
        conditions.append(_Recipient.kep_address.in_(recipients))
    if evidence.sender and (senders := _addresses([evidence.sender])):
        ours = select(MailboxRow.mailbox_id).where(
            MailboxRow.institution_no == evidence.institution_no, MailboxRow.address.in_(senders)
        )
        conditions.append(ours.exists())
    return conditions


def _addresses(texts: Sequence[str]) -> list[KepAddress]:
    found = []
    for text in texts:
        try:
            found.append(kep_address(text))
        except ValueError:
            continue
    return found
