"""One submission: intent committed, provider touched, outcome written if the claim still holds."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, update

from services.kep_relay.drivers.protocol import (
    Accepted,
    Blocked,
    Envelope,
    KepDriver,
    OutcomeUnknown,
    PermanentFailure,
    SubmissionOutcome,
    TemporaryFailure,
)
from services.kep_relay.instance import Instance
from services.kep_relay.mailboxes import Mailboxes, stop_account
from services.kep_relay.metrics import RelayMetrics
from services.kep_relay.outbound import moves
from services.kep_relay.outbound.breaker import EndpointBreaker, endpoint
from services.kep_relay.outbound.credit import CreditQueue
from services.kep_relay.outbound.history import EventKind
from services.kep_relay.outbound.jobs import OutboundJobs
from services.kep_relay.outbound.moves import LetterInHand, Row, Values
from services.kep_relay.outbound.outcome import Decision, RetryPolicy, decide
from services.kep_relay.outbound.pacing import Pacing
from services.kep_relay.sightings import Sightings
from shared.blobs import BlobStore, checked
from shared.clock import Clock
from shared.db.session import Database, UnitOfWork
from shared.domain.identifiers import KepAddress
from shared.domain.message import OutboundState
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_LONGEST_REST_SECONDS = 15.0


class Attempt:
    """Submits prepared letters."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: BlobStore,
        clock: Clock,
        instance: Instance,
        mailboxes: Mailboxes,
        driver: KepDriver,
        policy: RetryPolicy,
        pacing: Pacing,
        breaker: EndpointBreaker,
        credit: CreditQueue,
        sightings: Sightings,
        metrics: RelayMetrics,
        claim_seconds: float,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._instance = instance
        self._mailboxes = mailboxes
        self._driver = driver
        self._policy = policy
        self._pacing = pacing
        self._breaker = breaker
        self._credit = credit
        self._sightings = sightings
        self._metrics = metrics
        self._claim_seconds = claim_seconds

    async def attempt(self, letter: LetterInHand, jobs: OutboundJobs) -> bool:
        """Hand the composed message over once; whether its outcome was written, and the claim given back with it.

        Raises ``DomainError`` only before the provider is touched, or when the outcome could not be
        written for as long as the claim held.
        """
        recipient, mailbox = letter.recipient, letter.mailbox
        assert recipient.kep_address is not None
        assert recipient.composed_sha256 is not None
        assert recipient.composed_size is not None
        account = self._mailboxes.account(mailbox)
        if await self._blobs.size(recipient.composed_sha256) != recipient.composed_size:
            raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, "the composed message is missing in the blob store")
        if not await self._write_intent(letter):
            return False
        envelope = Envelope(KepAddress(mailbox.address), KepAddress(recipient.kep_address), recipient.message_id_header)
        with self._metrics.provider_call("submit") as call:
            content = checked(self._blobs, recipient.composed_sha256)
            try:
                # Never longer than the claim: whoever takes over then must not meet a submission that still runs.
                async with asyncio.timeout(self._claim_seconds):
                    outcome = await self._driver.submit(account, envelope, content, size=recipient.composed_size)
            except TimeoutError:
                outcome = OutcomeUnknown(ErrorCode.PROVIDER_UNAVAILABLE, "the submission took too long")
            call.outcome = word(outcome)
        decision = decide(outcome, recipient.setbacks, self._clock.now(), self._policy)
        await self._regard_account(letter, outcome, decision)
        written = await self._write_outcome(letter, outcome, decision, jobs)
        if isinstance(outcome, Accepted):
            await self._credit.taken(letter)
        return written

    async def _write_intent(self, letter: LetterInHand) -> bool:
        if not self._instance.may_begin():
            return False
        now = self._clock.now()
        attempt = letter.recipient.attempts + 1
        # Those behind a letter that waits for credit see by its reason that it has not been taken yet.
        short = letter.recipient.reason_code == ErrorCode.KEP_CREDIT_EXHAUSTED
        async with self._database.unit_of_work() as work:
            return await moves.move(
                work,
                recipient_id=letter.recipient_id,
                message_id=letter.message.message_id,
                from_state=letter.state,
                to_state=OutboundState.SUBMITTING,
                kind=EventKind.ATTEMPT,
                detail=f"attempt {attempt} to {letter.recipient.kep_address}",
                at=now,
                claim_token=letter.token,
                values={
                    Row.claim_expires_at: now + timedelta(seconds=self._claim_seconds),
                    Row.attempts: attempt,
                    Row.last_attempt_at: now,
                    Row.next_attempt_at: None,
                    Row.reason_code: letter.recipient.reason_code if short else None,
                    Row.reason: letter.recipient.reason if short else None,
                },
            )

    async def _regard_account(self, letter: LetterInHand, outcome: SubmissionOutcome, decision: Decision) -> None:
        mailbox = letter.mailbox
        unreachable = isinstance(outcome, TemporaryFailure) and outcome.unreachable
        if isinstance(outcome, TemporaryFailure) and outcome.unreachable and decision.next_attempt_at is not None:
            rest = min((decision.next_attempt_at - self._clock.now()).total_seconds(), _LONGEST_REST_SECONDS)
            if outcome.account_only:
                self._pacing.close(mailbox.mailbox_id, rest)
            else:
                self._breaker.failed(endpoint(mailbox), rest_seconds=rest)
        elif not isinstance(outcome, OutcomeUnknown):
            self._breaker.answered(endpoint(mailbox))
        await self._sightings.seen(mailbox.mailbox_id, fault=decision.reason if unreachable else None)
        if isinstance(outcome, Blocked) and outcome.reason_code == ErrorCode.KEP_CREDIT_EXHAUSTED:
            self._credit.refused(mailbox.mailbox_id)
        if isinstance(outcome, Blocked) and outcome.stop_account:
            try:
                async with self._database.unit_of_work() as work:
                    await stop_account(
                        work, mailbox.mailbox_id, revision=mailbox.revision, clock=self._clock,
                        code=outcome.reason_code, reason=outcome.reason,
                    )  # fmt: skip
            except DomainError as error:
                # The driver itself remembers a refused login, so nothing is tried with it before this is written.
                log.warning("stop_not_written", mailbox=mailbox.mailbox_id, reason=error.detail)

    async def _write_outcome(
        self, letter: LetterInHand, outcome: SubmissionOutcome, decision: Decision, jobs: OutboundJobs
    ) -> bool:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._claim_seconds
        pause = 0.1
        while True:
            try:
                async with self._database.unit_of_work() as work:
                    written = await self._write_once(work, letter, outcome, decision, jobs)
                break
            except DomainError as error:
                # The provider has answered; its answer is worth waiting for the database while the claim holds.
                if self._instance.stopping or loop.time() + pause > give_up_at:
                    raise
                log.warning("outcome_not_written_yet", recipient=str(letter.recipient_id), reason=error.detail)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)
        self._metrics.outcomes.labels(word(outcome)).inc()
        if isinstance(outcome, OutcomeUnknown):
            self._metrics.outcome_unknown.inc()
        if written:
            self._metrics.transitions.outbound(decision.state, letter.message.accepted_at, self._clock.now())
        log.info(
            "outcome",
            message_id=str(letter.message.message_id),
            recipient=str(letter.recipient_id),
            outcome=word(outcome),
            state=decision.state.value if written else "superseded",
            reason=decision.reason,
        )
        return written

    async def _write_once(
        self,
        work: UnitOfWork,
        letter: LetterInHand,
        outcome: SubmissionOutcome,
        decision: Decision,
        jobs: OutboundJobs,
    ) -> bool:
        now = self._clock.now()
        detail = outcome.reply if isinstance(outcome, Accepted) else f"{decision.reason_code}: {decision.reason}"
        values: Values = {**decided(decision), **moves.RELEASED}
        if isinstance(outcome, Accepted):
            values = {**values, Row.submitted_at: now, Row.outcome_unknown_since: None}
        elif isinstance(outcome, OutcomeUnknown):
            values = {**values, Row.outcome_unknown_since: now}
        written = await moves.move(
            work,
            recipient_id=letter.recipient_id,
            message_id=letter.message.message_id,
            from_state=OutboundState.SUBMITTING,
            to_state=decision.state,
            kind=EventKind.OUTCOME,
            detail=detail,
            at=now,
            claim_token=letter.token,
            values=values,
        )
        if written:
            await jobs.follow(work, letter.recipient_id, decision, correlation_id=letter.message.correlation_id)
        elif isinstance(outcome, Accepted) and await self._late_answer(work, letter, outcome, now):
            return True
        elif isinstance(outcome, Accepted):
            # Evidence was faster than the provider's answer: the state it proved stays.
            await work.session.execute(
                update(Row)
                .where(Row.recipient_id == letter.recipient_id, Row.claim_token == letter.token)
                .values(submitted_at=func.coalesce(Row.submitted_at, now))
                .execution_options(synchronize_session=False)
            )
        return written

    @staticmethod
    async def _late_answer(work: UnitOfWork, letter: LetterInHand, outcome: Accepted, now: datetime) -> bool:
        """The claim was lost meanwhile, but while others still look for the message its acceptance is certain."""
        return await moves.move(
            work,
            recipient_id=letter.recipient_id,
            message_id=letter.message.message_id,
            from_state=OutboundState.OUTCOME_UNKNOWN,
            to_state=OutboundState.SUBMITTED,
            kind=EventKind.OUTCOME,
            detail=outcome.reply,
            at=now,
            values={
                Row.submitted_at: now,
                Row.outcome_unknown_since: None,
                Row.next_attempt_at: None,
                Row.reason_code: None,
                Row.reason: None,
                Row.setbacks: 0,
            },
        )


def decided(decision: Decision) -> Values:
    """A decision as columns, less the state."""
    return {
        Row.reason_code: decision.reason_code,
        Row.reason: None if decision.reason is None else decision.reason[:1000],
        Row.next_attempt_at: decision.next_attempt_at,
        Row.setbacks: decision.setbacks,
    }


def word(outcome: SubmissionOutcome) -> str:
    """The outcome's name in metrics and logs."""
    match outcome:
        case Accepted():
            return "accepted"
        case TemporaryFailure():
            return "temporary_failure"
        case PermanentFailure():
            return "permanent_failure"
        case Blocked():
            return "blocked"
        case OutcomeUnknown():
            return "outcome_unknown"
