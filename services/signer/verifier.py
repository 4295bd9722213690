"""Verification as a service: the pure pipeline in worker processes, fetching between its rounds."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeAlias

import structlog

from services.signer.checks.revocation import CLOCK_SKEW
from services.signer.checks.wanted import Wanted
from services.signer.evidence_archive import EvidenceArchive
from services.signer.metrics import SignerMetrics
from services.signer.pipeline import Evidence, incomplete
from services.signer.policy import POLICY_VERSION
from services.signer.sources import EvidenceSources, Gathering
from services.signer.standing import unfinished
from services.signer.workers.pool import WorkerPool
from services.signer.workers.vocabulary import Answer, WorkerFailed, WorkersUnavailable
from services.signer.workers.wanted import understood
from services.signer.workers.worker import Job, Source
from shared.clock import Clock
from shared.contracts.signatures import (
    CertificatePurpose,
    CertificateVerdict,
    CertificateVerificationReport,
    EvidenceOrigin,
    VerificationReport,
    VerificationRequest,
)
from shared.errors import DomainError, ErrorCode, Fault

log = structlog.get_logger(__name__)

_FETCH_ROUNDS = 4
"""Each may show that something else is missing: an issuer, its revocation list, who signed that."""
_PLACES_PER_WORKER = 4
"""Verifications whose files are at hand: some wait for a worker, some for a revocation list."""

_Understood: TypeAlias = tuple[Answer, tuple[Wanted, ...]]


class Verifier:
    """Judges files against the anchors in use and what is at hand or can be had."""

    def __init__(
        self,
        sources: EvidenceSources,
        clock: Clock,
        metrics: SignerMetrics,
        pool: WorkerPool,
        *,
        timeout_seconds: float,
        retry_after_seconds: int,
        patience_seconds: float = 15,
        archive: EvidenceArchive | None = None,
    ) -> None:
        self._sources = sources
        self._clock = clock
        self._metrics = metrics
        self._timeout_seconds = timeout_seconds
        self._retry_after_seconds = retry_after_seconds
        self._patience_seconds = patience_seconds
        self._archive = archive
        self._pool = pool
        self._places = asyncio.Semaphore(pool.size * _PLACES_PER_WORKER)
        self._threads = asyncio.Semaphore(pool.size)
        self._asking = ThreadPoolExecutor(pool.size, thread_name_prefix="verify")

    def close(self) -> None:
        """Let the threads end that wait for the workers; whoever made the pool closes it."""
        self._asking.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """To be held while a file is at hand; raises ``DomainError`` (SERVICE_UNAVAILABLE) when none gets free."""
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
            raise self._too_busy("too many verifications at the same time") from None

    def _too_busy(self, detail: str) -> DomainError:
        after = round(self._patience_seconds) or 1
        return DomainError(ErrorCode.SERVICE_UNAVAILABLE, detail, retry_after_seconds=after)

    async def verify(self, request: VerificationRequest, data: Source, content: Source | None) -> VerificationReport:
        """The verdict on one file; of content in an open file no more than a chunk is in memory.

        Raises ``DomainError``: VALIDATION_FAILED for a request that makes no sense,
        SERVICE_UNAVAILABLE when no worker gets free in time.
        """
        self._check(request)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                report = await self._judge(request, data, content)
        except TimeoutError:
            log.warning("verification_timed_out", seconds=self._timeout_seconds)
            report = self._incomplete(request)
        except WorkerFailed as failure:
            log.warning("verification_not_completed", reason=failure.reason.value)
            report = self._incomplete(request)
        except DomainError:
            raise
        except Exception:
            # Whatever goes wrong here, the caller gets "nothing can be said", never a pass.
            log.exception("verification_broke")
            report = self._incomplete(request)
        self._metrics.verifications.labels(report.format.value, report.profile.value, report.conclusion.value).inc()
        self._metrics.duration.labels(report.format.value).observe(time.perf_counter() - started)
        return report

    async def verify_certificates(
        self, purpose: CertificatePurpose, certificates: Sequence[bytes]
    ) -> CertificateVerificationReport:
        """The verdict on each DER certificate, as of now.

        Raises ``DomainError`` (SERVICE_UNAVAILABLE) when no worker gets free in time.
        """
        gathering = self._sources.gather()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                verdicts = await self._judge_certificates(purpose, certificates, gathering)
        except TimeoutError:
            log.warning("certificates_timed_out", certificates=len(certificates), seconds=self._timeout_seconds)
            verdicts = self._unfinished(certificates)
        except WorkerFailed as failure:
            log.warning("certificates_not_completed", reason=failure.reason.value)
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
            trust_store_sha256=gathering.evidence.trust.sha256,
            verdicts=verdicts,
            verified_at=self._clock.now(),
        )

    async def _judge_certificates(
        self, purpose: CertificatePurpose, certificates: Sequence[bytes], gathering: Gathering
    ) -> list[CertificateVerdict]:
        job = Job(self._clock.now(), self._retry_after_seconds, purpose=purpose, certificates=certificates)
        verdicts = (await self._settled(job, gathering)).verdicts
        assert verdicts is not None
        return verdicts

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

    async def _judge(self, request: VerificationRequest, data: Source, content: Source | None) -> VerificationReport:
        gathering = self._sources.gather(offline=request.offline)
        job = Job(self._clock.now(), self._retry_after_seconds, request, data, content)
        report = (await self._settled(job, gathering)).report
        assert report is not None
        for item in report.evidence:
            if item.origin is EvidenceOrigin.FETCHED and gathering.had(item.sha256):
                self._metrics.kept.labels(item.kind.value).inc()
        if self._archive is not None:
            await asyncio.to_thread(self._archive.keep, report, gathering.evidence)
        return report

    async def _settled(self, job: Job, gathering: Gathering) -> Answer:
        """The answer once nothing is missing, or nothing more can be had."""
        deadline = time.monotonic() + self._timeout_seconds
        answer, wanted = await self._asked(job, gathering.evidence, deadline)
        for _ in range(_FETCH_ROUNDS):
            if not wanted or not await gathering.fetch(wanted):
                break
            answer, wanted = await self._asked(job, gathering.evidence, deadline)
        return answer

    async def _asked(self, job: Job, evidence: Evidence, deadline: float) -> _Understood:
        """Ask a worker from a thread, which stays taken until there is an answer, also when nobody waits for it any more."""
        # Files of its own: the caller may close his as soon as he no longer waits. They may be refused (a full disk, no
        # descriptor left), so no thread is taken yet.
        job = _owning(job)
        try:
            await self._take(self._threads)
        except BaseException:
            _close(job.file, job.content)
            raise
        loop = asyncio.get_running_loop()

        def work() -> _Understood:
            answer = self._pool.ask(job, evidence, deadline - time.monotonic())
            return answer, understood(answer.wanted)

        def ended(_future: Future[_Understood]) -> None:
            _close(job.file, job.content)
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._threads.release)

        future = self._asking.submit(work)
        future.add_done_callback(ended)
        try:
            return await asyncio.wrap_future(future)
        except WorkersUnavailable as error:
            log.warning("verification_without_worker", reason=str(error))
            raise self._too_busy("nobody is free to verify") from error

    def _incomplete(self, request: VerificationRequest) -> VerificationReport:
        return incomplete(
            request,
            Evidence(self._sources.store),
            self._clock.now(),
            retry_after_seconds=self._retry_after_seconds,
        )


def _owning(job: Job) -> Job:
    file = _own(job.file)
    try:
        return replace(job, file=file, content=None if job.content is None else _own(job.content))
    except BaseException:
        _close(file)
        raise


def _close(*sources: Source | None) -> None:
    for source in sources:
        if source is not None and not isinstance(source, bytes):
            source.close()


def _own(source: Source) -> Source:
    if isinstance(source, bytes):
        return source
    source.flush()
    return os.fdopen(os.dup(source.fileno()), "rb")
