"""Tells an institution's systems what happened: written with the change it tells of, read by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.tables import EventPositionRow, EventRow
from shared.contracts.acceptance import AcceptanceState
from shared.contracts.events import Event, EventPage, EventType
from shared.contracts.signatures import Maturity
from shared.db.session import UnitOfWork
from shared.domain.verdict import Conclusion


@dataclass(frozen=True)
class VerdictNews:
    """A verdict, and the one before it."""

    conclusion: Conclusion
    maturity: Maturity
    previous: Conclusion | None = None
    previous_maturity: Maturity | None = None

    @property
    def is_news(self) -> bool:
        """Whether anybody who knows the one before learns something."""
        return (self.conclusion, self.maturity) != (self.previous, self.previous_maturity)

    def detail(self) -> dict[str, str | None]:
        """What the event says of it."""
        previous = self.previous.value if self.previous is not None else None
        return {
            "conclusion": self.conclusion.value, "previous_conclusion": previous, "maturity": self.maturity.value,
        }  # fmt: skip


@dataclass(frozen=True)
class AcceptanceNews:
    """Where the period of a letter stands."""

    acceptance: AcceptanceState
    due_at: datetime
    rule: str

    def detail(self) -> dict[str, str | None]:
        """What the event says of it."""
        return {"acceptance": self.acceptance.value, "due_at": self.due_at.isoformat(), "rule": self.rule}


@dataclass(frozen=True)
class SecondFactorNews:
    """A mailbox whose provider hands out no messages without a second factor."""

    mailbox_id: str

    def detail(self) -> dict[str, str | None]:
        """What the event says of it."""
        return {"mailbox_id": self.mailbox_id}


@dataclass(frozen=True)
class CopyDeletedNews:
    """A mailbox from which a mail was deleted."""

    mailbox_id: str

    def detail(self) -> dict[str, str | None]:
        """What the event says of it."""
        return {"mailbox_id": self.mailbox_id}


@dataclass(frozen=True)
class ThreatNews:
    """A mail that is handed to nobody."""

    reason_code: str

    def detail(self) -> dict[str, str | None]:
        """What the event says of it."""
        return {"reason_code": self.reason_code}


async def tell(
    work: UnitOfWork,
    event_type: EventType,
    news: VerdictNews | AcceptanceNews | SecondFactorNews | CopyDeletedNews | ThreatNews,
    *,
    institution_no: int,
    message_id: UUID | None,
    evidence_id: UUID | None = None,
    at: datetime,
) -> int:
    """Write one event; returns its position.

    To be the last thing a transaction does: the institution's other events wait until it is committed.
    """
    next_position = (
        insert(EventPositionRow)
        .values(institution_no=institution_no, last_position=1)
        .on_conflict_do_update(
            index_elements=[EventPositionRow.institution_no],
            set_={"last_position": EventPositionRow.last_position + 1},
        )
        .returning(EventPositionRow.last_position)
    )
    await work.session.flush()
    position = (await work.session.execute(next_position)).scalar_one()
    work.session.add(
        EventRow(
            institution_no=institution_no, position=position, type=event_type.value, at=at,
            message_id=message_id, evidence_id=evidence_id, detail=news.detail(),
        )
    )  # fmt: skip
    return position


async def read_events(
    session: AsyncSession, institution_no: int, *, after: int, types: Sequence[EventType], limit: int
) -> EventPage:
    """At most ``limit`` events after position ``after``, oldest first; of ``types`` only, if any are named.

    ``session`` has to be one repeatable view: whoever asks for few types goes on behind what was passed over.
    """
    query = (
        select(EventRow)
        .where(EventRow.institution_no == institution_no, EventRow.position > after)
        .order_by(EventRow.position)
        .limit(limit)
    )
    if types:
        query = query.where(EventRow.type.in_([item.value for item in types]))
    rows = (await session.scalars(query)).all()
    next_after = rows[-1].position if rows else after
    if types and len(rows) < limit:
        # Nothing of these types lies between; a rare one must not cost a look at all the others each time.
        last = await session.scalar(
            select(EventPositionRow.last_position).where(EventPositionRow.institution_no == institution_no)
        )
        next_after = max(next_after, last or 0)
    return EventPage(events=[_event(row) for row in rows], next_after=next_after)


def _event(row: EventRow) -> Event:
    known = {
        "position": row.position, "type": row.type, "at": row.at, "institution_no": row.institution_no,
        "message_id": row.message_id, "evidence_id": row.evidence_id,
    }  # fmt: skip
    return Event.model_validate(known | row.detail)
