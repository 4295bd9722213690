"""Wires detsis_sync by hand."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta

from services.detsis_sync.accounts import Accounts
from services.detsis_sync.clients import DetsisClients
from services.detsis_sync.live.belonging import Belonging
from services.detsis_sync.live.calls import LISTS, LiveBounds, LiveCalls
from services.detsis_sync.live.contacts import ContactBook
from services.detsis_sync.live.correspondence import Correspondence
from services.detsis_sync.live.details import LiveDetails
from services.detsis_sync.live.letters import LiveLetters
from services.detsis_sync.live.register import LiveRegister
from services.detsis_sync.live.resolve import AddressResolver
from services.detsis_sync.live.speaking import Speaking
from services.detsis_sync.metrics import DirectoryMetrics
from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.vocabulary import VocabularyKeeper
from services.detsis_sync.refresh.gauges import MirrorGauges
from services.detsis_sync.refresh.nightly import Refresher
from services.detsis_sync.refresh.policy import RefreshPolicy
from services.detsis_sync.refresh.starting import RefreshSchedule
from services.detsis_sync.registrations.guard import ClosingGuard
from services.detsis_sync.registrations.listing import Register
from services.detsis_sync.registrations.steps import PortalStep
from services.detsis_sync.registrations.watch import RegistrationWatch
from services.detsis_sync.registrations.workflow import Patience, Registrations
from services.detsis_sync.routes.accounts import account_routes
from services.detsis_sync.routes.addresses import address_routes
from services.detsis_sync.routes.certificates import certificate_routes
from services.detsis_sync.routes.codes import code_routes
from services.detsis_sync.routes.details import detail_routes
from services.detsis_sync.routes.export import export_routes
from services.detsis_sync.routes.feed import feed_routes
from services.detsis_sync.routes.letters import letter_routes
from services.detsis_sync.routes.live import live_routes
from services.detsis_sync.routes.registrations import registration_routes
from services.detsis_sync.routes.runs import run_routes
from services.detsis_sync.routes.search import search_routes
from services.detsis_sync.routes.units import unit_routes
from services.detsis_sync.settings import Settings
from services.detsis_sync.soap.account import DetsisHttpSettings
from shared.clock import Clock
from shared.db.migrate import migrate
from shared.db.session import Database
from shared.http import internal_app
from shared.jobs import JobQueue
from shared.secrets import SecretBox
from shared.service import BackgroundPart, Service
from shared.telemetry.metrics import HttpMetrics, new_registry
from shared.telemetry.ops import ReadinessCheck

NAME = "detsis_sync"
_LARGEST_REQUEST = 256 * 1024
_CACHED_RECIPIENTS = 5000
"""With a certificate each they take about 15 MB."""


def open_database(settings: Settings) -> Database:
    """This service's own schema."""
    return Database(settings.database_url.get_secret_value(), schema=NAME, pool_size=settings.database_pool_size)


def migrate_schema(settings: Settings) -> None:
    """Bring the schema up to date."""
    migrate(open_database(settings), package=NAME, with_jobs=True)


async def build(settings: Settings, clock: Clock) -> Service:
    """Everything this process is made of."""
    resources = AsyncExitStack()
    registry = new_registry()
    metrics = DirectoryMetrics(registry)
    database = open_database(settings)
    resources.push_async_callback(database.aclose)
    queue = JobQueue(database, concurrency=2)
    accounts = Accounts(database, SecretBox(settings.secret_keys), clock)
    http = DetsisHttpSettings(
        ca_file=settings.detsis_ca_file,
        proxy_url=settings.detsis_proxy_url,
        soap_version=settings.detsis_soap_version,
        correspondence_seconds=settings.live_timeout_seconds,
        operation_seconds=settings.detsis_operation_seconds,
    )
    clients = DetsisClients(http, clock)
    resources.push_async_callback(clients.aclose)
    age = MirrorAge(clock, timedelta(hours=settings.stale_after_hours))
    vocabulary = VocabularyKeeper(database, age, check_seconds=settings.schedule_check_seconds)
    calls = LiveCalls(
        clients,
        clock,
        metrics,
        LiveBounds(
            seconds=settings.live_timeout_seconds,
            operation_seconds=dict.fromkeys(LISTS, settings.live_list_timeout_seconds)
            | settings.detsis_operation_seconds,
            rest_seconds=settings.live_breaker_seconds,
            concurrency=settings.live_concurrency,
        ),
    )
    letters = LiveLetters(
        calls, clock, cache_seconds=settings.live_letter_cache_seconds, cached_recipients=_CACHED_RECIPIENTS
    )
    soon = timedelta(days=settings.certificate_warning_days)
    resolver = AddressResolver(database, accounts, letters, clock, metrics, age, soon=soon)
    contacts = ContactBook(database, calls, clock, metrics, max_age=timedelta(hours=settings.contact_max_age_hours))
    belonging = Belonging(calls, clock, cache_seconds=settings.live_cache_seconds)
    speaking = Speaking(database, accounts)
    cached = {"fresh_seconds": settings.live_cache_seconds, "keep_seconds": settings.live_cache_keep_seconds}
    live_register = LiveRegister(calls, clock, metrics, **cached)
    details = LiveDetails(calls, contacts, clock, metrics, **cached)
    correspondence = Correspondence(database, accounts, letters, contacts, belonging, clock, metrics, age)
    policy = RefreshPolicy(
        external_list_since=settings.external_list_since,
        shrink_limit=settings.shrink_limit_ratio,
        retry_after=timedelta(seconds=settings.refresh_retry_seconds),
        schedule_check_seconds=settings.schedule_check_seconds,
        mode=settings.refresh_mode,
        full_every=timedelta(days=settings.full_every_days),
        staged_usable_for=timedelta(hours=settings.staged_list_hours),
        eyp_checks=settings.eyp_checks_per_run,
    )
    gauges = MirrorGauges(database, clock, metrics)
    refresher = Refresher(database, accounts, clients, clock, metrics, gauges, policy)
    schedule = RefreshSchedule(database, queue, refresher, gauges, clock, policy)
    register = Register(database, accounts, calls, clock, age)
    check = timedelta(seconds=settings.registration_check_seconds)
    registrations = Registrations(
        database, register, PortalStep(settings.registration_portal_url), clock,
        Patience(check=check, recheck=min(check, timedelta(seconds=30))),
    )  # fmt: skip
    watch = RegistrationWatch(
        database, registrations, clock, metrics, check_seconds=settings.registration_check_seconds
    )
    app = internal_app(NAME, tokens=settings.service_tokens, metrics=HttpMetrics(registry), body_limit=_LARGEST_REQUEST)
    for router in (
        search_routes(database, age, vocabulary),
        unit_routes(database, age),
        address_routes(database, age),
        certificate_routes(database, age, soon),
        code_routes(database, age),
        feed_routes(database, age),
        export_routes(database, age, at_once=settings.exports_at_once, seconds=settings.export_seconds),
        letter_routes(resolver, correspondence),
        live_routes(live_register, speaking),
        detail_routes(details, speaking),
        account_routes(accounts, schedule),
        run_routes(database, refresher, age),
        registration_routes(database, registrations, ClosingGuard(database, register)),
    ):
        app.include_router(router, prefix="/internal/v1")
    return Service(
        name=NAME,
        app=app,
        registry=registry,
        checks=[ReadinessCheck("database", database.ping)],
        background=[
            BackgroundPart("jobs", queue.run_worker),
            BackgroundPart("schedule", schedule.run),
            BackgroundPart("vocabulary", vocabulary.run),
            BackgroundPart("registrations", watch.run),
        ],
        resources=resources,
    )
