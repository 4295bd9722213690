"""Rows of registrations: reading, and writing steps down."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.registrations.states import fold
from services.detsis_sync.tables import Registration, RegistrationEvent
from shared.contracts.directory.registrations import (
    Detail,
    RegistrationEventRecord,
    RegistrationPage,
    RegistrationRecord,
    RegistrationState,
)
from shared.db.session import UnitOfWork
from shared.errors import DomainError, ErrorCode, Fault

OPEN_STATES = tuple(
    state.value
    for state in (
        RegistrationState.AWAITING_ENTRY,
        RegistrationState.ENTERED,
        RegistrationState.VERIFICATION_RECEIVED,
        RegistrationState.CONFIRMED,
    )
)


async def owned(
    session: AsyncSession, registration_id: UUID, institutions: Sequence[int], *, lock: bool = False
) -> Registration:
    """The registration if it is one of ``institutions``'; NOT_FOUND otherwise."""
    row = await session.get(Registration, registration_id, with_for_update=True if lock else None)
    if row is None or row.institution_no not in institutions:
        raise DomainError(ErrorCode.NOT_FOUND, "no such registration")
    return row


async def events_of(session: AsyncSession, registration_id: UUID) -> list[RegistrationEvent]:
    """All steps, in order."""
    found = await session.scalars(
        select(RegistrationEvent)
        .where(RegistrationEvent.registration_id == registration_id)
        .order_by(RegistrationEvent.position)
    )
    return list(found)


async def append(
    work: UnitOfWork, row: Registration, what: str, *, actor: str, at: datetime, detail: Detail | None = None
) -> list[RegistrationEvent]:
    """Write one step down and let the state follow; all steps so far. ``row`` is locked by the caller."""
    events = await events_of(work.session, row.registration_id)
    event = RegistrationEvent(
        registration_id=row.registration_id,
        position=len(events) + 1,
        happened_at=at,
        actor=actor,
        what=what,
        detail=detail or {},
    )
    work.session.add(event)
    events.append(event)
    row.state = fold({item.what for item in events}).value
    row.updated_at = at
    if row.state not in OPEN_STATES:
        row.check_at = None
    await work.session.flush()
    return events


async def page(
    session: AsyncSession,
    institutions: Sequence[int],
    *,
    states: Sequence[RegistrationState],
    cursor: str | None,
    limit: int,
) -> RegistrationPage:
    """Newest first. Raises VALIDATION_FAILED for a cursor that is none."""
    query = select(Registration).where(Registration.institution_no.in_(institutions))
    if states:
        query = query.where(Registration.state.in_([state.value for state in states]))
    if cursor is not None:
        query = query.where(tuple_(Registration.opened_at, Registration.registration_id) < _position(cursor))
    order = (Registration.opened_at.desc(), Registration.registration_id.desc())
    rows = list(await session.scalars(query.order_by(*order).limit(limit + 1)))
    shown = rows[:limit]
    return RegistrationPage(
        registrations=[record(row) for row in shown],
        next_cursor=_cursor(shown[-1]) if len(rows) > limit else None,
    )


def record(row: Registration) -> RegistrationRecord:
    """The row as others see it."""
    return RegistrationRecord(
        registration_id=row.registration_id,
        institution_no=row.institution_no,
        detsis_no=row.detsis_no,
        unit_name=row.unit_name,
        kep_address=row.kep_address,
        previous_address=row.previous_address,
        mailbox_id=row.mailbox_id,
        state=RegistrationState(row.state),
        note=row.note,
        opened_by=row.opened_by,
        opened_at=row.opened_at,
        updated_at=row.updated_at,
        checked_at=row.checked_at,
    )


def event_record(event: RegistrationEvent) -> RegistrationEventRecord:
    """The event as others see it."""
    return RegistrationEventRecord(
        position=event.position,
        happened_at=event.happened_at,
        actor=event.actor,
        what=event.what,
        detail=event.detail,
    )


def _cursor(row: Registration) -> str:
    text = f"{row.opened_at.isoformat()} {row.registration_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[datetime, UUID]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        moment, _, identifier = text.partition(" ")
        position = datetime.fromisoformat(moment).astimezone(UTC), UUID(identifier)
    except ValueError as error:
        raise DomainError(
            ErrorCode.VALIDATION_FAILED, "not a cursor of ours", faults=[Fault("/cursor", "is not a cursor")]
        ) from error
    return position
