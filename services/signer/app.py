"""Wires signer by hand. It has no database and keeps no message."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack
from datetime import timedelta
from urllib.parse import urlsplit

import structlog

from services.signer.enveloping import Enveloping
from services.signer.fetchers import FetchPolicy, GuardedFetcher
from services.signer.keys import KeyRing, KeysUnreadable, LoadedKey, load_keys
from services.signer.lists import RevocationLists
from services.signer.metrics import SignerMetrics
from services.signer.routes.envelopes import envelope_routes
from services.signer.routes.signatures import signature_routes
from services.signer.routes.verifications import verification_routes
from services.signer.sealing import Sealing
from services.signer.settings import Settings
from services.signer.timestamping import LONGEST_ANSWER, Stamp, TimestampAuthority
from services.signer.tokens.pool import TokenLimits
from services.signer.trust import ANCHOR_PURPOSES, TrustDirectory, TrustUnreadable
from services.signer.verifier import Verifier
from shared.clock import Clock
from shared.http import internal_app
from shared.service import BackgroundPart, Service
from shared.telemetry.metrics import HttpMetrics, new_registry
from shared.telemetry.ops import ReadinessCheck

log = structlog.get_logger(__name__)

NAME = "signer"
_PREFIX = "/internal/v1"


async def build(settings: Settings, clock: Clock) -> Service:
    """Everything this process is made of; refuses to start with unreadable keys or anchors."""
    resources = AsyncExitStack()
    registry = new_registry()
    metrics = SignerMetrics(registry, hosts=settings.fetch_allowed_hosts)
    trust = TrustDirectory(settings.trust_directory)
    keys = _keys(settings, metrics)
    resources.callback(keys.close)
    metrics.note_keys(keys.all())
    metrics.watch_keys(keys)
    policy = FetchPolicy(
        frozenset(host.lower() for host in settings.fetch_allowed_hosts),
        allow_private=settings.fetch_allow_private,
        timeout_seconds=settings.fetch_timeout_seconds,
        limit_bytes=settings.fetch_limit_bytes,
    )
    fetcher = GuardedFetcher(policy, clock, on_outcome=metrics.source_outcome)
    resources.push_async_callback(fetcher.aclose)
    lists = RevocationLists(fetcher, clock)
    verifier = Verifier(
        trust,
        lists,
        clock,
        metrics,
        workers=settings.verification_workers,
        timeout_seconds=settings.verification_timeout_seconds,
        retry_after_seconds=settings.retry_after_seconds,
    )
    resources.callback(verifier.close)
    stamp = _stamp(settings, trust, clock, metrics, resources)
    sealing = Sealing(keys, clock, stamp=stamp, at_once=settings.signatures_at_once)
    resources.callback(sealing.close)
    enveloping = Enveloping(keys, clock, at_once=settings.envelopes_at_once)
    reloading = _Reloading(settings, trust, lists, metrics)
    reloading.publish()
    watching = _TokenWatch(keys, settings.hardware_check_seconds)
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
    app.include_router(envelope_routes(enveloping, metrics, file_limit=settings.file_limit_bytes), prefix=_PREFIX)

    async def anchors_present() -> None:
        if not trust.store.size:
            raise TrustUnreadable(f"{settings.trust_directory} holds no trust anchor")

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
        checks=[ReadinessCheck("trust_anchors", anchors_present), ReadinessCheck("signing_keys", keys_present)],
        background=[BackgroundPart("reloading", reloading.run), BackgroundPart("tokens", watching.run)],
        resources=resources,
    )


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


def _keys(settings: Settings, metrics: SignerMetrics) -> KeyRing:
    if settings.keys_file is None:
        return KeyRing([])
    limits = TokenLimits(sessions=settings.hardware_sessions, timeout_seconds=settings.hardware_timeout_seconds)
    keys = load_keys(settings.keys_file, limits=limits, on_fault=metrics.token_fault)
    timestamped = [key.key_id for key in keys.all() if isinstance(key, LoadedKey) and key.timestamped]
    if timestamped and settings.timestamp_url is None:
        keys.close()
        raise KeysUnreadable(f"key {timestamped[0]}: seal_level t needs KEPGW_SIGNER_TIMESTAMP_URL")
    return keys


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
        before = self._trust.store.sha256
        try:
            store = self._trust.reload()
        except TrustUnreadable as error:
            log.error("trust_directory_unreadable", reason=str(error))  # noqa: TRY400 - the reason says it all
            return
        if store.sha256 != before:
            log.warning("trust_store_changed", audit=True, before=before, after=store.sha256, anchors=store.size)
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
