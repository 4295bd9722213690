"""One worker as signer sees it: asked one question at a time, killed when it does not answer as it should."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Self, TypeAlias

import structlog
from pydantic import ValidationError

import services
from services.signer.evidence import Evidence
from services.signer.workers.snapshots import Sender
from services.signer.workers.vocabulary import (
    LONGEST_ANSWER,
    PREFIX,
    Answer,
    Part,
    Question,
    Reason,
    WorkerFailed,
    WorkersUnavailable,
)
from shared.contracts.signatures import CertificatePurpose, VerificationRequest

log = structlog.get_logger(__name__)

_PROGRAM = (sys.executable, "-m", "services.signer.workers.process")
_ROOT = str(Path(services.__path__[0]).parent)
_START_SECONDS = 60.0
"""Loading the libraries takes one on an idle machine."""
_LAST_SECONDS = 2.0
_JOINED = 256 * 1024
"""Up to this a message is sent in one piece."""

Source: TypeAlias = bytes | BinaryIO
"""Bytes, or an open file (flushed) whose whole contents are meant, wherever it stands."""


@dataclass(frozen=True)
class Job:
    """One verification: of ``file`` when there is a ``request``, of ``certificates`` otherwise."""

    now: datetime
    retry_after_seconds: int
    request: VerificationRequest | None = None
    file: Source = b""
    content: Source | None = None
    purpose: CertificatePurpose | None = None
    certificates: Sequence[bytes] = ()


class Worker:
    """A process that judges; used by one thread at a time, ``kill`` by any."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self._process = process
        self._channel = channel
        self._sender = Sender()
        self.served = 0
        """Questions answered."""
        self.ready = False

    @classmethod
    def start(cls, memory_bytes: int, program: Sequence[str] = _PROGRAM) -> Self:
        """A worker that is ready; raises ``WorkersUnavailable``."""
        worker = cls.spawn(memory_bytes, program)
        worker.wait()
        return worker

    @classmethod
    def spawn(cls, memory_bytes: int, program: Sequence[str] = _PROGRAM) -> Self:
        """Start the process, to be waited for; raises ``WorkersUnavailable``."""
        try:
            channel, others = socket.socketpair()
        except OSError as error:
            raise WorkersUnavailable(str(error)) from error
        with others:
            try:
                process = subprocess.Popen(  # noqa: S603 - our own program
                    [*program, str(memory_bytes)],
                    stdin=others.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    # Nothing of signer's environment: its settings name keys and tokens.
                    env={"PYTHONPATH": _ROOT, "PATH": os.defpath, "LANG": "C.UTF-8"},
                    cwd="/",
                    # Ctrl-C on signer's terminal must not end it in the middle of a verification.
                    start_new_session=True,
                )
            except OSError as error:
                channel.close()
                raise WorkersUnavailable(str(error)) from error
        return cls(process, channel)

    def wait(self) -> None:
        """Until it is ready; raises ``WorkersUnavailable``, the process is gone then."""
        try:
            said = self._answer(time.monotonic() + _START_SECONDS).detail
        except WorkerFailed as failure:
            self.kill()
            raise WorkersUnavailable(str(failure)) from failure
        if said:
            log.warning("verification_worker_less_confined", detail=said)
        self.ready = True

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def resident_bytes(self) -> int:
        """Memory it takes; 0 when it is gone."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return 0

    def ask(self, job: Job, evidence: Evidence, *, seconds: float, cpu_seconds: float) -> Answer:
        """The answer, within ``seconds``; ``cpu_seconds`` bounds the worker's own time for it.

        Raises ``WorkerFailed``; the process is gone then.
        """
        deadline = time.monotonic() + seconds
        try:
            self._ask(job, evidence, deadline, cpu_seconds)
            answer = self._answer(deadline)
            _hold_against(answer, job, evidence)
        except BaseException:
            self.kill()
            raise
        self.served += 1
        return answer

    def _ask(self, job: Job, evidence: Evidence, deadline: float, cpu_seconds: float) -> None:
        snapshot, attached = self._sender.news(evidence)
        descriptors: list[int] = []
        question = Question(
            snapshot=snapshot,
            now=job.now,
            retry_after_seconds=job.retry_after_seconds,
            cpu_seconds=cpu_seconds,
            request=job.request,
            file=None if job.request is None else _part(job.file, attached, descriptors),
            content=None if job.content is None else _part(job.content, attached, descriptors),
            purpose=job.purpose,
            certificates=[len(item) for item in job.certificates],
        )
        attached.extend(job.certificates)
        text = question.model_dump_json().encode()
        following = sum(map(len, attached))
        head = PREFIX.pack(len(text), following) + text
        try:
            self._wait_until(deadline)
            if following <= _JOINED:
                head, attached = b"".join((head, *attached)), []
            # Descriptors travel with the first bytes.
            sent = socket.send_fds(self._channel, [head], descriptors) if descriptors else 0
            for piece in (head[sent:], *attached):
                self._wait_until(deadline)
                self._channel.sendall(piece)
        except TimeoutError as error:
            raise WorkerFailed(Reason.TIMEOUT) from error
        except OSError as error:
            raise WorkerFailed(self._how_it_died()) from error

    def _answer(self, deadline: float) -> Answer:
        length, following = PREFIX.unpack(self._received(PREFIX.size, deadline))
        if length > LONGEST_ANSWER or following:
            raise WorkerFailed(Reason.DIED, "answers out of form")
        text = self._received(length, deadline)
        try:
            return Answer.model_validate_json(text)
        except (ValidationError, RecursionError) as error:
            raise WorkerFailed(Reason.DIED, "answers out of form") from error

    def _received(self, size: int, deadline: float) -> bytes:
        buffer = bytearray(size)
        position = 0
        while position < size:
            try:
                self._wait_until(deadline)
                read = self._channel.recv_into(memoryview(buffer)[position:])
            except TimeoutError as error:
                raise WorkerFailed(Reason.TIMEOUT) from error
            except OSError as error:
                raise WorkerFailed(self._how_it_died()) from error
            if not read:
                raise WorkerFailed(self._how_it_died())
            position += read
        return bytes(buffer)

    def _wait_until(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._channel.settimeout(left)

    def _how_it_died(self) -> Reason:
        """After its end of the channel was closed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_SECONDS)
        by_time = {-signal.SIGPROF, -signal.SIGXCPU}
        return Reason.CPU if self._process.returncode in by_time else Reason.DIED

    def end(self) -> None:
        """Let it go when it has nothing to do; it notices by itself."""
        self._channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the process at once; a thread that waits for its answer is told that it died."""
        self._process.kill()
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_SECONDS)


def _part(source: Source, attached: list[bytes], descriptors: list[int]) -> Part:
    if isinstance(source, bytes):
        attached.append(source)
        return Part(size=len(source), in_descriptor=False)
    number = source.fileno()
    descriptors.append(number)
    return Part(size=os.fstat(number).st_size, in_descriptor=True)


def _hold_against(answer: Answer, job: Job, evidence: Evidence) -> None:
    """Raise ``WorkerFailed`` for a failure, and for an answer to another question than the one asked."""
    if answer.failure is not None:
        raise WorkerFailed(answer.failure, answer.detail)
    if job.request is not None:
        report = answer.report
        fits = (
            report is not None
            and report.profile is job.request.profile
            and report.trust_store_sha256 == evidence.trust.sha256
            and report.verified_at == job.now
        )
    else:
        fits = answer.verdicts is not None and len(answer.verdicts) == len(job.certificates)
    if not fits:
        raise WorkerFailed(Reason.DIED, "answers another question")
