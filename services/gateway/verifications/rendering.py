"""Has a report put on paper by a process with limits: a report of a hostile file is long and strange."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import structlog

import services
from services.gateway.verifications.document import DocumentOrder
from services.gateway.verifications.worker import Limits
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_ROOT = Path(services.__path__[0]).parent
_WAITING_FOR_EACH = 8
_RETRY_SECONDS = 10


@dataclass(frozen=True)
class PaperLimits:
    """What one document may take."""

    seconds: float = 60
    memory_bytes: int = 1_500_000_000
    output_bytes: int = 50_000_000
    at_once: int = 2


class PaperReports:
    """Starts a process for each document, a few at a time."""

    def __init__(self, limits: PaperLimits) -> None:
        self._limits = limits
        self._free = asyncio.Semaphore(limits.at_once)
        self._waiting = 0

    async def make(self, order: DocumentOrder) -> bytes:
        """The PDF. Raises SERVICE_UNAVAILABLE when too many wait, or when it took too much and was killed."""
        if self._waiting >= _WAITING_FOR_EACH * self._limits.at_once:
            raise _unavailable("too many reports are waiting to be put on paper")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._run(order)
        finally:
            self._free.release()

    async def _run(self, order: DocumentOrder) -> bytes:
        limits = Limits(memory_bytes=self._limits.memory_bytes, cpu_seconds=int(self._limits.seconds) + 1)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.gateway.verifications.worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            # Nothing of the gateway's environment: its settings name databases and tokens.
            env={"PYTHONPATH": str(_ROOT), "PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/", start_new_session=True,
        )  # fmt: skip
        asked = limits.model_dump_json().encode() + b"\n" + order.model_dump_json().encode()
        try:
            async with asyncio.timeout(self._limits.seconds):
                made, _ = await process.communicate(asked)
        except TimeoutError as error:
            raise _unavailable("the report took too long to put on paper") from error
        finally:
            await _end(process)
        if process.returncode != 0 or not made.startswith(b"%PDF-") or len(made) > self._limits.output_bytes:
            log.warning("report_not_drawn", verification_id=order.verification_id, returncode=process.returncode)
            raise _unavailable("the report could not be put on paper")
        return made


async def _end(process: asyncio.subprocess.Process) -> None:
    """Make sure that it is gone, also when nobody waits for the report any more."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())


def _unavailable(why: str) -> DomainError:
    return DomainError(ErrorCode.SERVICE_UNAVAILABLE, why, retry_after_seconds=_RETRY_SECONDS)
