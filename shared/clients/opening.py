"""Takes the envelope out of an encrypted package and has signer open it, from file to file."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import BinaryIO

from shared.clients.signer import SignerClient, envelope_refusal
from shared.contracts.envelopes import EnvelopeRefusal, PackageOpening
from shared.domain.identifiers import Sha256
from shared.errors import DomainError, ErrorCode
from shared.eyp import Container

_CHUNK = 256 * 1024
_MALFORMED = frozenset({ErrorCode.PACKAGE_INVALID, ErrorCode.TOO_LARGE})


@dataclass(frozen=True)
class Decrypted:
    """What was inside of an envelope. Not proven: only the seal of the package inside tells whose it is."""

    file: BinaryIO
    sha256: Sha256
    size: int


async def open_envelope(
    signer: SignerClient,
    package: BinaryIO,
    part: str,
    *,
    institution_no: int,
    envelope: BinaryIO,
    content: BinaryIO,
    limit: int,
) -> Decrypted:
    """Open the envelope in ``part`` of ``package`` with a key of ``institution_no``, by way of two empty files.

    ``envelope`` takes the envelope and ``content`` what was inside, at most ``limit`` bytes each. Raises as
    ``SignerClient.decrypt``; TOO_LARGE; PACKAGE_INVALID when the part cannot be read.
    """
    await asyncio.to_thread(_take_out, package, part, envelope, limit)
    digest, size = hashlib.sha256(), 0
    async with signer.decrypt(envelope, institution_no=institution_no) as blocks:
        async for block in blocks:
            size += len(block)
            if size > limit:
                raise _too_large(limit)
            digest.update(block)
            await asyncio.to_thread(content.write, block)
    content.seek(0)
    return Decrypted(content, Sha256(digest.hexdigest()), size)


def opening_outcome(error: DomainError) -> PackageOpening | None:
    """Why an envelope stayed closed; None for a failure that says nothing about the envelope."""
    if (refusal := envelope_refusal(error)) is not None:
        no_envelope = refusal is EnvelopeRefusal.NOT_AN_ENVELOPE
        return PackageOpening.MALFORMED if no_envelope else PackageOpening(refusal.value)
    if error.code is ErrorCode.NOT_FOUND:
        return PackageOpening.NO_KEY
    return PackageOpening.MALFORMED if error.code in _MALFORMED else None


def _take_out(package: BinaryIO, part: str, envelope: BinaryIO, limit: int) -> None:
    size = 0
    with Container.open(package).open_part(part) as stream:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            envelope.write(chunk)
    envelope.seek(0)


def _too_large(limit: int) -> DomainError:
    return DomainError(ErrorCode.TOO_LARGE, f"the encrypted content is larger than {limit} bytes")
