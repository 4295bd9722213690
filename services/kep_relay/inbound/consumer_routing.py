"""Decides who gets a letter: once by the rules, when it is first offered, and after that by people. Written down.

What a decision changes, and the decision, are one transaction. Whoever decides holds the institution's consumers, so
that none of them ends between the look at its rules and the letter given to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert

from services.kep_relay.inbound.consumer_rules import Addressing, Candidate, Traits, route
from services.kep_relay.tables import ConsumerRow, InboundCopyRow, InboundMessageRow, InboundRoutingRow
from shared.contracts.consumers import (
    DEFAULT_CONSUMER,
    ConsumerRule,
    CopyState,
    RoutingReason,
)
from shared.db.session import UnitOfWork
from shared.domain.message import InboundState

log = structlog.get_logger(__name__)

OFFERED = (InboundState.AVAILABLE, InboundState.LEASED, InboundState.DEAD_LETTERED)
"""States in which a letter is somebody's to register."""
_Copy, _Routing = InboundCopyRow, InboundRoutingRow
_AT_ONCE = 1000
"""Letters whose decisions are written with one statement; PostgreSQL takes at most 65,535 values with it."""


async def decide(work: UnitOfWork, letter: InboundMessageRow, addressing: Addressing | None) -> None:
    """Apply the institution's rules to a letter that is offered from now on; nothing without consumers.

    ``addressing``: what its packages say; None if it has none.
    """
    consumers = await held(work, letter.institution_no)
    if not consumers:
        return
    traits = Traits(letter.sender_address, letter.subject, addressing is not None, addressing or Addressing())
    found = route(traits, [_candidate(row) for row in consumers])
    letter.consumer = found.consumer
    now = letter.updated_at
    await give_copies(work, letter, found.copies, now)
    await write_down(work, letter, found.copies, now, rules=found.reasons)
    log.info(
        "letter_routed", message_id=str(letter.message_id), consumer=found.consumer, copies=list(found.copies),
        rules=[reason.rule for reason in found.reasons],
    )  # fmt: skip


async def withdraw(work: UnitOfWork, message_id: UUID, now: datetime) -> None:
    """Nobody gets a letter any more that was sealed, and no reason tells what stood in it."""
    await withdraw_copies(work, _Copy.message_id == message_id, now)
    await work.session.execute(
        update(_Routing)
        .where(_Routing.message_id == message_id)
        .values(rules=[], reason=None)
        .execution_options(synchronize_session=False)
    )


async def hand_over(work: UnitOfWork, institution_no: int, name: str, now: datetime) -> int:
    """What a consumer that ends has not dealt with goes to ``default``; how many letters. Its copies go away.

    A lease that runs goes on: whoever has the letter may register it.
    """
    moved = (
        await work.session.scalars(
            update(InboundMessageRow)
            .where(
                InboundMessageRow.institution_no == institution_no,
                InboundMessageRow.consumer == name,
                InboundMessageRow.state.in_([state.value for state in OFFERED]),
            )
            .values(consumer=DEFAULT_CONSUMER, updated_at=now, version=InboundMessageRow.version + 1)
            .returning(InboundMessageRow.message_id)
            .execution_options(synchronize_session=False)
        )
    ).all()
    reason = f"the consumer {name} was deleted"
    for start in range(0, len(moved), _AT_ONCE):
        ids = moved[start : start + _AT_ONCE]
        last = (
            select(_Routing.message_id, func.max(_Routing.sequence))
            .where(_Routing.message_id.in_(ids))
            .group_by(_Routing.message_id)
        )
        numbers: dict[UUID, int] = {row[0]: row[1] for row in await work.session.execute(last)}
        decisions = [
            {
                "message_id": message_id, "sequence": numbers.get(message_id, 0) + 1, "consumer": DEFAULT_CONSUMER,
                "copies": [], "decided_at": now, "reason": reason, "rules": [],
            }
            for message_id in ids
        ]  # fmt: skip
        await work.session.execute(insert(_Routing).values(decisions))
    await withdraw_copies(work, (_Copy.institution_no == institution_no) & (_Copy.consumer == name), now)
    return len(moved)


async def held(work: UnitOfWork, institution_no: int) -> Sequence[ConsumerRow]:
    """The institution's consumers, none of which ends before this transaction does."""
    return (
        await work.session.scalars(
            select(ConsumerRow)
            .where(ConsumerRow.institution_no == institution_no)
            .order_by(ConsumerRow.name)
            .with_for_update(read=True)
        )
    ).all()


def _candidate(row: ConsumerRow) -> Candidate:
    return Candidate(row.name, row.position, tuple(ConsumerRule.model_validate(rule) for rule in row.rules))


async def give_copies(work: UnitOfWork, letter: InboundMessageRow, names: Iterable[str], now: datetime) -> list[str]:
    """Offer copies; one that somebody still has to deal with is left alone. Who got one."""
    given = []
    for name in names:
        fresh = {
            "state": CopyState.AVAILABLE.value, "offered_at": now, "visible_at": now, "delivery_count": 0,
            "last_rejection": None, "updated_at": now,
        }  # fmt: skip
        ended = {"acknowledged_at": None, "acknowledged_by": None, "acknowledged_token": None, "reference": None}
        found = await work.session.scalar(
            insert(_Copy)
            .values(message_id=letter.message_id, consumer=name, institution_no=letter.institution_no, **fresh)
            .on_conflict_do_update(
                index_elements=["message_id", "consumer"],
                set_=fresh | ended,
                where=_Copy.state.not_in([CopyState.AVAILABLE.value, CopyState.LEASED.value]),
            )
            .returning(_Copy.consumer)
        )
        if found is not None:
            given.append(name)
    return given


async def withdraw_copies(work: UnitOfWork, which: ColumnElement[bool], now: datetime) -> None:
    """Take copies back that nobody has acknowledged."""
    await work.session.execute(
        update(_Copy)
        .where(which, _Copy.state != CopyState.ACKNOWLEDGED.value)
        .values(
            state=CopyState.WITHDRAWN.value, lease_token=None, lease_client_id=None, lease_expires_at=None,
            last_rejection=None, updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )  # fmt: skip


async def write_down(
    work: UnitOfWork,
    letter: InboundMessageRow,
    copies: Sequence[str],
    now: datetime,
    *,
    rules: Sequence[RoutingReason] = (),
    decided_by: str | None = None,
    reason: str | None = None,
) -> None:
    """Add a decision to those there are."""
    last = await work.session.scalar(
        select(func.max(_Routing.sequence)).where(_Routing.message_id == letter.message_id)
    )
    work.session.add(
        _Routing(
            message_id=letter.message_id, sequence=(last or 0) + 1, consumer=letter.consumer, copies=list(copies),
            decided_at=now, decided_by=decided_by, reason=reason,
            rules=[item.model_dump(mode="json") for item in rules],
        )
    )  # fmt: skip
