"""Wires kep_relay by hand."""

from __future__ import annotations

from contextlib import AsyncExitStack

from services.kep_relay.acceptance.calendars import calendar_of
from services.kep_relay.accounts.checks import AccountChecks
from services.kep_relay.asking import standing_limits
from services.kep_relay.dependencies import Dependencies
from services.kep_relay.drivers.wiring import make_drivers
from services.kep_relay.inbound.wiring import inbound_parts
from services.kep_relay.instance import Instance
from services.kep_relay.leadership import Leadership
from services.kep_relay.ledger import LedgerKeeper, NoLetters
from services.kep_relay.mailboxes import AddressBook, Mailboxes
from services.kep_relay.metrics import RelayMetrics
from services.kep_relay.notices.wiring import notice_router
from services.kep_relay.outbound.deemed_read import DeemedRead
from services.kep_relay.outbound.wiring import outbound_side, sign_by
from services.kep_relay.proof.bundle import Proofs
from services.kep_relay.readiness import ReadinessOfMailboxes
from services.kep_relay.routes.mailboxes import mailbox_routes
from services.kep_relay.routes.outbound import outbound_routes
from services.kep_relay.routes.packages import package_routes
from services.kep_relay.routes.proofs import proof_routes
from services.kep_relay.second_factor.states import SecondFactorStates
from services.kep_relay.settings import Settings
from services.kep_relay.sweeper import Sweeper
from services.kep_relay.tables import SCHEMA
from shared.blobs import open_blob_store
from shared.clients.directory import DirectoryClient
from shared.clients.registrations import RegistrationsClient
from shared.clients.signer import SignerClient
from shared.clock import Clock
from shared.contracts.signatures import SigningKey
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode
from shared.http import internal_app
from shared.jobs import JobQueue
from shared.secrets import SecretBox
from shared.service import BackgroundPart, Service
from shared.telemetry.metrics import HttpMetrics, new_registry
from shared.telemetry.ops import ReadinessCheck


async def build(settings: Settings, clock: Clock) -> Service:
    """Everything this process consists of."""
    resources = AsyncExitStack()
    registry = new_registry()
    metrics = RelayMetrics(registry)
    database = Database(settings.database_url.get_secret_value(), schema=SCHEMA, pool_size=settings.database_pool_size)
    resources.push_async_callback(database.aclose)
    blobs = open_blob_store(settings.blob_store_url)
    token = settings.service_tokens.get("kep_relay")
    if token is None:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "service_tokens has no token for kep_relay")
    directory = DirectoryClient(settings.detsis_sync_url, token)
    resources.push_async_callback(directory.aclose)
    registrations = RegistrationsClient(settings.detsis_sync_url, token)
    resources.push_async_callback(registrations.aclose)
    signer = SignerClient(settings.signer_url, token)
    resources.push_async_callback(signer.aclose)
    secrets = SecretBox(settings.secret_keys)
    second_factors = SecondFactorStates(database, secrets, clock)
    driver = make_drivers(settings, database, clock, second_factors.security_id, registry)
    resources.push_async_callback(driver.aclose)
    instance = Instance(database, clock, ttl_seconds=settings.instance_ttl_seconds)
    resources.push_async_callback(instance.aclose)
    addresses = AddressBook(settings.kep_domains)
    deps = Dependencies(
        settings=settings,
        clock=clock,
        database=database,
        blobs=blobs,
        queue=JobQueue(database, concurrency=settings.job_concurrency),
        instance=instance,
        mailboxes=Mailboxes(secrets, addresses, clock),
        driver=driver,
        directory=directory,
        registrations=registrations,
        signer=signer,
        metrics=metrics,
        registry=registry,
        desks=driver,
    )
    outbound = outbound_side(deps, addresses=addresses, resolve=directory.resolve, signer=sign_by(signer))
    inbound = inbound_parts(deps)
    ledger = LedgerKeeper(database, clock, metrics, inbound=inbound.ledger or NoLetters())
    sweeper = Sweeper(
        leadership=Leadership(database),
        sweeps=[outbound.sweep.sweep, *inbound.sweeps],
        gauges=inbound.gauges,
        ledger=ledger,
        queue=deps.queue,
        blobs=blobs,
        metrics=metrics,
        interval_seconds=settings.sweep_interval_seconds,
    )

    async def signing_key(key_id: str) -> SigningKey | None:
        return next((key for key in await signer.keys() if key.key_id == key_id), None)

    readiness = ReadinessOfMailboxes(
        mailboxes=deps.mailboxes, addresses=addresses, driver=driver, key=signing_key, clock=clock,
        account=AccountChecks(database, standing_limits(settings)),
    )  # fmt: skip
    app = internal_app(
        "kep_relay",
        tokens=settings.service_tokens,
        metrics=HttpMetrics(registry),
        body_limit=settings.max_package_bytes + 64 * 1024,
    )
    for routes in (
        package_routes(blobs, max_bytes=settings.max_package_bytes),
        outbound_routes(
            database,
            blobs,
            outbound.acceptance,
            DeemedRead(settings.deemed_read_rule, calendar_of(settings.calendar_file, settings.working_day_ends)),
        ),
        proof_routes(Proofs(database, blobs, signer, clock)),
        mailbox_routes(database, deps.mailboxes, readiness, ledger),
        notice_router(deps, addresses, outbound.jobs),
        *inbound.routers,
    ):
        app.include_router(routes, prefix="/internal/v1")
    return Service(
        name="kep_relay",
        app=app,
        registry=registry,
        checks=[
            ReadinessCheck("database", database.ping),
            ReadinessCheck("blob-store", blobs.check),
            ReadinessCheck("life-sign", instance.check),
        ],
        background=[
            BackgroundPart("life-sign", instance.run),
            BackgroundPart("jobs", deps.queue.run_worker),
            BackgroundPart("sweeper", sweeper.run),
            BackgroundPart("claims", outbound.claims.keep),
            *inbound.background,
        ],
        resources=resources,
    )
