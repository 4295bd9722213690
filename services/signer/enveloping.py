"""Encryption and decryption as a service: the pure work in threads, keys by institution, an audit line first.

What is opened is an e-Yazışma package, and nothing else is given out: an inner package begins as a ZIP
does (eyp.md section 5). So bytes that a wrong key made out of CBC end as the same failure as a bad padding.
That is no authentication: the inner package's seal still decides what the letter is worth.

Memory for a 25 MB package, measured: encrypting 3 MB, whatever the size; opening 27 MB, which is the content until
it is sent, and 10 MB more while it is opened when it came in pieces of 1,000 bytes. The envelope itself is a mapped
file without a name; plaintext is never written to a file here.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import IO

import structlog

from services.signer.envelopes.facts import envelope_facts
from services.signer.envelopes.fitness import fit_recipients
from services.signer.envelopes.opening import cannot_be_opened, choose_delivery, open_content
from services.signer.envelopes.reading import BLOCK_BYTES, parse_envelope
from services.signer.envelopes.refusals import EnvelopeRefused, RecipientsUnfit
from services.signer.envelopes.writing import EnvelopeWriter
from services.signer.keys import DecryptionKey, KeyRing
from services.signer.limits import DEFAULT_LIMITS, Limits, Readable
from shared.clock import Clock
from shared.contracts.envelopes import EnvelopeFacts
from shared.contracts.signatures import SigningPurpose
from shared.errors import DomainError, ErrorCode, Fault

log = structlog.get_logger(__name__)

_PACKAGE_START = b"PK\x03\x04"


class Enveloping:
    """Makes, opens and describes envelopes; at most ``at_once`` of them hold memory at the same time."""

    def __init__(
        self,
        keys: KeyRing,
        clock: Clock,
        *,
        at_once: int,
        patience_seconds: float = 15,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._places = asyncio.Semaphore(at_once)
        self._patience_seconds = patience_seconds
        self._limits = limits

    async def take_place(self) -> None:
        """Wait for a place, to be given back by ``leave_place``; raises ``DomainError`` (SERVICE_UNAVAILABLE)."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise DomainError(
                ErrorCode.SERVICE_UNAVAILABLE,
                "too many envelopes at the same time",
                retry_after_seconds=round(self._patience_seconds) or 1,
            ) from None

    def leave_place(self) -> None:
        """Give a place back."""
        self._places.release()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place for the time of a block."""
        await self.take_place()
        try:
            yield
        finally:
            self.leave_place()

    async def writer(self, certificates: Sequence[bytes], size: int) -> EnvelopeWriter:
        """An envelope for content of ``size`` bytes; raises ``DomainError`` (CERTIFICATE_UNFIT, VALIDATION_FAILED)."""
        if not size:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "there is nothing to encrypt")
        return await asyncio.to_thread(self._writer, certificates, size)

    def _writer(self, certificates: Sequence[bytes], size: int) -> EnvelopeWriter:
        try:
            return EnvelopeWriter(fit_recipients(certificates, self._clock.now(), self._limits), size)
        except RecipientsUnfit as error:
            faults = [Fault(f"/certificates/{item.index}", f"{item.fault}: {item.detail}") for item in error.unfit]
            raise DomainError(
                ErrorCode.CERTIFICATE_UNFIT, "nothing is encrypted for a certificate that is not fit", faults=faults
            ) from error

    def decryption_keys(self, institution_no: int, key_id: str | None) -> tuple[DecryptionKey, ...]:
        """The keys that may open something for an institution, refused before any byte is read."""
        return self._keys.decryption_keys(institution_no, key_id)

    async def open(self, file: IO[bytes], keys: Sequence[DecryptionKey], requester: str) -> list[bytes]:
        """The package inside the envelope in ``file``, in blocks; raises ``DomainError`` (ENVELOPE_INVALID)."""
        return await asyncio.to_thread(self._open, file, keys, requester)

    def _open(self, file: IO[bytes], keys: Sequence[DecryptionKey], requester: str) -> list[bytes]:
        with _refusals_told(), _mapped(file) as data:
            envelope = parse_envelope(data, self._limits)
            key, delivery = choose_delivery(envelope, keys)
            # Written before the key is used: an opening without its audit line must not exist.
            log.info(
                "key_used",
                audit=True,
                key_id=key.key_id,
                institution_no=key.institution_no,
                purpose=SigningPurpose.PACKAGE_DECRYPTION.value,
                content_sha256=hashlib.sha256(data).hexdigest(),
                certificate_sha256=key.certificate.sha256,
                requester=requester,
            )
            blocks = open_content(envelope, data, delivery, key.port)
            if not b"".join(block[:4] for block in blocks[:2]).startswith(_PACKAGE_START):
                raise cannot_be_opened()
            return blocks

    async def facts(self, file: IO[bytes]) -> EnvelopeFacts:
        """What the envelope in ``file`` says without a key; raises ``DomainError`` (ENVELOPE_INVALID)."""
        return await asyncio.to_thread(self._facts, file)

    def _facts(self, file: IO[bytes]) -> EnvelopeFacts:
        with _refusals_told(), _mapped(file) as data:
            envelope = parse_envelope(data, self._limits)
            return envelope_facts(envelope, hashlib.sha256(data).hexdigest())


def unnamed_file() -> IO[bytes]:
    """A temporary file that no one can open by name and that is gone when it is closed."""
    return tempfile.TemporaryFile()


def blocks_of(file: IO[bytes]) -> Iterator[bytes]:
    """The file from its start, in blocks."""
    file.seek(0)
    while block := file.read(BLOCK_BYTES):
        yield block


@contextmanager
def _mapped(file: IO[bytes]) -> Iterator[Readable]:
    file.flush()
    if not os.fstat(file.fileno()).st_size:
        yield b""
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


@contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except EnvelopeRefused as error:
        code = ErrorCode.ENVELOPE_INVALID
        log.info("envelope_refused", reason=error.reason.value)
        raise DomainError(code, error.detail, faults=[Fault("/envelope", error.reason.value)]) from error
