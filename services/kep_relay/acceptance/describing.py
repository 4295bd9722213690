"""What others see of a letter's period."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.tables import AcceptanceRow, RefusalNoticeRow
from shared.contracts.acceptance import Acceptance, AcceptanceState, RefusalReason


def reasons_of(row: AcceptanceRow) -> list[RefusalReason]:
    """Why it was refused."""
    return [RefusalReason.model_validate(item) for item in row.reasons]


def describe(row: AcceptanceRow) -> Acceptance:
    """The period as others see it."""
    return Acceptance(
        state=AcceptanceState(row.state), rule=row.rule, started_at=row.started_at, due_at=row.due_at,
        last_day=row.last_day, estimated=row.estimated, decided_at=row.decided_at, decided_by=row.decided_by,
        decided_rule=row.decided_rule, reasons=reasons_of(row),
    )  # fmt: skip


async def acceptances_of(session: AsyncSession, message_ids: Sequence[UUID]) -> dict[UUID, Acceptance]:
    """The periods of letters, by their ids."""
    if not message_ids:
        return {}
    found = await session.scalars(select(AcceptanceRow).where(AcceptanceRow.message_id.in_(message_ids)))
    return {row.message_id: describe(row) for row in found}


async def notices_of(session: AsyncSession, message_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The outgoing messages that tell of refusals, by the letters' ids."""
    if not message_ids:
        return {}
    found = await session.execute(
        select(RefusalNoticeRow.message_id, RefusalNoticeRow.notice_id).where(
            RefusalNoticeRow.message_id.in_(message_ids)
        )
    )
    return {row.message_id: row.notice_id for row in found}
