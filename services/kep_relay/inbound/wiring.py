"""Puts the incoming side together from what ``app.build`` made."""

from __future__ import annotations

from datetime import timedelta

from services.kep_relay.dependencies import Dependencies, Parts
from services.kep_relay.evidence.settle import EvidenceSettlement
from services.kep_relay.inbound.acknowledge import ProviderAcknowledgement
from services.kep_relay.inbound.arrivals import Arrivals
from services.kep_relay.inbound.budget import ByteBudget
from services.kep_relay.inbound.drain import Drain, DrainTimes
from services.kep_relay.inbound.incidents import Incidents
from services.kep_relay.inbound.ingest import Ingestion
from services.kep_relay.inbound.jobs import ACKNOWLEDGE, INGEST, SETTLE_EVIDENCE, VERIFY, InboundJobs
from services.kep_relay.inbound.leases import Leases
from services.kep_relay.inbound.ledger import inbound_side
from services.kep_relay.inbound.metrics import InboundMetrics
from services.kep_relay.inbound.rawmail import RawMailStore
from services.kep_relay.inbound.reading import VerificationRules
from services.kep_relay.inbound.reverification import Reverification
from services.kep_relay.inbound.sweep import InboundSweep
from services.kep_relay.inbound.verification_news import VerificationAnnouncements
from services.kep_relay.inbound.verify import LetterVerification
from services.kep_relay.intake import Intake
from services.kep_relay.mailboxes import AddressBook
from services.kep_relay.routes.classified import classified_routes
from services.kep_relay.routes.inbound import inbound_routes
from services.kep_relay.routes.verification_mails import verification_routes
from shared.contracts.signatures import Profile
from shared.service import BackgroundPart


def inbound_parts(deps: Dependencies) -> Parts:
    """Background parts, routes, sweeps and ledger of the incoming side; declares its jobs."""
    settings, database, clock, blobs = deps.settings, deps.database, deps.clock, deps.blobs
    metrics, arrivals, budget = InboundMetrics(deps.registry), Arrivals(), ByteBudget(settings.mail_memory_bytes)
    verification = LetterVerification(
        database, blobs, deps.signer, clock, metrics, arrivals, budget,
        sender_profile=Profile(settings.sender_signature_profile), max_mail_bytes=settings.max_mail_bytes,
        key_pause=timedelta(seconds=settings.encrypted_retry_seconds),
    )  # fmt: skip
    settlement = EvidenceSettlement(
        database, blobs, deps.signer, clock, metrics, budget,
        policy=settings.unverified_evidence, max_mail_bytes=settings.max_mail_bytes,
    )  # fmt: skip
    acknowledgement = ProviderAcknowledgement(database, deps.mailboxes, deps.driver, clock)

    async def ingest(raw_mail_id: str) -> None:
        await ingestion.run(raw_mail_id)  # needs the jobs, which need this function

    jobs = InboundJobs(
        queue=deps.queue,
        ingest=deps.queue.job(INGEST, ingest),
        verify=deps.queue.job(VERIFY, verification.run),
        acknowledge=deps.queue.job(ACKNOWLEDGE, acknowledgement.run),
        settle=deps.queue.job(SETTLE_EVIDENCE, settlement.run),
    )
    ingestion = Ingestion(
        database, blobs, jobs, clock, metrics, budget, verification, settlement, max_mail_bytes=settings.max_mail_bytes,
        attempts=settings.ingest_attempts,
        verification_rules=VerificationRules(
            frozenset(settings.detsis_verification_senders), tuple(settings.detsis_link_hosts)
        ),
    )  # fmt: skip
    leases = Leases(database, jobs, clock, arrivals, max_deliveries=settings.max_deliveries)
    intake = Intake(AddressBook(settings.kep_domains), clock, verification_senders=settings.detsis_verification_senders)
    announcements = VerificationAnnouncements(database, deps.registrations.announce, clock)
    sweep = InboundSweep(database, jobs, leases, clock, metrics)
    drain = Drain(
        database=database,
        mailboxes=deps.mailboxes,
        driver=deps.driver,
        store=RawMailStore(database, blobs, deps.queue, jobs.ingest, clock, max_bytes=settings.max_mail_bytes),
        instance=deps.instance,
        clock=clock,
        times=DrainTimes(
            lease=settings.mailbox_lease_seconds,
            look=settings.mailbox_look_seconds,
            reconnect_pauses=settings.reconnect_pauses_seconds,
            rescan=settings.rescan_seconds,
            rescan_uids=settings.rescan_uids,
        ),
        max_mail_bytes=settings.max_mail_bytes,
    )
    return Parts(
        background=[BackgroundPart("drain", drain.run)],
        routers=[
            inbound_routes(database, blobs, leases, Reverification(database, jobs, clock)),
            classified_routes(database, blobs, Incidents(database, jobs, clock)),
            verification_routes(database, clock, intake, expected_hosts=tuple(settings.detsis_link_hosts)),
        ],
        sweeps=[sweep.sweep, announcements.sweep],
        gauges=[sweep.publish],
        ledger=inbound_side,
    )
