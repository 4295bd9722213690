"""Writes a message that is to be sent: its row, one row per recipient, the first lines of its history, and the jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.kep_relay.outbound.history import MAX_DETAIL, EventKind
from services.kep_relay.outbound.jobs import OutboundJobs
from services.kep_relay.tables import OutboundEventRow, OutboundMessageRow, OutboundRecipientRow
from shared.db.session import UnitOfWork
from shared.domain.identifiers import KepAddress, new_id
from shared.domain.message import OutboundState

ADDRESS_RULE = "reply"
"""A notice goes back to where the letter came from; DETSİS is not asked."""


@dataclass(frozen=True)
class Addressee:
    """Whom a message goes to: a unit, whose address DETSİS names later, or an address that is known already."""

    detsis_no: int | None
    kep_address: KepAddress | None = None
    address_rule: str | None = None
    """By which rule that address was chosen."""


async def enter(
    work: UnitOfWork,
    jobs: OutboundJobs,
    message: OutboundMessageRow,
    addressees: Sequence[Addressee],
    *,
    domain: str,
    notable: Sequence[tuple[EventKind, str]] = (),
) -> None:
    """Take ``message`` over in the caller's transaction, at its ``accepted_at``. When that is committed it cannot get lost.

    ``domain``: of the Message-IDs. ``notable``: further lines of the history, about the message as a whole.
    """
    now = message.accepted_at
    message.last_sequence = len(addressees) + len(notable)
    work.session.add(message)
    await work.session.flush()
    recipient_ids = [new_id() for _ in addressees]
    for position, (recipient_id, addressee) in enumerate(zip(recipient_ids, addressees, strict=True)):
        work.session.add(
            OutboundRecipientRow(
                recipient_id=recipient_id,
                message_id=message.message_id,
                institution_no=message.institution_no,
                position=position,
                detsis_no=addressee.detsis_no,
                kep_address=addressee.kep_address,
                address_rule=addressee.address_rule,
                state=OutboundState.QUEUED,
                attention=[],
                message_id_header=f"<{recipient_id}@{domain}>",
                rem_id=str(recipient_id),
                attempts=0,
                setbacks=0,
                next_attempt_at=now,
                created_at=now,
                updated_at=now,
                version=1,
            )
        )
    await work.session.flush()
    # Not ``history.record``, which numbers lines one by one: nobody else can see this message yet.
    work.session.add_all(
        OutboundEventRow(
            message_id=message.message_id, sequence=sequence, recipient_id=recipient_id, at=now,
            kind=EventKind.HANDED_OVER, to_state=OutboundState.QUEUED,
        )
        for sequence, recipient_id in enumerate(recipient_ids, 1)
    )  # fmt: skip
    work.session.add_all(
        OutboundEventRow(
            message_id=message.message_id, sequence=sequence, recipient_id=None, at=now, kind=kind,
            detail=detail[:MAX_DETAIL],
        )
        for sequence, (kind, detail) in enumerate(notable, len(recipient_ids) + 1)
    )  # fmt: skip
    for recipient_id in recipient_ids:
        await jobs.begin(work, recipient_id, correlation_id=message.correlation_id)
