"""Verification as a service: the pure pipeline in worker threads, fetching between its two rounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import structlog

from services.signer.checks.revocation import CLOCK_SKEW, RevocationList
from services.signer.facts import BytesContent, SignatureFacts
from services.signer.limits import DEFAULT_LIMITS, Limits
from services.signer.lists import RevocationLists
from services.signer.metrics import SignerMetrics
from services.signer.pipeline import Evidence, Judgement, incomplete, judge, read_facts
from services.signer.policy import POLICY_VERSION
from services.signer.standing import CertificateJudgement, judge_certificate, unfinished
from services.signer.trust import TrustDirectory, TrustStore
from shared.clock import Clock
from shared.contracts.signatures import (
    CertificatePurpose,
    CertificateVerdict,
    CertificateVerificationReport,
    VerificationReport,
    VerificationRequest,
)
from shared.errors import DomainError, ErrorCode, Fault

log = structlog.get_logger(__name__)

_FETCH_ROUNDS = 2
_PLACES_PER_WORKER = 4
"""Verifications whose bytes are in memory: some wait for a thread, some for a revocation list."""

T = TypeVar("T")


class Verifier:
    """Judges files against the trust directory in use."""

    def __init__(
        self,
        trust: TrustDirectory,
        lists: RevocationLists,
        clock: Clock,
        metrics: SignerMetrics,
        *,
        workers: int,
        timeout_seconds: float,
        retry_after_seconds: int,
        patience_seconds: float = 15,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._trust = trust
        self._lists = lists
        self._clock = clock
        self._metrics = metrics
        self._timeout_seconds = timeout_seconds
        self._retry_after_seconds = retry_after_seconds
        self._patience_seconds = patience_seconds
        self._limits = limits
        self._places = asyncio.Semaphore(workers * _PLACES_PER_WORKER)
        self._threads = asyncio.Semaphore(workers)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="verify")

    def close(self) -> None:
        """Let the worker threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """To be held while a file is in memory; raises ``DomainError`` (SERVICE_UNAVAILABLE) when none gets free."""
        await self._take(self._places)
        try:
            yield
        finally:
            self._places.release()

    async def _take(self, semaphore: asyncio.Semaphore) -> None:
        # Load is no verdict on a letter: the caller asks again, and nothing is recorded about it.
        try:
            async with asyncio.timeout(self._patience_seconds):
                await semaphore.acquire()
        except TimeoutError:
            log.warning("verification_refused_under_load", waited_seconds=self._patience_seconds)
            raise DomainError(
                ErrorCode.SERVICE_UNAVAILABLE,
                "too many verifications at the same time",
                retry_after_seconds=round(self._patience_seconds) or 1,
            ) from None

    async def verify(self, request: VerificationRequest, data: bytes, content: bytes | None) -> VerificationReport:
        """The verdict on one file.

        Raises ``DomainError``: VALIDATION_FAILED for a request that makes no sense,
        SERVICE_UNAVAILABLE when no thread gets free in time.
        """
        self._check(request)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                report = await self._judge(request, data, content)
        except TimeoutError:
            log.warning("verification_timed_out", bytes=len(data), seconds=self._timeout_seconds)
            report = self._incomplete(request)
        except DomainError:
            raise
        except Exception:
            # Whatever goes wrong here, the caller gets "nothing can be said", never a pass.
            log.exception("verification_broke", bytes=len(data))
            report = self._incomplete(request)
        self._metrics.verifications.labels(report.format.value, report.profile.value, report.conclusion.value).inc()
        self._metrics.duration.labels(report.format.value).observe(time.perf_counter() - started)
        return report

    async def verify_certificates(
        self, purpose: CertificatePurpose, certificates: Sequence[bytes]
    ) -> CertificateVerificationReport:
        """The verdict on each DER certificate, as of now.

        Raises ``DomainError`` (SERVICE_UNAVAILABLE) when no thread gets free in time.
        """
        store = self._trust.store
        try:
            async with asyncio.timeout(self._timeout_seconds):
                verdicts = await self._judge_certificates(purpose, certificates, store)
        except TimeoutError:
            log.warning("certificates_timed_out", certificates=len(certificates), seconds=self._timeout_seconds)
            verdicts = self._unfinished(certificates)
        except DomainError:
            raise
        except Exception:
            log.exception("certificate_verification_broke", certificates=len(certificates))
            verdicts = self._unfinished(certificates)
        for verdict in verdicts:
            self._metrics.certificates.labels(purpose.value, verdict.conclusion.value).inc()
        return CertificateVerificationReport(
            purpose=purpose,
            policy_version=POLICY_VERSION,
            trust_store_sha256=store.sha256,
            verdicts=verdicts,
            verified_at=self._clock.now(),
        )

    async def _judge_certificates(
        self, purpose: CertificatePurpose, certificates: Sequence[bytes], store: TrustStore
    ) -> list[CertificateVerdict]:
        now = self._clock.now()

        def judged(lists: tuple[RevocationList, ...]) -> list[CertificateJudgement]:
            evidence = Evidence(store, lists)
            return [
                judge_certificate(
                    encoded, purpose, evidence, now, limits=self._limits, retry_after_seconds=self._retry_after_seconds
                )
                for encoded in certificates
            ]

        judgements = await self._in_thread(partial(judged, self._lists.current()))
        for _ in range(_FETCH_ROUNDS):
            wanted = tuple(dict.fromkeys(item for judgement in judgements for item in judgement.wanted))
            if not wanted or not await self._lists.fetch(wanted):
                break
            judgements = await self._in_thread(partial(judged, self._lists.current()))
        return [judgement.verdict for judgement in judgements]

    def _unfinished(self, certificates: Sequence[bytes]) -> list[CertificateVerdict]:
        return [unfinished(encoded, self._clock.now()) for encoded in certificates]

    def _check(self, request: VerificationRequest) -> None:
        if request.moment is None:
            return
        if request.moment.tzinfo is None:
            raise DomainError(
                ErrorCode.VALIDATION_FAILED, "moment has no time zone", faults=[Fault("/request/moment", "no zone")]
            )
        # The caller's clock may be a little ahead of ours.
        if request.moment > self._clock.now() + CLOCK_SKEW:
            raise DomainError(
                ErrorCode.VALIDATION_FAILED,
                "moment lies in the future",
                faults=[Fault("/request/moment", "in the future")],
            )

    async def _judge(self, request: VerificationRequest, data: bytes, content: bytes | None) -> VerificationReport:
        store = self._trust.store
        given = None if content is None else BytesContent(content)
        now = self._clock.now()

        def judged(facts: SignatureFacts, lists: tuple[RevocationList, ...]) -> Judgement:
            return judge(
                facts,
                request,
                Evidence(store, lists),
                now,
                limits=self._limits,
                retry_after_seconds=self._retry_after_seconds,
            )

        def read_and_judged(lists: tuple[RevocationList, ...]) -> tuple[SignatureFacts, Judgement]:
            facts = read_facts(data, given, request.format, known=store.intermediates, limits=self._limits)
            return facts, judged(facts, lists)

        facts, judgement = await self._in_thread(partial(read_and_judged, self._lists.current()))
        for _ in range(_FETCH_ROUNDS):
            if not judgement.wanted or not await self._lists.fetch(judgement.wanted):
                break
            judgement = await self._in_thread(partial(judged, facts, self._lists.current()))
        return judgement.report

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Run ``work`` in a thread, which stays taken until it ends, also when nobody waits for it any more."""
        await self._take(self._threads)
        loop = asyncio.get_running_loop()

        def ended(_future: Future[T]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._threads.release)

        future = self._pool.submit(work)
        future.add_done_callback(ended)
        return await asyncio.wrap_future(future)

    def _incomplete(self, request: VerificationRequest) -> VerificationReport:
        return incomplete(request, Evidence(self._trust.store), self._clock.now())
