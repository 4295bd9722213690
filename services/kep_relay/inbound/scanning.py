"""Has a mail looked through for viruses by a ClamAV daemon, if one is configured (kep.md 7.35).

The whole raw mail goes there (clamd unpacks MIME and archives itself), in its INSTREAM framing. What it
says is a word for a person and nothing more. A daemon that does not answer makes the mail wait; one that
will not look (its StreamMaxLength is too small) makes it a case for a person. Nothing is ever deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from services.kep_relay.inbound.metrics import InboundMetrics
from services.kep_relay.inbound.texts import clean
from shared.errors import DomainError, ErrorCode

VIRUS_FOUND = "virus-found"
NOT_SCANNED = "not-scanned"
WITHHELD = frozenset({VIRUS_FOUND, NOT_SCANNED})
"""``reason_code`` of letters whose bytes are kept and handed to nobody."""
_CHUNK = 64 * 1024
_LONGEST_ANSWER = 4096
_FOUND = re.compile(r"stream: (.{1,300}) FOUND", re.DOTALL)


@dataclass(frozen=True)
class Threat:
    """Why a mail is not to be handed on."""

    reason_code: str
    detail: str


class Scanner(Protocol):
    """Looks through mails."""

    async def scan(self, content: memoryview) -> Threat | None:
        """What was found; None when it is clean. Raises SERVICE_UNAVAILABLE when it cannot be said now."""
        ...


class NoScanner:
    """Where no daemon is configured."""

    async def scan(self, content: memoryview) -> Threat | None:  # noqa: ARG002 - one of several scanners
        """Nothing is looked for."""
        return None


class ClamdScanner:
    """One connection for each mail; ``address``: ``tcp://host:port`` or ``unix:///path``."""

    def __init__(self, address: str, metrics: InboundMetrics, *, timeout_seconds: float) -> None:
        self._address = urlsplit(address)
        self._metrics = metrics
        self._timeout = timeout_seconds

    async def scan(self, content: memoryview) -> Threat | None:
        """See ``Scanner.scan``; the whole of it takes at most the time limit."""
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._ask(content)
        except (OSError, TimeoutError) as error:
            raise self._away(type(error).__name__) from error
        if answer == "stream: OK":
            self._metrics.scans.labels("clean").inc()
            return None
        if found := _FOUND.fullmatch(answer):
            self._metrics.scans.labels("found").inc()
            return Threat(VIRUS_FOUND, f"the virus scanner found {found.group(1)}")
        if "size limit exceeded" in answer:
            self._metrics.scans.labels("refused").inc()
            return Threat(NOT_SCANNED, "the mail is larger than the virus scanner takes (StreamMaxLength)")
        raise self._away("its answer makes no sense" if answer else "no answer")

    def _away(self, reason: str) -> DomainError:
        self._metrics.scans.labels("unavailable").inc()
        return DomainError(
            ErrorCode.SERVICE_UNAVAILABLE, f"the virus scanner cannot be asked ({reason})", retry_after_seconds=10
        )

    async def _ask(self, content: memoryview) -> str:
        reader, writer = await self._connect()
        try:
            # It hangs up in the middle of what is too large for it, and says so first.
            with contextlib.suppress(ConnectionError):
                writer.write(b"zINSTREAM\0")
                for start in range(0, len(content), _CHUNK):
                    piece = content[start : start + _CHUNK]
                    writer.write(struct.pack(">I", len(piece)) + bytes(piece))
                    await writer.drain()
                writer.write(bytes(4))
                await writer.drain()
            said = b""
            with contextlib.suppress(ConnectionError):
                while (
                    b"\0" not in said and len(said) < _LONGEST_ANSWER and (more := await reader.read(_LONGEST_ANSWER))
                ):
                    said += more
        finally:
            writer.transport.abort()
        return clean(said.partition(b"\0")[0].decode("utf-8", "replace"), 400)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._address.scheme == "unix":
            return await asyncio.open_unix_connection(self._address.path)
        return await asyncio.open_connection(self._address.hostname, self._address.port)


def scanner_at(address: str | None, metrics: InboundMetrics, *, timeout_seconds: float) -> Scanner:
    """The configured scanner; one that looks for nothing without an address."""
    return NoScanner() if address is None else ClamdScanner(address, metrics, timeout_seconds=timeout_seconds)


def scanner_address(text: str) -> str:
    """The address as ``ClamdScanner`` takes it. Raises ``ValueError``."""
    parts = urlsplit(text)
    tcp = parts.scheme == "tcp" and parts.hostname and parts.port and not parts.path
    if not tcp and not (parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc):
        raise ValueError("must be tcp://host:port or unix:///path")
    return text
