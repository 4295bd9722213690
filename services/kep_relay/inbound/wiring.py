"""Puts the incoming side together from what ``app.build`` made."""

from __future__ import annotations

from datetime import timedelta

from services.kep_relay.acceptance.calendars import calendar_of
from services.kep_relay.acceptance.decisions import Decisions
from services.kep_relay.acceptance.periods import Periods
from services.kep_relay.asking import asking_parts
from services.kep_relay.dependencies import Dependencies, Parts
from services.kep_relay.evidence.settle import EvidenceSettlement
from services.kep_relay.inbound.acknowledge import ProviderAcknowledgement
from services.kep_relay.inbound.addressees import Addressees
from services.kep_relay.inbound.arrivals import Arrivals
from services.kep_relay.inbound.budget import ByteBudget
from services.kep_relay.inbound.consumer_decisions import Routings
from services.kep_relay.inbound.consumers import Consumers
from services.kep_relay.inbound.deletion import ProviderDeletion
from services.kep_relay.inbound.drain import Drain, DrainTimes
from services.kep_relay.inbound.incidents import Incidents
from services.kep_relay.inbound.ingest import Ingestion
from services.kep_relay.inbound.jobs import ACKNOWLEDGE, INGEST, SETTLE_EVIDENCE, VERIFY, InboundJobs
from services.kep_relay.inbound.leases import Leases
from services.kep_relay.inbound.ledger import InboundLedger
from services.kep_relay.inbound.metrics import InboundMetrics
from services.kep_relay.inbound.precedence import Precedence
from services.kep_relay.inbound.rawmail import RawMailStore
from services.kep_relay.inbound.reading import VerificationRules
from services.kep_relay.inbound.releases import Releases
from services.kep_relay.inbound.reverification import Reverification
from services.kep_relay.inbound.scanning import scanner_at
from services.kep_relay.inbound.sweep import InboundSweep
from services.kep_relay.inbound.verification_news import VerificationAnnouncements
from services.kep_relay.inbound.verify import LetterVerification
from services.kep_relay.intake import Intake
from services.kep_relay.mailboxes import AddressBook
from services.kep_relay.routes.acceptance import acceptance_routes
from services.kep_relay.routes.classified import classified_routes
from services.kep_relay.routes.consumers import consumer_routes
from services.kep_relay.routes.events import event_routes
from services.kep_relay.routes.inbound import inbound_routes
from services.kep_relay.routes.verification_mails import verification_routes
from services.kep_relay.second_factor.states import SecondFactorStates
from shared.contracts.signatures import Profile
from shared.secrets import SecretBox
from shared.service import BackgroundPart


def inbound_parts(deps: Dependencies) -> Parts:
    """Background parts, routes, sweeps and ledger of the incoming side; declares its jobs."""
    settings, database, clock, blobs = deps.settings, deps.database, deps.clock, deps.blobs
    metrics, transitions = InboundMetrics(deps.registry), deps.metrics.transitions
    arrivals, budget = Arrivals(), ByteBudget(settings.mail_memory_bytes)
    periods = Periods(database, clock, calendar_of(settings.calendar_file, settings.working_day_ends))
    verification = LetterVerification(
        database, blobs, deps.signer, clock, metrics, transitions, arrivals, budget,
        periods=periods, addressees=Addressees(deps.directory.resolve),
        sender_profile=Profile(settings.sender_signature_profile), max_mail_bytes=settings.max_mail_bytes,
        key_pause=timedelta(seconds=settings.encrypted_retry_seconds),
    )  # fmt: skip
    settlement = EvidenceSettlement(
        database, blobs, deps.signer, clock, metrics, transitions, budget,
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
    precedence = Precedence(settings.storing_first_seconds)
    scanner = scanner_at(settings.clamd_address, metrics, timeout_seconds=settings.clamd_seconds)
    ingestion = Ingestion(
        database, blobs, jobs, clock, metrics, budget, verification, settlement, periods, scanner, precedence,
        max_mail_bytes=settings.max_mail_bytes,
        attempts=settings.ingest_attempts,
        verification_rules=VerificationRules(
            frozenset(settings.detsis_verification_senders), tuple(settings.detsis_link_hosts)
        ),
    )  # fmt: skip
    leases = Leases(database, jobs, clock, arrivals, periods, transitions, max_deliveries=settings.max_deliveries)
    intake = Intake(AddressBook(settings.kep_domains), clock, verification_senders=settings.detsis_verification_senders)
    announcements = VerificationAnnouncements(database, deps.registrations.announce, clock)
    sweep = InboundSweep(database, jobs, leases, clock, metrics)
    store = RawMailStore(database, blobs, jobs, clock, max_bytes=settings.max_mail_bytes)
    asking = asking_parts(deps, store)
    drain = Drain(
        database=database,
        mailboxes=deps.mailboxes,
        driver=deps.driver,
        store=store,
        instance=deps.instance,
        clock=clock,
        times=DrainTimes(
            lease=settings.mailbox_lease_seconds,
            look=settings.mailbox_look_seconds,
            reconnect_pauses=settings.reconnect_pauses_seconds,
            rescan=settings.rescan_seconds,
            rescan_uids=settings.rescan_uids,
            further_folders=settings.further_folders_seconds,
        ),
        max_mail_bytes=settings.max_mail_bytes,
        further_folders=settings.further_folders,
        second_factors=SecondFactorStates(database, SecretBox(settings.secret_keys), clock),
        deletion=ProviderDeletion(database, blobs, clock, metrics, days=settings.provider_retention_days),
        precedence=precedence,
    )
    return Parts(
        background=[BackgroundPart("drain", drain.run)],
        routers=[
            inbound_routes(
                database, blobs, leases, Reverification(database, jobs, clock), Releases(database, jobs, clock)
            ),
            event_routes(database, arrivals),
            acceptance_routes(Decisions(database, clock, periods)),
            classified_routes(database, blobs, Incidents(database, jobs, clock)),
            consumer_routes(Consumers(database, clock, arrivals), Routings(database, clock, arrivals)),
            verification_routes(database, clock, intake, expected_hosts=tuple(settings.detsis_link_hosts)),
            *asking.routers,
        ],
        sweeps=[sweep.sweep, announcements.sweep, periods.sweep, *asking.sweeps],
        gauges=[sweep.publish, *asking.gauges],
        ledger=InboundLedger(),
    )
