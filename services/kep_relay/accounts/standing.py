"""What each account has left, asked at intervals where the provider tells it (kep.md 6.5, 6.15, 7.7, 7.8).

The row says when to ask again; the leader's sweep enqueues the question, so a lost job costs a round.
A provider that tells of credit again wakes the letters that waited for it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from services.kep_relay.accounts.metrics import AccountMetrics
from services.kep_relay.drivers.choice import Desks
from services.kep_relay.drivers.protocol import AccountStanding, LoginRefusedError
from services.kep_relay.evidence.listed.schedule import setback_pause
from services.kep_relay.inbound.texts import clean
from services.kep_relay.mailboxes import Mailboxes, stop_account
from services.kep_relay.tables import (
    AccountStandingRow,
    MailboxRow,
    OutboundMessageRow,
    OutboundRecipientRow,
    SecondFactorRow,
)
from shared.clock import Clock
from shared.contracts.second_factor import SecondFactorState
from shared.db.session import Database, UnitOfWork
from shared.domain.message import OutboundState
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_UNANSWERED_AFTER = 4
"""Intervals without an answer before somebody is told."""

DeferQuestion = Callable[[UnitOfWork, str], Awaitable[None]]


@dataclass(frozen=True)
class StandingLimits:
    """How often is asked, and below what a mailbox is short."""

    interval: timedelta
    credit: float
    quota_kilobytes: int


class AccountStandings:
    """Asks for standings and publishes them."""

    def __init__(
        self,
        database: Database,
        mailboxes: Mailboxes,
        desks: Desks,
        clock: Clock,
        metrics: AccountMetrics,
        limits: StandingLimits,
    ) -> None:
        self._database = database
        self._mailboxes = mailboxes
        self._desks = desks
        self._clock = clock
        self._metrics = metrics
        self._limits = limits

    async def sweep(self, defer: DeferQuestion) -> None:
        """Enqueue a question for every account that is due. Raises ``DomainError`` when the database is away."""
        now = self._clock.now()
        async with self._database.reading() as session:
            rows = (
                await session.execute(
                    select(MailboxRow, AccountStandingRow.next_at)
                    .outerjoin(AccountStandingRow, AccountStandingRow.mailbox_id == MailboxRow.mailbox_id)
                    .where(MailboxRow.active.is_(True), MailboxRow.stopped_at.is_(None))
                )
            ).all()
        due = [row for row, next_at in rows if (next_at is None or next_at <= now) and self._has_a_desk(row)]
        if not due:
            return
        async with self._database.unit_of_work() as work:
            for row in due:
                await defer(work, row.mailbox_id)

    def _has_a_desk(self, row: MailboxRow) -> bool:
        try:
            return self._desks.account_desk(self._mailboxes.account(row)) is not None
        except DomainError:
            return False

    async def ask(self, mailbox_id: str) -> None:
        """The job. Raises ``DomainError`` only when the database is away."""
        async with self._database.autocommit() as session:
            row = await session.get(MailboxRow, mailbox_id)
            known = await session.get(AccountStandingRow, mailbox_id)
        if row is None or not row.active or row.stopped_at is not None:
            return
        if known is not None and known.next_at > self._clock.now():
            return
        account = self._mailboxes.account(row)
        desk = self._desks.account_desk(account)
        if desk is None:
            return
        try:
            standing = await desk.standing(account)
        except DomainError as error:
            if error.code is ErrorCode.DURABILITY_UNAVAILABLE:
                raise
            await self._not_told(row, 0 if known is None else known.setbacks, error)
            return
        await self._told(mailbox_id, standing)

    async def _told(self, mailbox_id: str, standing: AccountStanding) -> None:
        now = self._clock.now()
        credit = None if standing.credit is None or not math.isfinite(standing.credit) else standing.credit
        values: dict[str, object] = {
            "next_at": now + self._limits.interval,
            "told_at": now,
            "credit": credit,
            "credit_unit": None if standing.credit_unit is None else clean(standing.credit_unit, 100),
            "quota_kilobytes": standing.quota_kilobytes,
            "fault": None,
            "setbacks": 0,
        }
        async with self._database.unit_of_work() as work:
            await _upsert(work, mailbox_id, values)
            if credit is not None and credit > 0:
                await self._wake(work, mailbox_id)

    async def _wake(self, work: UnitOfWork, mailbox_id: str) -> None:
        """Let the letter that was refused for want of credit be tried now, not after its long pause.

        The oldest one: those behind it are let go once it is taken (``outbound.credit``).
        """
        now = self._clock.now()
        first = (
            select(OutboundRecipientRow.recipient_id)
            .join(OutboundMessageRow, OutboundMessageRow.message_id == OutboundRecipientRow.message_id)
            .where(
                OutboundRecipientRow.state == OutboundState.BLOCKED,
                OutboundRecipientRow.reason_code == ErrorCode.KEP_CREDIT_EXHAUSTED.value,
                OutboundMessageRow.mailbox_id == mailbox_id,
            )
            .order_by(OutboundRecipientRow.recipient_id)
            .limit(1)
        ).scalar_subquery()
        woken = await work.session.execute(
            update(OutboundRecipientRow)
            .where(OutboundRecipientRow.recipient_id == first, OutboundRecipientRow.next_attempt_at > now)
            .values(next_attempt_at=now)
            .returning(OutboundRecipientRow.recipient_id)
            .execution_options(synchronize_session=False)
        )
        if woken.all():
            log.info("credit_is_back", mailbox=mailbox_id)

    async def _not_told(self, row: MailboxRow, setbacks: int, error: DomainError) -> None:
        pause = max(setback_pause(setbacks), min(self._limits.interval, timedelta(minutes=5)))
        values: dict[str, object] = {
            "next_at": self._clock.now() + pause, "fault": clean(error.detail, 500), "setbacks": setbacks + 1,
        }  # fmt: skip
        log.warning("standing_not_told", mailbox=row.mailbox_id, code=error.code, reason=error.detail)
        async with self._database.unit_of_work() as work:
            await _upsert(work, row.mailbox_id, values)
            if isinstance(error, LoginRefusedError):
                await stop_account(
                    work, row.mailbox_id, revision=row.revision, clock=self._clock, code=error.code, reason=error.detail
                )

    async def publish(self) -> None:
        """Set the gauges of accounts."""
        now, limits = self._clock.now(), self._limits
        async with self._database.reading() as session:
            standings = (
                await session.scalars(
                    select(AccountStandingRow)
                    .join(MailboxRow, MailboxRow.mailbox_id == AccountStandingRow.mailbox_id)
                    .where(MailboxRow.active.is_(True), MailboxRow.eyws_url.is_not(None))
                )
            ).all()
            factors = (
                await session.scalars(
                    select(SecondFactorRow.state)
                    .join(
                        MailboxRow,
                        (MailboxRow.mailbox_id == SecondFactorRow.mailbox_id)
                        & (MailboxRow.revision == SecondFactorRow.revision),
                    )
                    .where(MailboxRow.active.is_(True))
                )
            ).all()
        credits_told = [row.credit for row in standings if row.credit is not None]
        quotas = [row.quota_kilobytes for row in standings if row.quota_kilobytes is not None]
        late = now - _UNANSWERED_AFTER * limits.interval
        self._metrics.credit.set(min(credits_told, default=math.nan))
        self._metrics.quota.set(min(quotas) * 1024 if quotas else math.nan)
        self._metrics.short.labels("credit").set(sum(credit < limits.credit for credit in credits_told))
        self._metrics.short.labels("quota").set(sum(quota < limits.quota_kilobytes for quota in quotas))
        self._metrics.short.labels("answers").set(
            sum(row.fault is not None and (row.told_at is None or row.told_at < late) for row in standings)
        )
        waiting = (SecondFactorState.NEEDED, SecondFactorState.CHALLENGED)
        self._metrics.second_factor.set(sum(SecondFactorState(state) in waiting for state in factors))


async def _upsert(work: UnitOfWork, mailbox_id: str, values: dict[str, object]) -> None:
    await work.session.execute(
        insert(AccountStandingRow)
        .values(mailbox_id=mailbox_id, **values)
        .on_conflict_do_update(index_elements=["mailbox_id"], set_=values)
    )
