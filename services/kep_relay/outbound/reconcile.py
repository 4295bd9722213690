"""The job ``kep_relay.reconcile``: finds out whether a message was taken whose answer got lost (kep.md 7.1).

The provider is asked, by Message-ID and iletiID. Found means submitted. Absent counts only after the
whole window, counted from the last attempt or from when its outcome was found to be unknown, whichever
is later; then the same bytes with the same Message-ID are queued again. A provider that cannot be asked
proves nothing. Evidence that arrives meanwhile settles it as well: it moves the recipient on, and this
job then finds nothing to do; while it only waits for its verdict nothing is sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import or_, select

from services.kep_relay.drivers.protocol import KepDriver, LoginRefusedError, MailboxAccount
from services.kep_relay.mailboxes import Mailboxes, stop_account
from services.kep_relay.metrics import RelayMetrics
from services.kep_relay.outbound import moves
from services.kep_relay.outbound.attempt import decided
from services.kep_relay.outbound.history import EventKind
from services.kep_relay.outbound.jobs import OutboundJobs
from services.kep_relay.outbound.moves import Row, Values
from services.kep_relay.outbound.outcome import Decision, RetryPolicy, decide_search
from services.kep_relay.tables import EvidenceRow, MailboxRow, OutboundMessageRow, OutboundRecipientRow
from shared.clock import Clock
from shared.db.session import Database
from shared.domain.message import OutboundState
from shared.errors import DomainError

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Open:
    recipient: OutboundRecipientRow
    message: OutboundMessageRow
    mailbox: MailboxRow

    @property
    def unknown_from(self) -> datetime:
        """Start of the window. The later moment: a clock that jumped ahead must not end it at once."""
        attempted = self.recipient.last_attempt_at or self.recipient.updated_at
        return max(attempted, self.recipient.outcome_unknown_since or attempted)


class Reconciliation:
    """Runs the job. Two at once are harmless: the second one's change does not fit the row's version."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        mailboxes: Mailboxes,
        driver: KepDriver,
        policy: RetryPolicy,
        metrics: RelayMetrics,
    ) -> None:
        self._database = database
        self._clock = clock
        self._mailboxes = mailboxes
        self._driver = driver
        self._policy = policy
        self._metrics = metrics

    async def reconcile(self, recipient_id: UUID, jobs: OutboundJobs) -> None:
        """Look once, and write down what that means."""
        case = await self._load(recipient_id)
        if case is None:
            return
        found = await self._look(case)
        now = self._clock.now()
        decision = decide_search(
            found,
            looks=case.recipient.setbacks,
            unknown_from=case.unknown_from,
            now=now,
            policy=self._policy,
        )
        await self._write(case, decision, jobs, now)
        resubmitted = decision.state == OutboundState.QUEUED
        result = "resubmitted" if resubmitted else "found" if found else "unavailable" if found is None else "absent"
        self._metrics.reconciliations.labels(result).inc()
        log.info("reconciled", recipient=str(recipient_id), result=result)

    async def _load(self, recipient_id: UUID) -> _Open | None:
        async with self._database.reading() as session:
            recipient = await session.get(OutboundRecipientRow, recipient_id)
            if recipient is None or recipient.state != OutboundState.OUTCOME_UNKNOWN:
                return None
            message = await session.get_one(OutboundMessageRow, recipient.message_id)
            return _Open(recipient, message, await session.get_one(MailboxRow, message.mailbox_id))

    async def _look(self, case: _Open) -> bool | None:
        if case.mailbox.stopped_at is not None:
            # The provider refuses the account: asking again with the same password locks it (kep.md 7.4).
            return None
        with self._metrics.provider_call("find_sent") as call:
            try:
                account: MailboxAccount = self._mailboxes.account(case.mailbox)
                found = await self._driver.find_sent(
                    account, message_id_header=case.recipient.message_id_header, rem_id=case.recipient.rem_id
                )
            except LoginRefusedError as error:
                await self._stop(case.mailbox, error)
                return None
            except DomainError as error:
                log.info("cannot_look", recipient=str(case.recipient.recipient_id), reason=error.detail)
                return None
            call.outcome = "found" if found else "absent"
        if not found and await self._evidence_waits(case):
            return None
        return found

    async def _stop(self, mailbox: MailboxRow, error: LoginRefusedError) -> None:
        async with self._database.unit_of_work() as work:
            await stop_account(
                work, mailbox.mailbox_id, revision=mailbox.revision, clock=self._clock, code=error.code,
                reason=error.detail,
            )  # fmt: skip

    async def _evidence_waits(self, case: _Open) -> bool:
        """Whether there is evidence about the message whose verdict is still open."""
        async with self._database.autocommit() as session:
            waiting = await session.scalar(
                select(EvidenceRow.evidence_id)
                .where(
                    EvidenceRow.recipient_id == case.recipient.recipient_id,
                    or_(EvidenceRow.conclusion.is_(None), EvidenceRow.provisional),
                )
                .limit(1)
            )
        return waiting is not None

    async def _write(self, case: _Open, decision: Decision, jobs: OutboundJobs, now: datetime) -> None:
        recipient = case.recipient
        async with self._database.unit_of_work() as work:
            if decision.state == OutboundState.OUTCOME_UNKNOWN:
                kept = await moves.touch(
                    work, recipient.recipient_id, decision.state, decided(decision), version=recipient.version
                )
            else:
                values: Values = {**decided(decision), Row.outcome_unknown_since: None}
                if decision.state == OutboundState.SUBMITTED:
                    values = {**values, Row.submitted_at: recipient.last_attempt_at or now}
                kept = await moves.move(
                    work,
                    recipient_id=recipient.recipient_id,
                    message_id=recipient.message_id,
                    from_state=OutboundState.OUTCOME_UNKNOWN,
                    to_state=decision.state,
                    kind=EventKind.RECONCILED,
                    detail="the provider has the message"
                    if decision.state == OutboundState.SUBMITTED
                    else "the provider does not have the message; it is sent again unchanged",
                    at=now,
                    version=recipient.version,
                    values=values,
                )
            if kept:
                await jobs.follow(work, recipient.recipient_id, decision, correlation_id=case.message.correlation_id)
