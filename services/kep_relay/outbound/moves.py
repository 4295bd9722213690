"""Changes of one recipient's row: compare-and-set only, each with its line in the history.

One transaction changes one recipient. That keeps the order of locks (recipient, then letter) the
same everywhere, so that letters with many recipients cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.orm import InstrumentedAttribute

from services.kep_relay.outbound.history import EventKind, record
from services.kep_relay.tables import InstanceRow, MailboxRow, OutboundMessageRow, OutboundRecipientRow
from shared.db.session import Database, UnitOfWork
from shared.domain.message import OUTBOUND_TRANSITIONS, OutboundState

Row = OutboundRecipientRow
Values = Mapping[InstrumentedAttribute[Any], object]

RELEASED: Values = {Row.claim_token: None, Row.claimed_by: None, Row.claim_expires_at: None}
SENDABLE = (OutboundState.QUEUED, OutboundState.RETRY_WAIT)


@dataclass(frozen=True)
class LetterInHand:
    """A claimed recipient with its letter and mailbox, as they were when it was claimed."""

    token: UUID
    recipient: OutboundRecipientRow
    message: OutboundMessageRow
    mailbox: MailboxRow

    @property
    def recipient_id(self) -> UUID:
        """The recipient's id."""
        return self.recipient.recipient_id

    @property
    def state(self) -> OutboundState:
        """The state it was claimed in."""
        return OutboundState(self.recipient.state)


async def claim(
    database: Database, recipient_id: UUID, token: UUID, *, instance_id: UUID, now: datetime, seconds: float
) -> LetterInHand | None:
    """Take a recipient whose attempt is due; None when there is nothing to do or another one has it.

    A claim ends when it is released, when its time is over, or when its process is dead. ``token``: from ``Claims``.
    """
    holder_alive = (
        select(InstanceRow.instance_id)
        .where(InstanceRow.instance_id == Row.claimed_by, InstanceRow.expires_at > now)
        .exists()
    )
    async with database.unit_of_work() as work:
        recipient = (
            await work.session.execute(
                update(Row)
                .where(
                    Row.recipient_id == recipient_id,
                    Row.state.in_(SENDABLE),
                    or_(Row.next_attempt_at.is_(None), Row.next_attempt_at <= now),
                    or_(Row.claim_token.is_(None), Row.claim_expires_at <= now, ~holder_alive),
                )
                .values(claim_token=token, claimed_by=instance_id, claim_expires_at=now + timedelta(seconds=seconds))
                .returning(Row)
                .execution_options(synchronize_session=False)
            )
        ).scalar_one_or_none()
        if recipient is None:
            return None
        message = await work.session.get_one(OutboundMessageRow, recipient.message_id)
        mailbox = await work.session.get_one(MailboxRow, message.mailbox_id)
        return LetterInHand(token, recipient, message, mailbox)


async def release(database: Database, letter: LetterInHand) -> None:
    """Let go of a recipient whose attempt was not begun; a begun one stays claimed until its outcome is written."""
    async with database.autocommit() as session:
        await session.execute(
            update(Row)
            .where(
                Row.recipient_id == letter.recipient_id,
                Row.claim_token == letter.token,
                Row.state != OutboundState.SUBMITTING,
            )
            .values({**RELEASED})
            .execution_options(synchronize_session=False)
        )


async def note(
    work: UnitOfWork, letter: LetterInHand, *, kind: EventKind, detail: str, at: datetime, values: Values
) -> bool:
    """Write down progress that does not change the state. False if the recipient is no longer ours."""
    if not await _update(work, letter.recipient_id, letter.state, letter.token, None, {**values, Row.updated_at: at}):
        return False
    await record(
        work, message_id=letter.message.message_id, recipient_id=letter.recipient_id, kind=kind,
        from_state=None, to_state=None, detail=detail, evidence_id=None, at=at,
    )  # fmt: skip
    return True


async def move(
    work: UnitOfWork,
    *,
    recipient_id: UUID,
    message_id: UUID,
    from_state: OutboundState,
    to_state: OutboundState,
    kind: EventKind,
    detail: str | None,
    at: datetime,
    values: Values,
    claim_token: UUID | None = None,
    version: int | None = None,
) -> bool:
    """Change a recipient's state; False (and no trace) if it is not as expected any more.

    ``claim_token`` fences: the change counts only while that claim holds. ``version`` fences changes
    made without a claim. Raises ``ValueError`` for a change the table of transitions does not have.
    """
    if to_state != from_state and to_state not in OUTBOUND_TRANSITIONS.get(from_state, frozenset()):
        raise ValueError(f"no way from {from_state} to {to_state}")
    changed: Values = {**values, Row.state: to_state, Row.updated_at: at}
    if not await _update(work, recipient_id, from_state, claim_token, version, changed):
        return False
    await record(
        work, message_id=message_id, recipient_id=recipient_id, kind=kind, from_state=from_state,
        to_state=to_state, detail=detail, evidence_id=None, at=at,
    )  # fmt: skip
    return True


async def touch(
    work: UnitOfWork,
    recipient_id: UUID,
    state: OutboundState,
    values: Values,
    *,
    token: UUID | None = None,
    version: int | None = None,
) -> bool:
    """Change columns that are nobody's news, such as the time of the next try; no line in the history."""
    return await _update(work, recipient_id, state, token, version, values)


async def expire(
    work: UnitOfWork,
    recipient_id: UUID,
    message_id: UUID,
    state: OutboundState,
    at: datetime,
    claim_token: UUID | None = None,
) -> bool:
    """End a recipient whose time to be sent is over; why it had waited stays readable in its history."""
    return await move(
        work,
        recipient_id=recipient_id,
        message_id=message_id,
        from_state=state,
        to_state=OutboundState.EXPIRED,
        kind=EventKind.EXPIRED,
        detail="the time to send it is over",
        at=at,
        claim_token=claim_token,
        values={**RELEASED, Row.next_attempt_at: None},
    )


async def _update(
    work: UnitOfWork,
    recipient_id: UUID,
    state: OutboundState,
    claim_token: UUID | None,
    version: int | None,
    values: Values,
) -> bool:
    statement = update(Row).where(Row.recipient_id == recipient_id, Row.state == state)
    if claim_token is not None:
        statement = statement.where(Row.claim_token == claim_token)
    if version is not None:
        statement = statement.where(Row.version == version)
    changed = await work.session.execute(
        statement.values({**values, Row.version: Row.version + 1})
        .returning(Row.recipient_id)
        .execution_options(synchronize_session=False)
    )
    return changed.scalar_one_or_none() is not None
