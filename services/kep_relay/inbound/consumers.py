"""An institution's consumers: named, given rules, ended. What each still has to deal with is counted beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.inbound.arrivals import Arrivals
from services.kep_relay.inbound.consumer_routing import OFFERED, hand_over
from services.kep_relay.tables import ConsumerRow, InboundCopyRow, InboundMessageRow
from shared.clock import Clock
from shared.contracts.consumers import (
    DEFAULT_CONSUMER,
    MOST_CONSUMERS,
    Consumer,
    ConsumerConfiguration,
    ConsumerList,
    ConsumerQueue,
    ConsumerRule,
    CopyState,
)
from shared.db.session import Database
from shared.domain.message import InboundState
from shared.errors import DomainError, ErrorCode, Fault

log = structlog.get_logger(__name__)

_COUNTED = (CopyState.AVAILABLE, CopyState.LEASED, CopyState.DEAD_LETTERED)
_Queues = dict[str, ConsumerQueue]


class Consumers:
    """The consumers of all institutions; every call is about one."""

    def __init__(self, database: Database, clock: Clock, arrivals: Arrivals) -> None:
        self._database = database
        self._clock = clock
        self._arrivals = arrivals

    async def all(self, institution_no: int) -> ConsumerList:
        """Those of an institution, ``default`` last."""
        async with self._database.reading() as session:
            return ConsumerList(consumers=await _described(session, institution_no))

    async def one(self, institution_no: int, name: str) -> Consumer:
        """One of them. Raises NOT_FOUND."""
        for consumer in (await self.all(institution_no)).consumers:
            if consumer.name == name:
                return consumer
        raise DomainError(ErrorCode.NOT_FOUND, "no such consumer")

    async def put(self, name: str, configuration: ConsumerConfiguration) -> Consumer:
        """Enter or change a consumer. Letters that are offered already stay where they are.

        Raises VALIDATION_FAILED for ``default``, STATE_CONFLICT when there are too many.
        """
        institution_no = configuration.institution_no
        if name == DEFAULT_CONSUMER:
            faults = [Fault("/name", "takes what no rule takes, and has none of its own")]
            raise DomainError(ErrorCode.VALIDATION_FAILED, "this consumer cannot be changed", faults=faults)
        values: dict[str, Any] = {
            "description": configuration.description, "position": configuration.position,
            "rules": [rule.model_dump(mode="json") for rule in configuration.rules], "updated_at": self._clock.now(),
        }  # fmt: skip
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                insert(ConsumerRow)
                .values(institution_no=institution_no, name=name, **values)
                .on_conflict_do_update(index_elements=["institution_no", "name"], set_=values)
            )
            number = await work.session.scalar(
                select(func.count()).select_from(ConsumerRow).where(ConsumerRow.institution_no == institution_no)
            )
            if (number or 0) > MOST_CONSUMERS:
                raise DomainError(ErrorCode.STATE_CONFLICT, f"an institution has at most {MOST_CONSUMERS} consumers")
        log.info("consumer_put", institution_no=institution_no, consumer=name, rules=len(configuration.rules))
        return await self.one(institution_no, name)

    async def delete(self, institution_no: int, name: str) -> None:
        """End a consumer; what it has not dealt with goes to ``default``. Raises NOT_FOUND, VALIDATION_FAILED."""
        if name == DEFAULT_CONSUMER:
            faults = [Fault("/name", "takes what no rule takes")]
            raise DomainError(ErrorCode.VALIDATION_FAILED, "this consumer cannot be deleted", faults=faults)
        async with self._database.unit_of_work() as work:
            row = await work.session.get(ConsumerRow, (institution_no, name), with_for_update=True)
            if row is None:
                raise DomainError(ErrorCode.NOT_FOUND, "no such consumer")
            moved = await hand_over(work, institution_no, name, self._clock.now())
            await work.session.delete(row)
        log.info("consumer_deleted", institution_no=institution_no, consumer=name, handed_over=moved)
        self._arrivals.announce()


async def offered(session: AsyncSession) -> dict[tuple[str, str], int]:
    """How many letters and copies of all institutions are in each state that somebody has to do something about."""
    found: dict[tuple[str, str], int] = {}
    for kind, column in (("letter", InboundMessageRow.state), ("copy", InboundCopyRow.state)):
        states = [state.value for state in _COUNTED]
        rows = await session.execute(select(column, func.count()).where(column.in_(states)).group_by(column))
        found |= {(kind, row[0]): row[1] for row in rows}
    return found


async def demand(session: AsyncSession, institutions: Sequence[int], name: str) -> None:
    """NOT_FOUND unless one of the institutions has a consumer of that name: a misspelt one would wait for ever."""
    if name == DEFAULT_CONSUMER:
        return
    found = await session.scalar(
        select(ConsumerRow.name).where(ConsumerRow.institution_no.in_(institutions), ConsumerRow.name == name).limit(1)
    )
    if found is None:
        raise DomainError(ErrorCode.NOT_FOUND, "no such consumer")


async def _described(session: AsyncSession, institution_no: int) -> list[Consumer]:
    rows = (
        await session.scalars(
            select(ConsumerRow)
            .where(ConsumerRow.institution_no == institution_no)
            .order_by(ConsumerRow.position, ConsumerRow.name)
        )
    ).all()
    letters = await _queues(session, InboundMessageRow, InboundMessageRow.available_at, institution_no, OFFERED)
    copies = await _queues(session, InboundCopyRow, InboundCopyRow.offered_at, institution_no, _COUNTED)
    found = [
        Consumer(
            name=row.name, institution_no=institution_no, description=row.description, position=row.position,
            rules=[ConsumerRule.model_validate(rule) for rule in row.rules], updated_at=row.updated_at,
            letters=letters.get(row.name, ConsumerQueue()), copies=copies.get(row.name, ConsumerQueue()),
        )
        for row in rows
    ]  # fmt: skip
    last = Consumer(
        name=DEFAULT_CONSUMER, institution_no=institution_no, position=max([0, *(row.position for row in rows)]) + 1,
        rules=[], letters=letters.get(DEFAULT_CONSUMER, ConsumerQueue()), copies=ConsumerQueue(),
    )  # fmt: skip
    return [*found, last]


async def _queues(
    session: AsyncSession,
    table: type[InboundMessageRow | InboundCopyRow],
    since: Any,
    institution_no: int,
    states: Sequence[InboundState] | Sequence[CopyState],
) -> _Queues:
    state: Any = table.state
    rows = await session.execute(
        select(
            table.consumer,
            func.count().filter(state == "available"),
            func.count().filter(state == "leased"),
            func.count().filter(state == "dead_lettered"),
            func.min(since).filter(state != "dead_lettered"),
        )
        .where(table.institution_no == institution_no, state.in_([item.value for item in states]))
        .group_by(table.consumer)
    )
    return {
        row[0]: ConsumerQueue(available=row[1], leased=row[2], dead_lettered=row[3], oldest_at=row[4]) for row in rows
    }
