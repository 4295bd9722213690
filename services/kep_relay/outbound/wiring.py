"""Builds the outgoing side from what ``app.build`` made."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.kep_relay.dependencies import Dependencies
from services.kep_relay.mailboxes import AddressBook
from services.kep_relay.outbound.accept import Acceptance
from services.kep_relay.outbound.attempt import Attempt
from services.kep_relay.outbound.breaker import EndpointBreaker
from services.kep_relay.outbound.claims import Claims
from services.kep_relay.outbound.client_signature import ClientSignatures
from services.kep_relay.outbound.compose import Sign
from services.kep_relay.outbound.credit import CreditQueue
from services.kep_relay.outbound.delivery import Delivery
from services.kep_relay.outbound.jobs import RECONCILE, SUBMIT, OutboundJobs
from services.kep_relay.outbound.outcome import RetryPolicy
from services.kep_relay.outbound.pacing import Pacing
from services.kep_relay.outbound.prepare import MakeSigner, Preparation, Resolve
from services.kep_relay.outbound.reconcile import Reconciliation
from services.kep_relay.outbound.sweep import OutboundSweep
from services.kep_relay.settings import Settings
from services.kep_relay.sightings import Sightings
from shared.clients.signer import SignerClient
from shared.errors import DomainError, ErrorCode


@dataclass(frozen=True)
class OutboundSide:
    """The outgoing side, ready to run."""

    acceptance: Acceptance
    sweep: OutboundSweep
    claims: Claims
    jobs: OutboundJobs


def retry_policy(settings: Settings) -> RetryPolicy:
    """The configured pauses."""
    return RetryPolicy(
        retry_pauses=tuple(settings.retry_pauses_seconds),
        blocked_pauses=tuple(settings.blocked_pauses_seconds),
        reconcile_pauses=tuple(settings.reconcile_pauses_seconds),
        reconcile_window=timedelta(seconds=settings.reconcile_window_seconds),
    )


_NO_SUCH_KEY = frozenset({ErrorCode.NOT_FOUND, ErrorCode.INSTITUTION_FORBIDDEN})


def sign_by(client: SignerClient) -> MakeSigner:
    """Signing by the signer service."""

    def with_key(key_id: str, institution_no: int) -> Sign:
        async def sign(content: AsyncIterable[bytes]) -> bytes:
            try:
                return await client.sign_message(key_id, content, institution_no=institution_no)
            except DomainError as error:
                if error.code in _NO_SUCH_KEY:
                    raise DomainError(ErrorCode.SIGNING_KEY_UNAVAILABLE, error.detail) from error
                raise

        return sign

    return with_key


def outbound_side(deps: Dependencies, *, addresses: AddressBook, resolve: Resolve, signer: MakeSigner) -> OutboundSide:
    """Wire the outgoing side and declare its jobs."""
    settings, policy = deps.settings, retry_policy(deps.settings)
    pacing = Pacing(slots=settings.submissions_per_mailbox, interval_seconds=settings.submission_interval_seconds)
    breaker, credit = EndpointBreaker(), CreditQueue(deps.database, deps.clock)
    claims = Claims(deps.database, deps.clock, deps.instance, deps.metrics)
    delivery = Delivery(
        database=deps.database,
        clock=deps.clock,
        instance=deps.instance,
        claims=claims,
        preparation=Preparation(
            database=deps.database,
            blobs=deps.blobs,
            clock=deps.clock,
            addresses=addresses,
            resolve=resolve,
            signer=signer,
        ),
        attempt=Attempt(
            database=deps.database,
            blobs=deps.blobs,
            clock=deps.clock,
            instance=deps.instance,
            mailboxes=deps.mailboxes,
            driver=deps.driver,
            policy=policy,
            pacing=pacing,
            breaker=breaker,
            credit=credit,
            sightings=Sightings(deps.database, deps.clock),
            metrics=deps.metrics,
            claim_seconds=settings.claim_seconds,
        ),
        policy=policy,
        pacing=pacing,
        breaker=breaker,
        credit=credit,
        claim_seconds=settings.claim_seconds,
    )
    reconciliation = Reconciliation(
        database=deps.database,
        clock=deps.clock,
        mailboxes=deps.mailboxes,
        driver=deps.driver,
        policy=policy,
        metrics=deps.metrics,
    )

    async def submit(recipient_id: str) -> None:
        await delivery.submit(UUID(recipient_id), jobs)

    async def reconcile(recipient_id: str) -> None:
        await reconciliation.reconcile(UUID(recipient_id), jobs)

    # Few beside what may come in at once, and each is a letter somebody waits for.
    jobs = OutboundJobs(
        deps.queue, deps.queue.job(SUBMIT, submit, urgent=True), deps.queue.job(RECONCILE, reconcile, urgent=True)
    )
    return OutboundSide(
        acceptance=Acceptance(
            database=deps.database,
            blobs=deps.blobs,
            clock=deps.clock,
            jobs=jobs,
            signatures=ClientSignatures(deps.signer, deps.blobs, settings.message_signature_profiles),
            ttl=timedelta(hours=settings.message_ttl_hours),
            max_package_bytes=settings.max_package_bytes,
            refuse_unready=settings.unready_mailbox == "refuse",
        ),
        sweep=OutboundSweep(
            database=deps.database,
            clock=deps.clock,
            jobs=jobs,
            metrics=deps.metrics,
            grace=timedelta(seconds=2 * settings.sweep_interval_seconds),
            evidence_overdue_after=timedelta(hours=settings.evidence_overdue_hours),
            evidence_long_overdue_after=timedelta(hours=settings.evidence_long_overdue_hours),
        ),
        claims=claims,
        jobs=jobs,
    )
