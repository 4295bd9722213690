"""Wires signer by hand. It has no database and keeps no message."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

import structlog

from services.signer.enveloping import Enveloping
from services.signer.evidence_archive import EvidenceArchive
from services.signer.fetchers import MOST_AT_ONCE, FetchPolicy, GuardedFetcher
from services.signer.keys import KeyRing, KeysUnreadable, LoadedKey, load_keys
from services.signer.lists import RevocationLists
from services.signer.metrics import SignerMetrics
from services.signer.raising import Raising, RaisingRules
from services.signer.routes.envelopes import envelope_routes
from services.signer.routes.evidence import evidence_routes
from services.signer.routes.signatures import signature_routes
from services.signer.routes.timestamps import timestamp_routes
from services.signer.routes.upgrades import upgrade_routes
from services.signer.routes.verifications import verification_routes
from services.signer.sealing import Sealing
from services.signer.settings import Settings
from services.signer.sources import EvidenceSources
from services.signer.sources_issuers import IssuerCertificates
from services.signer.sources_ocsp import OcspResponses, OcspTerms
from services.signer.timestamping import LONGEST_ANSWER, Stamp, TimestampAuthority
from services.signer.tokens.pool import TokenLimits
from services.signer.trust import ANCHOR_PURPOSES, TrustDirectory, TrustUnreadable
from services.signer.trust_changes.managed import ManagedTrust
from services.signer.verifier import Verifier
from services.signer.workers.pool import WorkerLimits, WorkerPool
from services.signer.workers.vocabulary import WorkersUnavailable
from shared.clock import Clock
from shared.contracts.signatures import EvidenceKind, SignatureLevel
from shared.http import internal_app
from shared.service import BackgroundPart, Service
from shared.telemetry.metrics import HttpMetrics, new_registry
from shared.telemetry.ops import ReadinessCheck

log = structlog.get_logger(__name__)

NAME = "signer"
_PREFIX = "/internal/v1"
_PRUNING_SECONDS = 6 * 3600.0
_STAFFING_SECONDS = 5.0


async def build(settings: Settings, clock: Clock) -> Service:
    """Everything this process is made of; refuses to start with unreadable keys or anchors."""
    resources = AsyncExitStack()
    registry = new_registry()
    metrics = SignerMetrics(registry, hosts=settings.fetch_allowed_hosts)
    trust = _trust(settings)
    keys = _keys(settings, metrics)
    resources.callback(keys.close)
    metrics.note_keys(keys.all())
    metrics.watch_keys(keys)
    policy = FetchPolicy(
        frozenset(host.lower() for host in settings.fetch_allowed_hosts),
        allow_private=settings.fetch_allow_private,
        timeout_seconds=settings.fetch_timeout_seconds,
        limit_bytes=settings.fetch_limit_bytes,
        proxy=None if settings.fetch_proxy is None else settings.fetch_proxy.get_secret_value(),
    )
    fetcher = GuardedFetcher(policy, clock, on_outcome=metrics.source_outcome)
    resources.push_async_callback(fetcher.aclose)
    lists = RevocationLists(fetcher, clock, on_outcome=partial(metrics.fetch_outcome, EvidenceKind.REVOCATION_LIST))
    terms = OcspTerms(
        timedelta(seconds=settings.ocsp_kept_seconds), timedelta(seconds=settings.ocsp_without_nonce_seconds)
    )
    responses = OcspResponses(
        fetcher, clock, terms, on_outcome=partial(metrics.fetch_outcome, EvidenceKind.OCSP_RESPONSE)
    )
    issuers = IssuerCertificates(fetcher, clock, on_outcome=partial(metrics.fetch_outcome, EvidenceKind.CERTIFICATE))
    sources = EvidenceSources(trust, lists, responses, issuers, offline=settings.offline)
    workers = _workers(settings, metrics, resources)
    archive = _archive(settings, clock, metrics)
    verifier = Verifier(
        sources,
        clock,
        metrics,
        workers,
        timeout_seconds=settings.verification_timeout_seconds,
        retry_after_seconds=settings.retry_after_seconds,
        archive=archive,
    )
    resources.callback(verifier.close)
    stamp = _stamp(settings, trust, clock, metrics, resources)
    raising = None
    if stamp is not None:
        rules = _raising_rules(settings)
        raising = Raising(stamp, sources, verifier.verify, clock, rules, on_outcome=metrics.raised)
    sealing = Sealing(keys, clock, stamp=stamp, raising=raising, at_once=settings.signatures_at_once)
    resources.callback(sealing.close)
    enveloping = Enveloping(keys, clock, at_once=settings.envelopes_at_once)
    reloading = _Reloading(settings, trust, lists, metrics)
    reloading.publish()
    watching = _TokenWatch(keys, settings.hardware_check_seconds)
    staffing = _Staffing(workers)
    app = internal_app(
        NAME,
        tokens=settings.service_tokens,
        metrics=HttpMetrics(registry),
        # Two files of a verification, and what multipart puts around them.
        body_limit=2 * settings.file_limit_bytes + 64 * 1024,
    )
    app.include_router(verification_routes(verifier, file_limit=settings.file_limit_bytes), prefix=_PREFIX)
    app.include_router(
        signature_routes(
            sealing,
            keys,
            trust,
            metrics,
            file_limit=settings.file_limit_bytes,
            seal_limit=settings.seal_limit_bytes,
        ),
        prefix=_PREFIX,
    )
    app.include_router(upgrade_routes(raising, verifier, limit=settings.seal_limit_bytes), prefix=_PREFIX)
    app.include_router(timestamp_routes(stamp, limit=settings.seal_limit_bytes), prefix=_PREFIX)
    app.include_router(evidence_routes(archive), prefix=_PREFIX)
    app.include_router(envelope_routes(enveloping, metrics, file_limit=settings.file_limit_bytes), prefix=_PREFIX)

    async def anchors_present() -> None:
        if not trust.store.size:
            raise TrustUnreadable(f"{settings.trust_directory} holds no trust anchor")

    async def workers_alive() -> None:
        if not workers.alive:
            raise WorkersUnavailable("no worker is there to verify")

    async def keys_present() -> None:
        if settings.keys_file is not None and not len(keys):
            raise KeysUnreadable(f"{settings.keys_file} lists no key")
        faults = keys.faults()
        # One institution's token must not take the others' keys and all verification with it: a metric tells of it.
        if faults and len(faults) == len(keys):
            raise KeysUnreadable("; ".join(f"{key_id}: {fault}" for key_id, fault in faults.items()))

    return Service(
        name=NAME,
        app=app,
        registry=registry,
        checks=[
            ReadinessCheck("trust_anchors", anchors_present),
            ReadinessCheck("signing_keys", keys_present),
            ReadinessCheck("verification_workers", workers_alive),
        ],
        background=[
            BackgroundPart("reloading", reloading.run),
            BackgroundPart("tokens", watching.run),
            BackgroundPart("workers", staffing.run),
            *([] if archive is None else [BackgroundPart("evidence", _Pruning(archive).run)]),
        ],
        resources=resources,
    )


def _trust(settings: Settings) -> TrustDirectory:
    if settings.trust_officers is None:
        return TrustDirectory(settings.trust_directory)
    return ManagedTrust(
        settings.trust_directory,
        settings.trust_officers,
        officers_sha256=settings.trust_officers_sha256,
        at_least=settings.trust_version_at_least,
    )


def _archive(settings: Settings, clock: Clock, metrics: SignerMetrics) -> EvidenceArchive | None:
    if settings.evidence_directory is None:
        return None
    return EvidenceArchive(
        settings.evidence_directory,
        clock,
        days=settings.evidence_days,
        on_outcome=lambda result: metrics.archived.labels(result).inc(),
    )


def _workers(settings: Settings, metrics: SignerMetrics, resources: AsyncExitStack) -> WorkerPool:
    limits = WorkerLimits(
        settings.verification_workers,
        memory_bytes=settings.verification_memory_bytes,
        cpu_seconds=settings.verification_cpu_seconds,
    )
    workers = WorkerPool(limits, on_end=metrics.worker_ended)
    resources.callback(workers.close)
    metrics.watch_workers(workers)
    return workers


def _stamp(
    settings: Settings, trust: TrustDirectory, clock: Clock, metrics: SignerMetrics, resources: AsyncExitStack
) -> Stamp | None:
    """The time-stamp authority, behind a guard of its own: its address comes from the operator and from nobody else."""
    if settings.timestamp_url is None:
        return None
    policy = FetchPolicy(
        frozenset({str(urlsplit(settings.timestamp_url).hostname)}),
        allow_private=True,
        timeout_seconds=settings.timestamp_timeout_seconds,
        limit_bytes=LONGEST_ANSWER,
        at_once_per_host=MOST_AT_ONCE,
    )
    fetcher = GuardedFetcher(policy, clock)
    resources.push_async_callback(fetcher.aclose)
    authority = TimestampAuthority(
        settings.timestamp_url,
        fetcher,
        trust,
        clock,
        policies=frozenset(settings.timestamp_policies),
        skew=timedelta(seconds=settings.timestamp_skew_seconds),
        authorization=settings.timestamp_authorization,
        on_outcome=lambda granted: metrics.timestamps.labels("granted" if granted else "failed").inc(),
    )
    return authority.stamp


def _raising_rules(settings: Settings) -> RaisingRules:
    return RaisingRules(
        settings.archive_timestamp,
        settings.seal_evidence_limit_bytes,
        settings.verification_timeout_seconds,
        settings.retry_after_seconds,
        settings.verification_workers,
    )


def _keys(settings: Settings, metrics: SignerMetrics) -> KeyRing:
    if settings.keys_file is None:
        return KeyRing([])
    limits = TokenLimits(sessions=settings.hardware_sessions, timeout_seconds=settings.hardware_timeout_seconds)
    keys = load_keys(settings.keys_file, limits=limits, on_fault=metrics.token_fault)
    sealing = (key for key in keys.all() if isinstance(key, LoadedKey))
    higher = next((key for key in sealing if key.seal_level is not SignatureLevel.B), None)
    if higher is not None and settings.timestamp_url is None:
        keys.close()
        raise KeysUnreadable(f"key {higher.key_id}: seal_level {higher.seal_level} needs KEPGW_SIGNER_TIMESTAMP_URL")
    return keys


class _Staffing:
    """Starts the workers, and again those that ended while nobody asked them."""

    def __init__(self, workers: WorkerPool) -> None:
        self._workers = workers

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set; a worker that is being started then is left to whoever closes the pool."""
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            looking = asyncio.create_task(self._look(stop))
            await asyncio.wait({looking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({stopping}, timeout=_STAFFING_SECONDS)

    async def _look(self, stop: asyncio.Event) -> None:
        try:
            await asyncio.to_thread(self._workers.look)
        except WorkersUnavailable as error:
            if not stop.is_set():
                log.error("verification_worker_not_started", reason=str(error))  # noqa: TRY400 - the reason says it all


class _Pruning:
    """Removes evidence whose time is over."""

    def __init__(self, archive: EvidenceArchive) -> None:
        self._archive = archive

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set."""
        while not stop.is_set():
            removed = await asyncio.to_thread(self._archive.prune)
            if removed:
                log.info("evidence_pruned", audit=True, pieces=removed)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _PRUNING_SECONDS)


class _TokenWatch:
    """Looks at the tokens now and then, so that one that went away is told before a letter meets it."""

    def __init__(self, keys: KeyRing, every_seconds: float) -> None:
        self._keys = keys
        self._every_seconds = every_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every_seconds)
            if not stop.is_set():
                await asyncio.to_thread(self._keys.look)


class _Reloading:
    """Looks at the trust and revocation directories now and then; a bad change leaves the old set in use."""

    def __init__(
        self, settings: Settings, trust: TrustDirectory, lists: RevocationLists, metrics: SignerMetrics
    ) -> None:
        self._settings = settings
        self._trust = trust
        self._lists = lists
        self._metrics = metrics

    def publish(self) -> None:
        """Read what is there and show it in the metrics."""
        before = self._trust.store.sha256, self._trust.version
        try:
            store = self._trust.reload()
        except TrustUnreadable as error:
            self._metrics.trust_refused.set(1)
            log.error("trust_directory_unreadable", reason=str(error))  # noqa: TRY400 - the reason says it all
            store = self._trust.store
        else:
            self._metrics.trust_refused.set(0)
        if (store.sha256, self._trust.version) != before:
            log.warning(
                "trust_store_changed",
                audit=True,
                before=before[0],
                after=store.sha256,
                anchors=store.size,
                version=self._trust.version,
                approved_by=list(self._trust.approved_by),
                comment=self._trust.comment,
            )
        self._metrics.trust_version.set(self._trust.version)
        for purpose in ANCHOR_PURPOSES:
            self._metrics.anchors.labels(purpose).set(len(store.anchors.get(purpose, ())))
        if self._settings.revocation_directory is not None:
            self._lists.supply(self._settings.revocation_directory)

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._settings.reload_seconds)
            if not stop.is_set():
                await asyncio.to_thread(self.publish)
