"""Wires the outside world together: PKI, DETSİS, the KEP providers and the control API."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import structlog
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi_offline import FastAPIOffline

from services.sandbox.clock import ShiftedClock
from services.sandbox.control import control_routes
from services.sandbox.control_detsis import day_routes, register_routes
from services.sandbox.control_parts import provider_routes
from services.sandbox.control_registrations import mailbox_routes, registration_routes
from services.sandbox.detsis.app import PATH as DETSIS_PATH
from services.sandbox.detsis.app import build_detsis_app
from services.sandbox.detsis.calendar import TURKISH_TIME, RegisterCalendar
from services.sandbox.detsis.certificates import forge_of
from services.sandbox.detsis.register import PinnedUnit, Register, generate_register
from services.sandbox.detsis.registrations import RegistrationDesk
from services.sandbox.detsis.rendered import RenderedAnswers
from services.sandbox.ebys import ebys_routes
from services.sandbox.faults import FaultBoard
from services.sandbox.furnishing import describe, issue_identities, write_world
from services.sandbox.kephs import Account, KepProviderPlan, SoapAccess, Timing, start_providers
from services.sandbox.kephs.eyws.wire_contract import PATH as EYWS_PATH
from services.sandbox.listener import accepts_connections, serving
from services.sandbox.opened import OpenedMailboxes
from services.sandbox.pki.authority import PublicationUrls
from services.sandbox.pki.routes import pki_routes
from services.sandbox.pki.store import Pki
from services.sandbox.planning import plan_world
from services.sandbox.settings import Settings
from services.sandbox.world import InstitutionPlan, ProviderPlan, WorldDocument, WorldPlan
from shared.clock import Clock
from shared.service import BackgroundPart, Service
from shared.telemetry.metrics import new_registry
from shared.telemetry.ops import ReadinessCheck

log = structlog.get_logger(__name__)

_REGISTER_SEED = 2015
"""Fixed, so that every sandbox of one size has the same register."""


async def build(settings: Settings, clock: Clock) -> Service:
    """Start every listener but the control API's; that one, and ``world.json``, follow when the service runs."""
    plan = await asyncio.to_thread(plan_world, settings, clock.now().astimezone(TURKISH_TIME).date())
    # a file left by a killed run must not tell anyone that this one is up
    plan.world_file.unlink(missing_ok=True)
    pki = await asyncio.to_thread(open_pki, plan, clock)
    register = await asyncio.to_thread(_generate_register, plan, pki, settings, clock)
    world = describe(plan, pki, detsis_path=DETSIS_PATH, soap_path=EYWS_PATH)
    shifted, faults = ShiftedClock(clock, plan.clock_file), FaultBoard()
    opened = OpenedMailboxes(plan.opened_mailboxes_file)
    calendar = RegisterCalendar(
        register,
        shifted,
        seed=_REGISTER_SEED,
        daily_share=settings.detsis_daily_share,
        file=plan.detsis_directory / "days.json",
    )
    await asyncio.to_thread(calendar.catch_up)
    desk = RegistrationDesk(register, plan.detsis_directory / "registrations.json")
    certificate, key = pki.tls_files()
    async with AsyncExitStack() as starting:
        rendered = _rendered(plan, settings)
        detsis = build_detsis_app(register, plan.detsis_accounts, faults, shifted, calendar=calendar, rendered=rendered)
        await starting.enter_async_context(
            serving(detsis, plan.host, plan.detsis_port, certificate=certificate, key=key)
        )
        providers = await start_providers(
            [_provider_plan(plan, provider, opened, pki) for provider in plan.providers],
            server_context=pki.server_ssl_context(),
            state_directory=plan.kephs_directory,
            clock=shifted,
            faults=faults,
            timing=_timing(settings),
            soap_context=pki.server_ssl_context,
        )
        starting.push_async_callback(providers.aclose)
        resources = starting.pop_all()
    app = FastAPIOffline(title="KEP Gateway sandbox", description="Control API and PKI of the simulated outside world.")
    app.include_router(control_routes(lambda: world, shifted, faults, pki))
    app.include_router(mailbox_routes(plan, opened, providers))
    app.include_router(provider_routes(plan, opened, providers))
    app.include_router(register_routes(calendar))
    app.include_router(day_routes(calendar))
    app.include_router(registration_routes(plan, register, desk, providers, pki, shifted))
    app.include_router(ebys_routes(plan, pki, clock))
    app.include_router(pki_routes(pki, faults))
    return Service(
        name="sandbox",
        app=app,
        registry=new_registry(),
        checks=[_listening(name, plan.host, port) for name, port in plan.ports.items()],
        background=[BackgroundPart("world", lambda stop: _announce(plan, world, stop))],
        resources=resources,
        port=plan.control_port,
    )


