"""The job ``kep_relay.submit``: takes one recipient's letter to the provider.

1. Claim the recipient by compare-and-set.
2. Resolve its KEP address live (``prepare``; the composed message keeps it).
3. Compose, sign and store the exact bytes (``prepare``; once, every attempt sends the same).
4. Write the intent and commit it, before the provider is touched (``attempt``).
5. Submit (the driver).
6. Let ``outcome.decide`` say what follows, and write that only if the claim still holds (``attempt``).

A restart finds: before 4, a letter that is still queued; between 4 and 6, a letter in ``submitting``
whose process is dead, which the sweeper turns into ``outcome_unknown``.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta
from uuid import UUID

import structlog

from services.kep_relay.instance import Instance
from services.kep_relay.outbound import moves
from services.kep_relay.outbound.attempt import Attempt, decided
from services.kep_relay.outbound.breaker import EndpointBreaker, endpoint
from services.kep_relay.outbound.claims import Claims
from services.kep_relay.outbound.credit import CreditQueue
from services.kep_relay.outbound.history import EventKind
from services.kep_relay.outbound.jobs import OutboundJobs
from services.kep_relay.outbound.moves import LetterInHand
from services.kep_relay.outbound.outcome import Decision, RetryPolicy, decide_fault
from services.kep_relay.outbound.pacing import Pacing
from services.kep_relay.outbound.prepare import NotOursError, Preparation
from shared.clock import Clock
from shared.db.session import Database
from shared.domain.message import OutboundState
from shared.errors import DomainError, ErrorCode
from shared.telemetry.logging import correlation_id

log = structlog.get_logger(__name__)

_NO_TURN_PAUSE = timedelta(seconds=1)
_RESTING = "the provider could not be reached just now"


class Delivery:
    """Runs the job. Safe to run twice at once for the same recipient: one of the two finds nothing to do."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        instance: Instance,
        claims: Claims,
        preparation: Preparation,
        attempt: Attempt,
        policy: RetryPolicy,
        pacing: Pacing,
        breaker: EndpointBreaker,
        credit: CreditQueue,
        claim_seconds: float,
    ) -> None:
        self._database = database
        self._clock = clock
        self._instance = instance
        self._claims = claims
        self._preparation = preparation
        self._attempt = attempt
        self._policy = policy
        self._pacing = pacing
        self._breaker = breaker
        self._credit = credit
        self._claim_seconds = claim_seconds

    async def submit(self, recipient_id: UUID, jobs: OutboundJobs) -> None:
        """Take the recipient one step further. What goes wrong becomes its state and reason.

        Raises ``DomainError`` only when not even that could be written; the sweeper then finds the row.
        """
        if not self._instance.may_begin():
            await self._leave_to_another(recipient_id, jobs)
            return
        with self._claims.in_hand() as token:
            letter = await moves.claim(
                self._database,
                recipient_id,
                token,
                instance_id=self._instance.instance_id,
                now=self._clock.now(),
                seconds=self._claim_seconds,
            )
            if letter is not None:
                await self._work(letter, jobs)

    async def _work(self, letter: LetterInHand, jobs: OutboundJobs) -> None:
        held = True
        try:
            held = not await self._step(letter, jobs)
        except NotOursError:
            log.info("step_given_up", recipient=str(letter.recipient_id))
        except DomainError as fault:
            await self._put_off(letter, fault, jobs)
        except Exception:
            # One letter that cannot be worked must neither loop tightly nor stop the others (kep.md 7.38).
            log.exception("step_failed", recipient=str(letter.recipient_id))
            unforeseen = DomainError(ErrorCode.INTERNAL, "an unforeseen error; the log has it")
            await self._put_off(letter, unforeseen, jobs)
        finally:
            # When even this fails ``Claims`` finds that nobody works on it.
            if held:
                with contextlib.suppress(DomainError):
                    await moves.release(self._database, letter)

    async def _leave_to_another(self, recipient_id: UUID, jobs: OutboundJobs) -> None:
        """This process is stopping, or not seen alive: another one, or this one a little later, goes on."""
        with contextlib.suppress(DomainError):  # then the sweeper finds the row
            async with self._database.unit_of_work() as work:
                at = self._clock.now() + _NO_TURN_PAUSE
                await jobs.requeue(work, recipient_id, correlation_id=correlation_id.get(), at=at)

    async def _step(self, letter: LetterInHand, jobs: OutboundJobs) -> bool:
        """Whether the outcome of an attempt was written, which gives the claim back too."""
        if letter.message.expires_at <= self._clock.now():
            await self._expire(letter)
            return False
        await self._preparation.prepare(letter)
        if await self._credit.behind_another(letter):
            raise DomainError(ErrorCode.KEP_CREDIT_EXHAUSTED, "an older letter of this mailbox waits for credit")
        mailbox_id = letter.mailbox.mailbox_id
        if self._pacing.closed(mailbox_id):
            raise DomainError(ErrorCode.PROVIDER_UNAVAILABLE, _RESTING)
        with self._breaker.passing(endpoint(letter.mailbox)) as passes:
            if not passes:
                raise DomainError(ErrorCode.PROVIDER_UNAVAILABLE, _RESTING)
            async with self._pacing.slot(mailbox_id) as granted:
                if granted and (self._pacing.closed(mailbox_id) or self._breaker.rests(endpoint(letter.mailbox))):
                    raise DomainError(ErrorCode.PROVIDER_UNAVAILABLE, _RESTING)  # found out while this one waited
                if granted:
                    return await self._attempt.attempt(letter, jobs)
        async with self._database.unit_of_work() as work:
            await jobs.requeue(
                work,
                letter.recipient_id,
                correlation_id=letter.message.correlation_id,
                at=self._clock.now() + _NO_TURN_PAUSE,
            )
        return False

    async def _expire(self, letter: LetterInHand) -> None:
        async with self._database.unit_of_work() as work:
            await moves.expire(
                work, letter.recipient_id, letter.message.message_id, letter.state, self._clock.now(), letter.token
            )

    async def _put_off(self, letter: LetterInHand, fault: DomainError, jobs: OutboundJobs) -> None:
        now = self._clock.now()
        decision = decide_fault(fault, letter.recipient.setbacks, now, self._policy)
        log.info(
            "put_off", recipient=str(letter.recipient_id), state=decision.state.value, reason_code=fault.code.value,
            reason=fault.detail,
        )  # fmt: skip
        async with self._database.unit_of_work() as work:
            if _says_the_same(letter, decision):
                kept = await moves.touch(
                    work, letter.recipient_id, letter.state, {**decided(decision), **moves.RELEASED}, token=letter.token
                )
            else:
                kept = await moves.move(
                    work,
                    recipient_id=letter.recipient_id,
                    message_id=letter.message.message_id,
                    from_state=letter.state,
                    to_state=decision.state,
                    kind=EventKind.BLOCKED if decision.state == OutboundState.BLOCKED else EventKind.WAITING,
                    detail=f"{decision.reason_code}: {decision.reason}",
                    at=now,
                    claim_token=letter.token,
                    values={**decided(decision), **moves.RELEASED},
                )
            if kept:
                await jobs.follow(work, letter.recipient_id, decision, correlation_id=letter.message.correlation_id)


def _says_the_same(letter: LetterInHand, decision: Decision) -> bool:
    """A long outage is one line in the history, not one per try."""
    recipient = letter.recipient
    return (letter.state, recipient.reason_code, recipient.reason) == (
        decision.state,
        decision.reason_code,
        decision.reason,
    )
