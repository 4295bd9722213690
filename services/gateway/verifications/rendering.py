"""Has a report put on paper by a process with limits: a report of a hostile file is long and strange."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

import structlog

from services.gateway.subprocesses import ENVIRONMENT, RETRY_SECONDS, Turns, ended
from services.gateway.verifications.document import DocumentOrder
from services.gateway.verifications.worker import Limits
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_WAITING_FOR_EACH = 8


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
        self._turns = Turns(limits.at_once, _WAITING_FOR_EACH * limits.at_once)

    async def make(self, order: DocumentOrder) -> bytes:
        """The PDF. Raises SERVICE_UNAVAILABLE when too many wait, or when it took too much and was killed."""
        async with self._turns.turn("too many reports are waiting to be put on paper"):
            return await self._run(order)

    async def _run(self, order: DocumentOrder) -> bytes:
        limits = Limits(memory_bytes=self._limits.memory_bytes, cpu_seconds=int(self._limits.seconds) + 1)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.gateway.verifications.worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env=ENVIRONMENT, cwd="/", start_new_session=True,
        )  # fmt: skip
        asked = limits.model_dump_json().encode() + b"\n" + order.model_dump_json().encode()
        try:
            async with asyncio.timeout(self._limits.seconds):
                made, _ = await process.communicate(asked)
        except TimeoutError as error:
            raise _unavailable("the report took too long to put on paper") from error
        finally:
            await ended(process)
        if process.returncode != 0 or not made.startswith(b"%PDF-") or len(made) > self._limits.output_bytes:
            log.warning("report_not_drawn", verification_id=order.verification_id, returncode=process.returncode)
            raise _unavailable("the report could not be put on paper")
        return made


def _unavailable(why: str) -> DomainError:
    return DomainError(ErrorCode.SERVICE_UNAVAILABLE, why, retry_after_seconds=RETRY_SECONDS)
