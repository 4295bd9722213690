"""Reads outgoing letters into their contract. Every query is confined to the caller's institutions."""

from __future__ import annotations

import base64
import binascii
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.outbound.confidentiality import recorded_confidentiality
from services.kep_relay.outbound.evidence_queries import evidence_codes
from services.kep_relay.tables import OutboundEventRow, OutboundMessageRow, OutboundRecipientRow
from shared.contracts.outbound import OutboundEvent, OutboundKind, OutboundMessage, OutboundPage, RecipientStatus
from shared.domain.message import OutboundState, worst_state
from shared.errors import DomainError, ErrorCode, Fault

_Message = OutboundMessageRow


async def owned_message(session: AsyncSession, message_id: UUID, institutions: Sequence[int]) -> OutboundMessageRow:
    """The letter if it belongs to one of ``institutions``; NOT_FOUND otherwise."""
    row = await session.get(OutboundMessageRow, message_id)
    if row is None or row.institution_no not in institutions:
        raise DomainError(ErrorCode.NOT_FOUND, "no such letter")
    return row


async def one_message(session: AsyncSession, message_id: UUID, institutions: Sequence[int]) -> OutboundMessage:
    """One letter with its recipients. Raises NOT_FOUND."""
    row = await owned_message(session, message_id, institutions)
    return (await _described(session, [row]))[0]


async def page(
    session: AsyncSession,
    institutions: Sequence[int],
    *,
    states: Sequence[OutboundState],
    updated_since: datetime | None,
    client_ref: str | None,
    cursor: str | None,
    limit: int,
) -> OutboundPage:
    """A page of letters: oldest change first with ``updated_since``, else newest first.

    ``states`` keeps letters with at least one recipient in one of them.
    """
    key = _Message.accepted_at if updated_since is None else _Message.updated_at
    query = select(_Message).where(_Message.institution_no.in_(institutions))
    if updated_since is not None:
        query = query.where(_Message.updated_at >= updated_since)
    if client_ref is not None:
        query = query.where(_Message.client_ref == client_ref)
    if states:
        in_state = select(OutboundRecipientRow.message_id).where(
            OutboundRecipientRow.message_id == _Message.message_id, OutboundRecipientRow.state.in_(states)
        )
        query = query.where(in_state.exists())
    position = tuple_(key, _Message.message_id)
    if cursor is not None:
        mark = _read_cursor(cursor)
        query = query.where(position < mark if updated_since is None else position > mark)
    order = (key.desc(), _Message.message_id.desc()) if updated_since is None else (key, _Message.message_id)
    rows = list(await session.scalars(query.order_by(*order).limit(limit + 1)))
    more, rows = len(rows) > limit, rows[:limit]
    last = rows[-1] if rows else None
    moment = None if last is None else last.accepted_at if updated_since is None else last.updated_at
    return OutboundPage(
        messages=await _described(session, rows),
        next_cursor=_cursor(moment, last.message_id) if more and last is not None and moment is not None else None,
    )


async def history(session: AsyncSession, message_id: UUID, institutions: Sequence[int]) -> list[OutboundEvent]:
    """The letter's events, oldest first. Raises NOT_FOUND."""
    await owned_message(session, message_id, institutions)
    rows = await session.scalars(
        select(OutboundEventRow).where(OutboundEventRow.message_id == message_id).order_by(OutboundEventRow.sequence)
    )
    return [
        OutboundEvent(
            sequence=row.sequence,
            recipient_id=row.recipient_id,
            at=row.at,
            kind=row.kind,
            from_state=None if row.from_state is None else OutboundState(row.from_state),
            to_state=None if row.to_state is None else OutboundState(row.to_state),
            detail=row.detail,
            evidence_id=row.evidence_id,
        )
        for row in rows
    ]


async def _described(session: AsyncSession, rows: Sequence[OutboundMessageRow]) -> list[OutboundMessage]:
    if not rows:
        return []
    by_message: dict[UUID, list[OutboundRecipientRow]] = defaultdict(list)
    recipients = list(
        await session.scalars(
            select(OutboundRecipientRow)
            .where(OutboundRecipientRow.message_id.in_([row.message_id for row in rows]))
            .order_by(OutboundRecipientRow.message_id, OutboundRecipientRow.position)
        )
    )
    for recipient in recipients:
        by_message[recipient.message_id].append(recipient)
    codes = await evidence_codes(session, [recipient.recipient_id for recipient in recipients])
    return [_message(row, by_message[row.message_id], codes) for row in rows]


def _message(
    row: OutboundMessageRow, recipients: Sequence[OutboundRecipientRow], codes: dict[UUID, list[int]]
) -> OutboundMessage:
    states = [OutboundState(recipient.state) for recipient in recipients]
    return OutboundMessage(
        message_id=row.message_id,
        kind=OutboundKind(row.kind),
        reply_to=row.reply_to,
        institution_no=row.institution_no,
        client_ref=row.client_ref,
        subject=row.subject,
        document_id=row.document_id,
        document_no=row.document_no,
        package_sha256=row.package_sha256,
        package_size=row.package_size,
        package_filename=row.package_filename,
        state=worst_state(states),
        state_counts={state.value: number for state, number in sorted(Counter(states).items())},
        accepted_at=row.accepted_at,
        updated_at=row.updated_at,
        expires_at=row.expires_at,
        resend_of=row.resend_of,
        client_signed=row.message_signature is not None,
        confidentiality=recorded_confidentiality(row),
        recipients=[_recipient(recipient, codes.get(recipient.recipient_id, [])) for recipient in recipients],
    )


def _recipient(row: OutboundRecipientRow, codes: list[int]) -> RecipientStatus:
    return RecipientStatus.model_validate(
        {
            "recipient_id": row.recipient_id,
            "detsis_no": row.detsis_no,
            "name": row.name,
            "state": row.state,
            "reason_code": row.reason_code,
            "reason": row.reason,
            "attention": row.attention,
            "kep_address": row.kep_address,
            "address_source": row.address_source,
            "address_rule": row.address_rule,
            "address_snapshot_id": row.address_snapshot_id,
            "resolved_at": row.resolved_at,
            "address_problem": row.address_problem,
            "message_id_header": row.message_id_header,
            "rem_id": row.rem_id,
            "attempts": row.attempts,
            "next_attempt_at": row.next_attempt_at,
            "submitted_at": row.submitted_at,
            "delivered_at": row.delivered_at,
            "read_at": row.read_at,
            "evidence_codes": codes,
        }
    )


def _cursor(moment: datetime, message_id: UUID) -> str:
    return base64.urlsafe_b64encode(f"{moment.isoformat()}|{message_id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, _, identifier = text.partition("|")
        parsed = datetime.fromisoformat(moment)
        return parsed.astimezone(UTC), UUID(identifier)
    except (ValueError, OverflowError, binascii.Error) as error:  # the year 1 has no UTC east of Greenwich
        detail = "the cursor is not one of ours"
        raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault("/query/cursor", detail)]) from error
