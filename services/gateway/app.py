"""Wires the gateway by hand."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

from fastapi import FastAPI

from services.gateway.api_keys import ApiKeys
from services.gateway.auth import Authenticator
from services.gateway.clients.relay import RelayClient
from services.gateway.deps import Gateway
from services.gateway.drafts.beginning import Beginnings
from services.gateway.drafts.drafting import Drafts
from services.gateway.drafts.finishing import Finishing
from services.gateway.drafts.metrics import DraftMetrics
from services.gateway.drafts.sweeping import DraftSweep
from services.gateway.gatekeeper import Gatekeeper
from services.gateway.headers import SecurityHeaders
from services.gateway.idempotency import IdempotencyKeys
from services.gateway.institutions import Institutions
from services.gateway.limits import BodyLimits
from services.gateway.live_choices import LiveChoices
from services.gateway.metrics import GatewayMetrics
from services.gateway.printing.authorisations import PrintAuthorisations
from services.gateway.printing.isolation import PrintLimits, PrintWorkers
from services.gateway.printing.letters import LetterReader
from services.gateway.printing.metrics import PrintMetrics
from services.gateway.printing.prints import Prints
from services.gateway.printing.records import PrintRecords
from services.gateway.problem_pages import problem_routes
from services.gateway.problems import ProblemAnswers
from services.gateway.rates import TokenBuckets
from services.gateway.routes import (
    admin,
    classified,
    consumers,
    correspondence,
    directory,
    draft_steps,
    drafts,
    events,
    inbound,
    kep_registrations,
    mailboxes,
    message_contents,
    notices,
    outbound,
    package_encryptions,
    packages,
    printing,
    releases,
    second_factor,
    signatures,
)
from services.gateway.routes.docs import docs_routes
from services.gateway.settings import Settings
from services.gateway.spool import prepare_spool, spool_check
from services.gateway.submission import Submissions
from services.gateway.verifications.keeping import VerificationLimits, Verifications
from services.gateway.verifications.metrics import VerificationMetrics
from services.gateway.verifications.rendering import PaperLimits, PaperReports
from services.gateway.verifications.sweeping import VerificationSweep
from shared.blobs import open_blob_store
from shared.clients.correspondence import CorrespondenceClient
from shared.clients.directory import DirectoryClient
from shared.clients.live import LiveClient
from shared.clients.registrations import RegistrationsClient
from shared.clients.signer import SignerClient
from shared.clock import Clock
from shared.db.session import Database
from shared.http import RequestTelemetry, install_error_answers
from shared.service import BackgroundPart, Service
from shared.telemetry.metrics import HttpMetrics, new_registry
from shared.telemetry.ops import ReadinessCheck
from shared.version import software_version


async def build(settings: Settings, clock: Clock) -> Service:
    """Everything the gateway consists of, ready to serve.

    Raises ``ConfigurationError`` when the spool directory cannot be used, ``DomainError`` when the
    database is away while the bootstrap key is made sure of.
    """
    registry = new_registry()
    metrics, http_metrics = GatewayMetrics(registry), HttpMetrics(registry)
    await asyncio.to_thread(prepare_spool, settings.spool_directory)
    database = Database(
        settings.database_url.get_secret_value(), schema="gateway", pool_size=settings.database_pool_size
    )
    token = settings.service_tokens["gateway"]
    relay = RelayClient(settings.kep_relay_url, token)
    register = DirectoryClient(settings.detsis_sync_url, token)
    signer = SignerClient(settings.signer_url, token)
    resources = AsyncExitStack()
    registrations = RegistrationsClient(settings.detsis_sync_url, token)
    letter_data = CorrespondenceClient(settings.detsis_sync_url, token)
    live = LiveClient(settings.detsis_sync_url, token)
    for resource in (database, relay, register, registrations, letter_data, live, signer):
        resources.push_async_callback(resource.aclose)

    buckets = TokenBuckets(clock, per_second=settings.requests_per_second, burst=settings.request_burst)
    authenticator = Authenticator(database, clock, metrics, buckets, cache_seconds=settings.key_cache_seconds)
    resources.push_async_callback(authenticator.write_last_use)
    api_keys = ApiKeys(database, clock, authenticator)
    if settings.bootstrap_admin_key is not None:
        await api_keys.ensure_bootstrap(settings.bootstrap_admin_key)
    institutions = Institutions(database, clock, cache_seconds=settings.key_cache_seconds)
    keys = IdempotencyKeys(
        database, clock, metrics,
        takeover_seconds=settings.idempotency_takeover_seconds, retention_days=settings.idempotency_retention_days,
    )  # fmt: skip
    submissions = Submissions(
        relay=relay, directory=register, signer=signer, institutions=institutions, keys=keys, metrics=metrics,
        database=database, clock=clock, spool=settings.spool_directory, max_package_bytes=settings.max_package_bytes,
    )  # fmt: skip
    print_limits = PrintLimits(
        seconds=settings.print_seconds, memory_bytes=settings.print_memory_bytes, at_once=settings.prints_at_once
    )
    prints = Prints(
        relay=relay, institutions=institutions, authorisations=PrintAuthorisations(database, clock),
        reader=LetterReader(signer, spool=settings.spool_directory, max_package_bytes=settings.max_package_bytes),
        workers=PrintWorkers(print_limits, settings.spool_directory), records=PrintRecords(database, clock),
        metrics=PrintMetrics(registry), database=database, clock=clock, spool=settings.spool_directory,
        max_pages=settings.print_max_pages,
    )  # fmt: skip
    blobs = open_blob_store(settings.blob_store_url)
    drafting = Drafts(
        database=database, clock=clock, blobs=blobs, signer=signer, institutions=institutions,
        metrics=DraftMetrics(registry), spool=settings.spool_directory, max_package_bytes=settings.max_package_bytes,
    )  # fmt: skip
    verifications = Verifications(
        database=database, clock=clock, blobs=open_blob_store(f"{settings.blob_store_url.rstrip('/')}/verifications"),
        signer=signer, keys=keys, metrics=VerificationMetrics(registry), spool=settings.spool_directory,
        max_file_bytes=settings.max_package_bytes,
        limits=VerificationLimits(
            per_client=settings.verifications_per_client, at_once=settings.verifications_at_once,
            most_looks=settings.verification_most_looks,
            retention=timedelta(days=settings.verification_retention_days),
        ),
    )  # fmt: skip
    resources.push_async_callback(verifications.aclose)
    gateway = Gateway(
        relay=relay, directory=register, registrations=registrations, correspondence=letter_data, live=live,
        live_choices=LiveChoices(live, clock), signer=signer, submissions=submissions, drafts=drafting,
        beginnings=Beginnings(drafting, keys, register, letter_data), finishing=Finishing(drafting), keys=keys,
        institutions=institutions, api_keys=api_keys, prints=prints, verifications=verifications,
        papers=PaperReports(PaperLimits(seconds=settings.verification_report_seconds)), database=database, clock=clock,
        spool=settings.spool_directory, max_package_bytes=settings.max_package_bytes,
    )  # fmt: skip
    app = web_app(gateway, authenticator, http_metrics, ProblemAnswers(settings.default_language))
    return Service(
        name="gateway",
        app=app,
        registry=registry,
        checks=[
            ReadinessCheck("database", database.ping),
            ReadinessCheck("spool", lambda: spool_check(settings.spool_directory)),
            ReadinessCheck("blob-store", blobs.check),
        ],
        background=[
            BackgroundPart("key-use", authenticator.note_last_use),
            BackgroundPart("idempotency-sweep", keys.sweep),
            BackgroundPart("verification-sweep", VerificationSweep(verifications).run),
            BackgroundPart("draft-sweep", DraftSweep(drafting, timedelta(days=settings.draft_retention_days)).run),
        ],
        resources=resources,
    )


def web_app(gateway: Gateway, authenticator: Authenticator, metrics: HttpMetrics, answers: ProblemAnswers) -> FastAPI:
    """The HTTP interface. A request passes, in this order: headers, telemetry, gatekeeper, body limits, router."""
    app = FastAPI(
        title="KEP Gateway",
        version=software_version(),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.gateway = gateway
    install_error_answers(app, answers)
    for module in (
        outbound, message_contents, inbound, releases, notices, consumers, events, classified, correspondence, directory, packages, signatures, drafts, draft_steps, package_encryptions, printing, mailboxes, second_factor, kep_registrations, admin,
    ):  # fmt: skip
        app.include_router(module.router)
    app.router.routes.extend([*docs_routes(app), *problem_routes()])
    app.add_middleware(BodyLimits, largest_file=gateway.max_package_bytes, answer=answers)
    app.add_middleware(Gatekeeper, authenticator=authenticator, answer=answers)
    app.add_middleware(RequestTelemetry, metrics=metrics, answer=answers)
    app.add_middleware(SecurityHeaders)
    return app
