"""Looks into encrypted packages: signer opens the envelope with the institution's key, what comes out is judged here."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from services.gateway.schemas.packages import OpeningOutcome
from services.gateway.uploads import UploadedFile
from shared.clients.signer import SignerClient, envelope_refusal
from shared.domain.identifiers import Sha256
from shared.errors import DomainError, ErrorCode
from shared.eyp import Container, Inspection, Profile, inspect_decrypted

_CHUNK = 256 * 1024


@dataclass(frozen=True)
class Opening:
    """What became of the envelope of an encrypted package."""

    outcome: OpeningOutcome
    inspection: Inspection
    """The package outside, with the one inside when it was opened."""
    inside: UploadedFile | None = None
    """The decrypted package; it vanishes with the stack that holds it."""


async def open_encrypted(
    package: UploadedFile,
    inspection: Inspection,
    signer: SignerClient,
    institution_no: int,
    *,
    spool: Path,
    limit: int,
    profile: Profile,
    recipient: str | None,
    stack: ExitStack,
) -> Opening:
    """Have the envelope opened with a key of ``institution_no`` and judge what was in it.

    An envelope that stays closed is no failure but an outcome; of what lies outside everything is known all
    the same. ``stack`` closes the files. Raises TOO_LARGE when what was inside has more than ``limit`` bytes.
    """
    part = inspection.encrypted_content
    if part is None:
        return Opening(OpeningOutcome.NOT_AN_ENVELOPE, inspection)
    envelope = stack.enter_context(tempfile.TemporaryFile(dir=spool))  # noqa: SIM115 - the stack closes it
    content = stack.enter_context(tempfile.TemporaryFile(dir=spool))  # noqa: SIM115 - the stack closes it
    try:
        await asyncio.to_thread(_take_out, package.file, part, envelope)
        inside = await _decrypted(signer, envelope, institution_no, content, limit)
    except DomainError as error:
        outcome = _outcome(error)
        if outcome is None:
            raise
        return Opening(outcome, inspection)
    judged = await asyncio.to_thread(inspect_decrypted, package.file, content, profile=profile, recipient=recipient)
    return Opening(OpeningOutcome.OPENED, judged, inside)


def _take_out(package: BinaryIO, part: str, envelope: BinaryIO) -> None:
    with Container.open(package).open_part(part) as stream:
        shutil.copyfileobj(stream, envelope, _CHUNK)
    envelope.seek(0)


async def _decrypted(
    signer: SignerClient, envelope: BinaryIO, institution_no: int, content: BinaryIO, limit: int
) -> UploadedFile:
    digest, size = hashlib.sha256(), 0
    async with signer.decrypt(envelope, institution_no=institution_no) as blocks:
        async for block in blocks:
            size += len(block)
            if size > limit:
                raise DomainError(ErrorCode.TOO_LARGE, f"the package inside is larger than {limit} bytes")
            digest.update(block)
            await asyncio.to_thread(content.write, block)
    return UploadedFile(content, "", size, Sha256(digest.hexdigest()))


def _outcome(error: DomainError) -> OpeningOutcome | None:
    """None for what is no outcome of opening but a failure of the request."""
    if (refusal := envelope_refusal(error)) is not None:
        return OpeningOutcome(refusal.value)
    if error.code is ErrorCode.PACKAGE_INVALID:
        return OpeningOutcome.MALFORMED
    if error.code is ErrorCode.NOT_FOUND:
        return OpeningOutcome.NO_KEY
    return OpeningOutcome.UNAVAILABLE if error.retryable else None
