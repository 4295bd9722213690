"""Kept verifications: begun with their bytes in the blob store, judged beside the request, found again by id."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import structlog

from services.gateway import audit
from services.gateway.callers import Caller
from services.gateway.drafts.material import brought
from services.gateway.idempotency import Claim, IdempotencyKeys, Replay, fingerprint
from services.gateway.schemas.verifications import VerificationOptions, VerificationState
from services.gateway.tables import SignatureVerification
from services.gateway.uploads import UploadedFile
from services.gateway.verifications import rows
from services.gateway.verifications.metrics import VerificationMetrics
from services.gateway.verifications.verdicts import after_failure, next_look, ripeness
from shared.blobs import BlobStore
from shared.clients.signer import SignerClient
from shared.clock import Clock
from shared.contracts.signatures import VerificationReport, VerificationRequest
from shared.db.session import Database, UnitOfWork
from shared.domain.identifiers import new_id
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=3)
"""Longer than a look takes: signer answers within a minute or not at all."""
_RETRY_SECONDS = 5


@dataclass(frozen=True)
class VerificationLimits:
    """How much at a time, how often, for how long."""

    per_client: int = 20
    """Verifications of one client under way, kept or not."""
    at_once: int = 8
    """Kept verifications this process judges at the same time."""
    most_looks: int = 20
    """Verdicts on one file until it is left as it is."""
    retention: timedelta = timedelta(days=30)


class Verifications:
    """Everything about kept verifications except how they look. Rows are the truth: a task that dies is made again."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        blobs: BlobStore,
        signer: SignerClient,
        keys: IdempotencyKeys,
        metrics: VerificationMetrics,
        spool: Path,
        max_file_bytes: int,
        limits: VerificationLimits,
    ) -> None:
        self.database = database
        self.clock = clock
        self.blobs = blobs
        self.metrics = metrics
        self.limits = limits
        self._signer = signer
        self._keys = keys
        self._spool = spool
        self._max_file_bytes = max_file_bytes
        self._unkept: Counter[str] = Counter()
        self._turns = asyncio.Semaphore(limits.at_once)
        self._tasks: dict[UUID, asyncio.Task[None]] = {}

    async def aclose(self) -> None:
        """Give up what is under way here; it is looked at again when its lease is over."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @contextmanager
    def unkept(self, caller: Caller) -> Iterator[None]:
        """Judge something at once inside the block. Raises RATE_LIMITED when the client has too many under way here."""
        if self._unkept[caller.client_id] >= self.limits.per_client:
            raise _too_many()
        self._unkept[caller.client_id] += 1
        try:
            yield
        finally:
            self._unkept[caller.client_id] -= 1
            if not self._unkept[caller.client_id]:
                del self._unkept[caller.client_id]

    async def begin(
        self,
        caller: Caller,
        options: VerificationOptions,
        file: UploadedFile,
        content: UploadedFile | None,
        key: str | None,
    ) -> UUID:
        """Keep the bytes and start to judge them; the id under which they are found from now on.

        With an Idempotency-Key the same request gives the same id. Raises RATE_LIMITED, INSTITUTION_FORBIDDEN,
        VALIDATION_FAILED, DURABILITY_UNAVAILABLE, and what ``IdempotencyKeys.claim`` raises.
        """
        institution_no = caller.acting_for(options.institution, "/institution")
        if key is None:
            await self._admit(caller)
            return await self._begin(caller, new_id(), institution_no, options, file, content)
        covered = content.sha256 if content is not None else ""
        wanted = fingerprint("POST /v1/signature-verifications", options, file.sha256, covered)
        claim = await self._keys.claim(caller, key, wanted)
        if isinstance(claim, Replay):
            return claim.message_id
        return await self._begin_once(caller, claim, institution_no, options, file, content)

    async def _begin_once(
        self,
        caller: Caller,
        claim: Claim,
        institution_no: int,
        options: VerificationOptions,
        file: UploadedFile,
        content: UploadedFile | None,
    ) -> UUID:
        async with self._keys.working(claim):
            await self._admit(caller)
            begun = await self._begin(caller, claim.message_id, institution_no, options, file, content)
            await self._keys.complete(claim, str(begun))
            return begun

    async def _admit(self, caller: Caller) -> None:
        if await rows.running(self.database, caller.client_id) >= self.limits.per_client:
            raise _too_many()

    async def _begin(
        self,
        caller: Caller,
        verification_id: UUID,
        institution_no: int,
        options: VerificationOptions,
        file: UploadedFile,
        content: UploadedFile | None,
    ) -> UUID:
        given = [file] if content is None else [file, content]
        for item in given:
            await self._store(item)
        request = VerificationRequest(
            format=options.format, profile=options.profile, moment=options.moment, offline=options.offline
        )
        values = {
            "verification_id": verification_id, "institution_no": institution_no, "client_id": caller.client_id,
            "request": request.model_dump(mode="json"), "client_ref": options.client_ref,
            "file_name": file.filename or None, "file_sha256": file.sha256, "file_size": file.size,
            "content_sha256": content.sha256 if content else None, "content_size": content.size if content else None,
        }  # fmt: skip
        now = self.clock.now()
        async with self.database.unit_of_work() as work:
            await self._make_sure(work, given)
            if await rows.add(work, values, now, now + LEASE):
                await audit.record(
                    work, self.clock, actor=caller, action="signature-verification.begin", subject=str(verification_id),
                    institution=institution_no, sha256=file.sha256, profile=options.profile.value,
                )  # fmt: skip
        self._start(verification_id)
        return verification_id

    async def _store(self, item: UploadedFile) -> None:
        await self.blobs.put(item.chunks(), limit=self._max_file_bytes)

    async def _make_sure(self, work: UnitOfWork, given: list[UploadedFile]) -> None:
        """The bytes may have been deleted, with the last verification that needed them, since they were stored."""
        for item in sorted(given, key=lambda one: one.sha256):
            await rows.lock_blob(work, item.sha256)
            if await self.blobs.size(item.sha256) is None:
                await self._store(item)

    def _start(self, verification_id: UUID) -> None:
        if verification_id not in self._tasks:
            task = asyncio.create_task(self.look(verification_id, 0))
            self._tasks[verification_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(verification_id, None))

    async def wait(self, verification_id: UUID, seconds: float) -> None:
        """Until the look under way here has ended, at most so long."""
        task = self._tasks.get(verification_id)
        if task is not None:
            await asyncio.wait([task], timeout=seconds)

    async def find(self, caller: Caller, verification_id: UUID) -> SignatureVerification:
        """One of the caller's verifications. Raises NOT_FOUND."""
        return await rows.find(self.database, caller.visible(), verification_id)

    async def look(self, verification_id: UUID, looks: int) -> None:
        """Judge the file once more and write down what comes out; never raises ``DomainError``.

        ``looks``: verdicts there were when this look was decided on; with more, somebody else came first while it waited.
        """
        async with self._turns:
            try:
                row = await rows.get(self.database, verification_id)
                if row is not None and row.erased_at is None and row.looks == looks:
                    await self._judge(row)
            except DomainError as error:  # the row says when somebody tries again
                self.metrics.looks.labels("unavailable").inc()
                log.warning("verification_not_noted", verification_id=str(verification_id), because=error.code)

    async def _judge(self, row: SignatureVerification) -> None:
        now = self.clock.now()
        try:
            with ExitStack() as stack:
                file = await self._brought(row.file_sha256, stack)
                content = await self._brought(row.content_sha256, stack) if row.content_sha256 else None
                request = VerificationRequest.model_validate(row.request)
                report = await self._signer.verify(request, file, content=content)
        except DomainError as error:
            await self._without_verdict(row, error)
            return
        text = report.model_dump_json()
        due_at = next_look(report, looks=row.looks + 1, most_looks=self.limits.most_looks, now=now)
        async with self.database.unit_of_work() as work:
            settled = await rows.settle(
                work, row, report, ripeness(report), text_of_report=text, due_at=due_at, now=now,
                sha256=hashlib.sha256(text.encode()).hexdigest(),
            )  # fmt: skip
        if settled:
            self.metrics.looks.labels(report.conclusion.value).inc()

    async def _brought(self, sha256: str, stack: ExitStack) -> BinaryIO:
        try:
            file = await brought(self.blobs, sha256, self._spool, stack)
            file.seek(0)
        except OSError as error:
            raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, "there is no room to judge the file") from error
        return file

    async def _without_verdict(self, row: SignatureVerification, error: DomainError) -> None:
        now = self.clock.now()
        if error.retryable or error.code is ErrorCode.NOT_FOUND:
            self.metrics.looks.labels("unavailable").inc()
            await rows.change(
                self.database, row, failures=row.failures + 1, due_at=after_failure(row.failures, now), updated_at=now
            )
            return
        self.metrics.looks.labels("refused").inc()
        if row.state == VerificationState.RUNNING:
            problem = {"code": error.code.value, "detail": error.detail}
            await rows.change(
                self.database, row, state=VerificationState.REFUSED.value, problem=problem, due_at=None, updated_at=now
            )
        else:
            await rows.change(self.database, row, due_at=None)

    def report_of(self, row: SignatureVerification) -> str:
        """The last report, byte for byte. Raises STATE_CONFLICT while there is none, NOT_FOUND once it is erased."""
        if row.erased_at is not None:
            raise DomainError(ErrorCode.NOT_FOUND, "the report was deleted after the time of retention")
        if row.report is None:
            raise DomainError(ErrorCode.STATE_CONFLICT, "there is no verdict yet, or the file was refused")
        return row.report


def read_report(text: str) -> VerificationReport:
    """A report as it was kept."""
    return VerificationReport.model_validate_json(text)


def _too_many() -> DomainError:
    return DomainError(
        ErrorCode.RATE_LIMITED, "this client has too many verifications under way", retry_after_seconds=_RETRY_SECONDS
    )