def open_pki(plan: WorldPlan, clock: Clock) -> Pki:
    """The PKI of the plan's state directory, with everyone's certificates and the anchors for ``trust/``."""
    pki = Pki(plan.directory / "pki", PublicationUrls(f"{plan.control_url}/pki"), clock, tls_host=plan.public_host)
    issue_identities(plan, pki)
    pki.publish_anchors(plan.trust_directory)
    return pki


def _rendered(plan: WorldPlan, settings: Settings) -> RenderedAnswers | None:
    limit = settings.detsis_cache_mebibytes * 1024 * 1024
    return RenderedAnswers(plan.detsis_directory / "rendered", limit) if limit else None


def _generate_register(plan: WorldPlan, pki: Pki, settings: Settings, clock: Clock) -> Register:
    pinned = [
        PinnedUnit(
            institution.detsis_no,
            institution.name,
            active=institution.active,
            kep_address=institution.kep_address,
            encryption_certificate=pki.identity(institution.keys.encryption).certificate.public_bytes(Encoding.DER)
            if institution.keys
            else None,
        )
        for institution in plan.institutions
    ]
    pinned += [
        PinnedUnit(
            unit.detsis_no,
            unit.name,
            unit.parent_no,
            active=unit.active,
            operating=unit.active,
            external_addressee=unit.external_addressee,
        )
        for unit in plan.own_units
    ]
    return generate_register(
        settings.detsis_units,
        _REGISTER_SEED,
        pinned,
        external_share=settings.detsis_external_share,
        kep_domains=[provider.domain for provider in plan.providers],
        first_day=plan.first_day,
        forge=forge_of(pki, plan.detsis_directory, clock),
    )


def _provider_plan(plan: WorldPlan, provider: ProviderPlan, opened: OpenedMailboxes, pki: Pki) -> KepProviderPlan:
    planned = tuple(
        Account(
            institution.kep_address,
            institution.username,
            institution.password,
            institution.behaviour,
            _soap_access(institution),
        )
        for institution in plan.institutions
        if institution.provider == provider.name
        and institution.kep_address
        and institution.username
        and institution.password
    )
    sender = plan.detsis_sender
    own = (Account(sender.address, sender.address, sender.password), *(mailbox.account for mailbox in opened))
    accounts = (*planned, *(account for account in own if account.address.endswith(f"@{provider.domain}")))
    return KepProviderPlan(
        name=provider.name,
        domain=provider.domain,
        smtp=provider.smtp,
        imap=provider.imap,
        soap=provider.soap,
        identity=pki.identity(provider.identity),
        accounts=accounts,
        host=plan.host,
    )


def _soap_access(institution: InstitutionPlan) -> SoapAccess | None:
    if institution.agent_no is None or institution.second_password is None:
        return None
    return SoapAccess(institution.agent_no, institution.second_password)


def _timing(settings: Settings) -> Timing:
    return Timing(
        slow_delivery=timedelta(seconds=settings.slow_delivery_seconds),
        late_delivery=timedelta(seconds=settings.late_delivery_seconds),
        unreachable_after=timedelta(seconds=settings.unreachable_after_seconds),
        security_id=timedelta(seconds=settings.security_id_seconds),
    )


def _listening(name: str, host: str, port: int) -> ReadinessCheck:
    return ReadinessCheck(name, lambda: accepts_connections(host, port))


async def _announce(plan: WorldPlan, world: WorldDocument, stop: asyncio.Event) -> None:
    """Write ``world.json`` once the control API answers too; take it away again at the end."""
    while not stop.is_set():
        try:
            await accepts_connections(plan.host, plan.control_port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        break
    else:
        return
    await asyncio.to_thread(write_world, plan, world)
    log.info("world_ready", file=str(plan.world_file), control_url=plan.control_url)
    try:
        await stop.wait()
    finally:
        plan.world_file.unlink(missing_ok=True)
