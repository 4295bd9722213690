"""Runs the making of a print in a process with limits, so that a file made to break it breaks nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from services.gateway.printing.orders import Obstacle, PrintOrder, PrintReport, UnprintableError
from services.gateway.printing.worker import Job
from services.gateway.subprocesses import ENVIRONMENT, Turns, ended
from shared.errors import DomainError, ErrorCode

_LONGEST_REPORT = 1024 * 1024
_WAITING_FOR_EACH = 4
"""So many prints may wait for each that is being made."""


@dataclass(frozen=True)
class PrintLimits:
    """What one print may take."""

    seconds: float = 120
    """From start to end; of processor time no more either."""
    memory_bytes: int = 1_500_000_000
    output_bytes: int = 300_000_000
    at_once: int = 2
    """Prints being made at the same time."""


class PrintWorkers:
    """Starts a process for each print, a few at a time."""

    def __init__(self, limits: PrintLimits, spool: Path) -> None:
        self._limits = limits
        self._spool = spool
        self._turns = Turns(limits.at_once, _WAITING_FOR_EACH * limits.at_once)

    async def make(self, order: PrintOrder, files: BinaryIO, sizes: Sequence[int]) -> tuple[bytes, PrintReport]:
        """The print and its report. ``files`` holds the letter and its annexes back to back, ``sizes`` how long each is.

        Raises ``UnprintableError`` (a process that was killed says why as well as it can), ``DomainError``:
        SERVICE_UNAVAILABLE when too many wait, DURABILITY_UNAVAILABLE when there is no room for it.
        """
        async with self._turns.turn("too many prints are waiting"):
            try:
                with tempfile.TemporaryFile(dir=self._spool) as output:
                    report = await self._run(order, files, sizes, output)
                    if report.obstacle is not None:
                        raise UnprintableError(report.obstacle)
                    return await asyncio.to_thread(_whole, output), report
            except OSError as error:
                raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, "there is no room to make the print") from error

    async def _run(self, order: PrintOrder, files: BinaryIO, sizes: Sequence[int], output: BinaryIO) -> PrintReport:
        files.flush()
        job = Job(
            order=order, files=files.fileno(), sizes=list(sizes), output=output.fileno(),
            memory_bytes=self._limits.memory_bytes, cpu_seconds=int(self._limits.seconds) + 1,
            output_bytes=self._limits.output_bytes,
        )  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.gateway.printing.worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env=ENVIRONMENT, cwd="/", start_new_session=True, limit=_LONGEST_REPORT,
            pass_fds=(job.files, job.output),
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._limits.seconds):
                answer, _ = await process.communicate(job.model_dump_json().encode())
        except TimeoutError as error:
            raise UnprintableError(Obstacle.TOO_SLOW) from error
        finally:
            await ended(process)
        return _report(process.returncode, answer)


def _report(returncode: int | None, answer: bytes) -> PrintReport:
    if returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise UnprintableError(Obstacle.TOO_SLOW)
    try:
        return PrintReport.model_validate_json(answer)
    except ValidationError as error:
        raise UnprintableError(Obstacle.BROKEN) from error


def _whole(file: BinaryIO) -> bytes:
    descriptor = file.fileno()
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
