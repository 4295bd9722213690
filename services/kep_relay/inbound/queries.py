"""Incoming letters as other services see them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.acceptance.describing import acceptances_of, notices_of
from services.kep_relay.inbound.judged import confined
from services.kep_relay.inbound.scanning import WITHHELD
from services.kep_relay.tables import InboundMessageRow, InboundPartRow, InboundVerificationRow
from shared.contracts.acceptance import Acceptance
from shared.contracts.envelopes import PackageOpening
from shared.contracts.inbound import InboundMessage, InboundPage, InboundPart, InboundVerification
from shared.contracts.signatures import Maturity
from shared.domain.message import InboundState
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode, Fault


async def owned(
    session: AsyncSession, message_id: UUID, institutions: Sequence[int], *, lock: bool = False
) -> InboundMessageRow:
    """The letter if it belongs to one of ``institutions``; NOT_FOUND otherwise."""
    row = await session.get(
        InboundMessageRow, message_id, with_for_update=True if lock else None, populate_existing=lock
    )
    if row is None or row.institution_no not in institutions:
        raise DomainError(ErrorCode.NOT_FOUND, "no such letter")
    return row


async def readable(session: AsyncSession, message_id: UUID, institutions: Sequence[int]) -> InboundMessageRow:
    """As ``owned``, for whoever wants to see what the letter carries; CLASSIFIED_SEALED or STATE_CONFLICT if nobody may."""
    row = await owned(session, message_id, institutions)
    if row.state == InboundState.SEALED:
        raise DomainError(ErrorCode.CLASSIFIED_SEALED, "the letter is sealed: it is more secret than KEP may carry")
    if row.reason_code in WITHHELD:
        raise DomainError(ErrorCode.STATE_CONFLICT, f"the mail is kept but not handed out: {row.reason}")
    return row


async def page(
    session: AsyncSession,
    institutions: Sequence[int],
    *,
    states: Sequence[InboundState],
    cursor: str | None,
    limit: int,
) -> InboundPage:
    """Letters in the order they came in; the cursor is the last id of the page before."""
    query = select(InboundMessageRow).where(InboundMessageRow.institution_no.in_(institutions))
    if states:
        query = query.where(InboundMessageRow.state.in_([state.value for state in states]))
    if cursor is not None:
        query = query.where(InboundMessageRow.message_id > position(cursor))
    rows = (await session.scalars(query.order_by(InboundMessageRow.message_id).limit(limit + 1))).all()
    shown = rows[:limit]
    return InboundPage(
        messages=await describe_all(session, shown),
        next_cursor=str(shown[-1].message_id) if len(rows) > limit else None,
    )


def position(cursor: str) -> UUID:
    """Where a page begins; VALIDATION_FAILED for what is no cursor of ours."""
    try:
        return UUID(cursor)
    except ValueError as error:
        raise DomainError(
            ErrorCode.VALIDATION_FAILED, "not a cursor of ours", faults=[Fault("/cursor", "is not a cursor")]
        ) from error


async def verification(session: AsyncSession, letter: InboundMessageRow) -> InboundVerification:
    """The newest verdict, of a sealed letter without what it carries; NOT_FOUND while there is none."""
    row = await session.scalar(
        select(InboundVerificationRow)
        .where(InboundVerificationRow.message_id == letter.message_id)
        .order_by(InboundVerificationRow.sequence.desc())
        .limit(1)
    )
    if row is None:
        raise DomainError(ErrorCode.NOT_FOUND, "the letter was not verified yet")
    found = InboundVerification.model_validate(row.verdict)
    return confined(found) if letter.state == InboundState.SEALED else found


async def part(session: AsyncSession, message_id: UUID, number: int) -> InboundPartRow:
    """One part; NOT_FOUND if there is none of that number."""
    row = await session.get(InboundPartRow, (message_id, number)) if 0 < number < 2**31 else None
    if row is None:
        raise DomainError(ErrorCode.NOT_FOUND, "the letter has no such part")
    return row


async def describe_all(session: AsyncSession, rows: Sequence[InboundMessageRow]) -> list[InboundMessage]:
    """The letters with their parts; a sealed one shows none."""
    parts: defaultdict[UUID, list[InboundPart]] = defaultdict(list)
    if rows:
        found = await session.scalars(
            select(InboundPartRow)
            .where(InboundPartRow.message_id.in_([row.message_id for row in rows if row.state != InboundState.SEALED]))
            .order_by(InboundPartRow.message_id, InboundPartRow.number)
        )
        for item in found:
            parts[item.message_id].append(
                InboundPart(
                    number=item.number,
                    filename=item.filename,
                    media_type=item.media_type,
                    size=item.size,
                    sha256=item.sha256,
                    is_package=item.is_package,
                )
            )
    ids = [row.message_id for row in rows]
    periods, notices = await acceptances_of(session, ids), await notices_of(session, ids)
    return [
        _describe(row, parts[row.message_id], periods.get(row.message_id), notices.get(row.message_id)) for row in rows
    ]


def _describe(
    row: InboundMessageRow, parts: list[InboundPart], acceptance: Acceptance | None, notice_id: UUID | None
) -> InboundMessage:
    return InboundMessage(
        message_id=row.message_id,
        institution_no=row.institution_no,
        mailbox_address=row.mailbox_address,
        state=InboundState(row.state),
        reason_code=row.reason_code,
        sender_address=row.sender_address,
        subject=row.subject,
        message_id_header=row.message_id_header,
        rem_id=row.rem_id,
        document_id=row.document_id,
        document_no=row.document_no,
        package_sha256=row.package_sha256,
        package_size=row.package_size,
        package_filename=row.package_filename,
        security_code=row.security_code,
        opening=None if row.opening is None else PackageOpening(row.opening),
        opened_sha256=row.opened_sha256,
        opened_size=row.opened_size,
        raw_sha256=row.raw_sha256 or "",
        parts=parts,
        conclusion=None if row.conclusion is None else Conclusion(row.conclusion),
        maturity=None if row.maturity is None else Maturity(row.maturity),
        acceptance=acceptance,
        refusal_notice_id=notice_id,
        received_at=row.received_at,
        consumer=row.consumer,
        available_at=row.available_at,
        consumed_at=row.consumed_at,
        registry_no=row.registry_no,
        delivery_count=row.delivery_count,
        provider_acknowledged_at=row.provider_acknowledged_at,
        next_verification_at=row.verify_at,
    )
