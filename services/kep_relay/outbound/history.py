"""The append-only history of outgoing letters. Every change of a recipient writes one line here."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, update

from services.kep_relay.tables import OutboundEventRow, OutboundMessageRow
from shared.db.session import UnitOfWork
from shared.domain.message import OutboundState

MAX_DETAIL = 1000


class EventKind(StrEnum):
    """What a line of the history tells."""

    HANDED_OVER = "handed_over"
    """The recipient was accepted for sending; the ledger counts these."""
    ENCRYPTED = "encrypted"
    """The letter travels encrypted: by the gateway for the recipients' certificates, or as it was handed over."""
    UNENCRYPTED_DECISION = "unencrypted_decision"
    """A person decided that the letter travels unencrypted, although its degree asks for encryption."""
    CLIENT_SIGNED = "client_signed"
    """The document system brought the message's signature along; whose it is."""
    NOTICE_ORDERED = "notice_ordered"
    """A person had the sender of an incoming letter told that it is refused."""
    RESOLVED = "resolved"
    COMPOSED = "composed"
    ATTEMPT = "attempt"
    """Written before the provider is touched."""
    OUTCOME = "outcome"
    WAITING = "waiting"
    """A part that is needed before the provider is touched was not available."""
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    INTERRUPTED = "interrupted"
    """The process died between the attempt and its outcome."""
    RECONCILED = "reconciled"
    EVIDENCE = "evidence"
    ATTENTION = "attention"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


async def record(
    work: UnitOfWork,
    *,
    message_id: UUID,
    recipient_id: UUID | None,
    kind: str,
    from_state: OutboundState | str | None,
    to_state: OutboundState | str | None,
    detail: str | None,
    evidence_id: UUID | None,
    at: datetime,
) -> int:
    """Add one line and mark the letter as changed; returns the line's number within the letter.

    The letter's row is locked until the transaction ends, so lines never share a number.
    """
    sequence = (
        await work.session.execute(
            update(OutboundMessageRow)
            .where(OutboundMessageRow.message_id == message_id)
            .values(
                last_sequence=OutboundMessageRow.last_sequence + 1,
                updated_at=func.greatest(OutboundMessageRow.updated_at, at),
            )
            .returning(OutboundMessageRow.last_sequence)
            .execution_options(synchronize_session=False)
        )
    ).scalar_one()
    work.session.add(
        OutboundEventRow(
            message_id=message_id,
            sequence=sequence,
            recipient_id=recipient_id,
            at=at,
            kind=str(kind),
            from_state=None if from_state is None else str(from_state),
            to_state=None if to_state is None else str(to_state),
            detail=None if detail is None else detail[:MAX_DETAIL],
            evidence_id=evidence_id,
        )
    )
    return int(sequence)
