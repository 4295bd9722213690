"""The workers: how many there are, who is free, and when one is replaced."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from services.signer.evidence import Evidence
from services.signer.workers.vocabulary import Answer, Reason, WorkerFailed, WorkersUnavailable
from services.signer.workers.worker import Job, Worker

log = structlog.get_logger(__name__)

_WEIGHED_EVERY = 16
"""Verifications: a worker that is large from the start, because of large lists, is not replaced after each."""


@dataclass(frozen=True)
class WorkerLimits:
    """How many workers, and what one verification may take of one."""

    workers: int = 2
    memory_bytes: int = 1536 * 1024 * 1024
    """Of address space; the evidence at hand is in it."""
    cpu_seconds: float = 20
    uses: int = 2000
    """Verifications after which a worker is replaced."""

    @property
    def resident_bytes(self) -> int:
        """A worker that has grown beyond this is replaced after its verification."""
        return self.memory_bytes * 3 // 4


class WorkerPool:
    """Workers for the threads of one process; nothing is started before it is needed or looked for."""

    def __init__(
        self,
        limits: WorkerLimits,
        *,
        on_end: Callable[[Reason], None] = lambda _reason: None,
        program: Sequence[str] | None = None,
    ) -> None:
        self._limits = limits
        self._on_end = on_end
        self._program = program
        self._changed = threading.Condition()
        self._idle: list[Worker] = []
        self._workers: set[Worker] = set()
        self._starting = 0
        self._closed = False
        self._refilling = ThreadPoolExecutor(1, thread_name_prefix="workers")

    @property
    def size(self) -> int:
        """How many workers there are to be."""
        return self._limits.workers

    @property
    def alive(self) -> int:
        """How many workers are there and ready."""
        with self._changed:
            workers = list(self._workers)
        return sum(worker.ready and worker.alive for worker in workers)

    def pids(self) -> list[int]:
        """Their processes."""
        with self._changed:
            return [worker.pid for worker in self._workers]

    def ask(self, job: Job, evidence: Evidence, seconds: float) -> Answer:
        """The answer of a worker that is free, at most ``seconds`` after it was asked.

        Raises ``WorkerFailed`` when there will be none, ``WorkersUnavailable`` when nobody could be asked.
        """
        worker = self._take(seconds)
        try:
            answer = worker.ask(job, evidence, seconds=seconds, cpu_seconds=self._limits.cpu_seconds)
        except WorkerFailed as failure:
            self._forget(worker, failure.reason)
            log.error("verification_worker_failed", reason=failure.reason.value, detail=str(failure), pid=worker.pid)  # noqa: TRY400 - the worker's own traceback is in the detail
            raise
        except BaseException:
            self._forget(worker, Reason.DIED)
            raise
        self._give_back(worker)
        return answer

    def look(self) -> None:
        """Let go of those that died while they were idle, and start what is missing.

        Raises ``WorkersUnavailable`` when none can be started.
        """
        with self._changed:
            dead = [worker for worker in self._idle if not worker.alive]
        for worker in dead:
            with self._changed:
                if worker not in self._idle:
                    continue
                self._idle.remove(worker)
            self._forget(worker, Reason.DIED)
        while self._may_start():
            self._start(idle=True)

    def close(self) -> None:
        """Kill every worker; nothing is started afterwards."""
        with self._changed:
            self._closed = True
            workers = list(self._workers)
            self._changed.notify_all()
        for worker in workers:
            worker.kill()
        self._refilling.shutdown(wait=False, cancel_futures=True)

    def _take(self, seconds: float) -> Worker:
        deadline = time.monotonic() + seconds
        while True:
            with self._changed:
                if self._closed:
                    raise WorkersUnavailable("shutting down")
                # The one that was at work last has everything in its caches.
                worker = self._idle.pop() if self._idle else None
            if worker is not None:
                if worker.alive:
                    return worker
                self._forget(worker, Reason.DIED)
            elif self._may_start():
                return self._start(idle=False)
            else:
                with self._changed:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        raise WorkersUnavailable("all are at work")
                    if not self._idle:
                        self._changed.wait(min(left, 1))

    def _may_start(self) -> bool:
        """Whether one is missing; the caller starts it then."""
        with self._changed:
            if self._closed or len(self._workers) + self._starting >= self._limits.workers:
                return False
            self._starting += 1
            return True

    def _start(self, *, idle: bool) -> Worker:
        worker: Worker | None = None
        try:
            worker = Worker.spawn(self._limits.memory_bytes, *([self._program] if self._program else []))
        finally:
            with self._changed:
                self._starting -= 1
                if worker is not None:
                    self._workers.add(worker)
                closed = self._closed
                self._changed.notify_all()
        try:
            if closed:
                worker.kill()
            # Closing kills it meanwhile, which ends the wait.
            worker.wait()
        except WorkersUnavailable:
            with self._changed:
                self._workers.discard(worker)
                self._changed.notify_all()
            raise
        if idle:
            with self._changed:
                self._idle.append(worker)
                self._changed.notify_all()
        return worker

    def _give_back(self, worker: Worker) -> None:
        if worker.served >= self._limits.uses or (
            worker.served % _WEIGHED_EVERY == 0 and worker.resident_bytes() > self._limits.resident_bytes
        ):
            self._forget(worker, Reason.WORN)
            worker.end()
            return
        with self._changed:
            self._idle.append(worker)
            self._changed.notify()

    def _forget(self, worker: Worker, reason: Reason) -> None:
        with self._changed:
            self._workers.discard(worker)
            closed = self._closed
            self._changed.notify()
        if closed:
            return
        self._on_end(reason)
        with contextlib.suppress(RuntimeError):  # closed in the meantime
            self._refilling.submit(self._refill)

    def _refill(self) -> None:
        try:
            self.look()
        except WorkersUnavailable as error:
            log.error("verification_worker_not_started", reason=str(error))  # noqa: TRY400 - the reason says it all
