"""Writes a proof file: the archive, its manifest and the time-stamp over that.

The archive is made in a file without a name and only then sent, so that what is sent is whole: its size is known, and a
blob that is missing is an answer and not a broken download.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO
from uuid import UUID

import structlog

from services.kep_relay.proof.contents import ProofContents, Stored, Written, contents_of
from services.kep_relay.proof.explanation import EXPLANATION
from shared.blobs import BlobStore
from shared.clients.signer import SignerClient
from shared.clock import Clock
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode
from shared.proof import FORMAT, MANIFEST, TIMESTAMP, Manifest, ProofFile, ProofFileKind, canonical
from shared.version import software_version

log = structlog.get_logger(__name__)

_AT_ONCE = 4
_CHUNK = 256 * 1024


@dataclass(frozen=True)
class Bundle:
    """A written archive."""

    file: IO[bytes]
    size: int
    sha256: str
    timestamped: bool


class Proofs:
    """Makes proof files; a few at the same time, since each takes room on the disk."""

    def __init__(self, database: Database, blobs: BlobStore, signer: SignerClient, clock: Clock) -> None:
        self._database = database
        self._blobs = blobs
        self._signer = signer
        self._clock = clock
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def make(self, message_id: UUID, institutions: Sequence[int]) -> Bundle:
        """The proof of one letter as it stands; whoever gets it closes the file.

        Raises NOT_FOUND; SERVICE_UNAVAILABLE when others are made; DURABILITY_UNAVAILABLE when bytes are missing or
        there is no room.
        """
        if self._places.locked():
            raise DomainError(ErrorCode.SERVICE_UNAVAILABLE, "other proofs are being made", retry_after_seconds=10)
        async with self._places:
            async with self._database.reading() as session:
                contents = await contents_of(session, message_id, institutions)
            with ExitStack() as stack:
                file = stack.enter_context(tempfile.TemporaryFile())
                try:
                    timestamped = await self._write(file, contents)
                    sha256 = await asyncio.to_thread(_digest, file)
                except OSError as error:
                    raise DomainError(
                        ErrorCode.DURABILITY_UNAVAILABLE, "there is no room to put the proof together"
                    ) from error
                stack.pop_all()
        size = file.tell()
        file.seek(0)
        log.info("proof_made", message_id=str(message_id), sha256=sha256, size=size, timestamped=timestamped)
        return Bundle(file, size, sha256, timestamped)

    async def _write(self, file: IO[bytes], contents: ProofContents) -> bool:
        explanation = Written("OKU-BENI.txt", ProofFileKind.EXPLANATION, EXPLANATION.encode())
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            listed = [self._put(archive, item) for item in (explanation, *contents.written)]
            listed += [await self._copy(archive, item) for item in contents.stored]
            manifest = canonical(
                Manifest(
                    format=FORMAT, message_id=contents.message.message_id,
                    institution_no=contents.message.institution_no, made_at=self._clock.now(),
                    software_version=software_version(), events_sha256=contents.events_sha256, files=listed,
                ).model_dump(mode="json")
            )  # fmt: skip
            archive.writestr(MANIFEST, manifest)
            stamp = await self._stamp(manifest)
            if stamp is not None:
                archive.writestr(TIMESTAMP, stamp)
        return stamp is not None

    async def _stamp(self, manifest: bytes) -> bytes | None:
        """None without an authority, or when it is away: the proof is given all the same, and says so by its absence."""
        try:
            return await self._signer.timestamp(manifest)
        except DomainError as error:
            log.warning("proof_not_timestamped", code=error.code, reason=error.detail)
            return None

    @staticmethod
    def _put(archive: zipfile.ZipFile, item: Written) -> ProofFile:
        archive.writestr(item.path, item.content)
        return ProofFile(
            path=item.path, kind=item.kind, sha256=hashlib.sha256(item.content).hexdigest(), size=len(item.content),
            evidence_id=item.evidence_id, recipient_id=item.recipient_id,
        )  # fmt: skip

    async def _copy(self, archive: zipfile.ZipFile, item: Stored) -> ProofFile:
        size, digest = 0, hashlib.sha256()
        with archive.open(item.path, "w", force_zip64=True) as target:
            async for chunk in self._blobs.stream(item.sha256):
                digest.update(chunk)
                size += len(chunk)
                await asyncio.to_thread(target.write, chunk)
        if digest.hexdigest() != item.sha256:
            raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, f"stored bytes are damaged: {item.sha256}")
        return ProofFile(
            path=item.path, kind=item.kind, sha256=item.sha256, size=size, recipient_id=item.recipient_id,
            evidence_id=item.evidence_id, code=item.code,
        )  # fmt: skip


def _digest(file: IO[bytes]) -> str:
    """Leaves the file at its end."""
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
