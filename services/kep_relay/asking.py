"""Builds what asks providers: for evidence, for accounts' standing, for second factors."""

from __future__ import annotations

from datetime import timedelta

from services.kep_relay.accounts.metrics import AccountMetrics
from services.kep_relay.accounts.standing import AccountStandings, StandingLimits
from services.kep_relay.dependencies import Dependencies, Parts
from services.kep_relay.evidence.listed.metrics import ListedMetrics
from services.kep_relay.evidence.listed.polling import AskingTimes, EvidencePolling
from services.kep_relay.evidence.listed.sweep import ListedEvidenceSweep
from services.kep_relay.inbound.rawmail import RawMailStore
from services.kep_relay.routes.second_factor import second_factor_routes
from services.kep_relay.second_factor.challenges import SecondFactors
from services.kep_relay.settings import Settings
from shared.db.session import UnitOfWork
from shared.secrets import SecretBox

ASK_FOR_EVIDENCE = "kep_relay.ask_for_evidence"
ASK_FOR_STANDING = "kep_relay.ask_for_standing"


def standing_limits(settings: Settings) -> StandingLimits:
    """The configured ones."""
    return StandingLimits(
        timedelta(seconds=settings.account_interval_seconds), settings.credit_warning, settings.quota_warning_kilobytes
    )


def asking_parts(deps: Dependencies, store: RawMailStore) -> Parts:
    """Sweeps, gauges and routes; declares the jobs. ``store`` takes the documents in."""
    settings, database, clock = deps.settings, deps.database, deps.clock
    metrics = ListedMetrics(deps.registry)
    polling = EvidencePolling(
        database, deps.mailboxes, deps.desks, store, clock, metrics, deps.metrics.transitions,
        times=AskingTimes(
            polls=settings.evidence_poll_steps,
            fetches=settings.evidence_fetch_pauses_seconds,
            fetch_for=timedelta(days=settings.evidence_fetch_days),
        ),
        policy=settings.unverified_evidence,
    )  # fmt: skip
    standings = AccountStandings(
        database, deps.mailboxes, deps.desks, clock, AccountMetrics(deps.registry),
        standing_limits(settings),
    )  # fmt: skip
    second_factors = SecondFactors(
        database, deps.mailboxes, deps.desks, SecretBox(settings.secret_keys), clock,
        most=settings.second_factor_challenges, pause=timedelta(seconds=settings.second_factor_pause_seconds),
    )  # fmt: skip
    evidence_job = deps.queue.job(ASK_FOR_EVIDENCE, polling.run)
    standing_job = deps.queue.job(ASK_FOR_STANDING, standings.ask)

    async def ask_for_evidence(work: UnitOfWork, mailbox_id: str) -> None:
        await deps.queue.defer(
            work, evidence_job, once=f"{ASK_FOR_EVIDENCE}:{mailbox_id}", lock=f"asking:{mailbox_id}",
            mailbox_id=mailbox_id,
        )  # fmt: skip

    async def ask_for_standing(work: UnitOfWork, mailbox_id: str) -> None:
        await deps.queue.defer(
            work, standing_job, once=f"{ASK_FOR_STANDING}:{mailbox_id}", lock=f"asking:{mailbox_id}",
            mailbox_id=mailbox_id,
        )  # fmt: skip

    sweep = ListedEvidenceSweep(
        database, deps.mailboxes, deps.desks, clock, metrics, ask_for_evidence, steps=settings.evidence_poll_steps
    )

    async def sweep_standings() -> None:
        await standings.sweep(ask_for_standing)

    return Parts(
        routers=[second_factor_routes(database, second_factors)],
        sweeps=[sweep.sweep, sweep_standings],
        gauges=[sweep.publish, standings.publish],
    )
