"""Looks into encrypted packages: signer opens the envelope with the institution's key, what comes out is judged here."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.gateway.downloads import ByteSource
from services.gateway.schemas.packages import OpeningOutcome
from services.gateway.uploads import UploadedFile
from shared.clients.opening import open_envelope
from shared.clients.signer import SignerClient, envelope_refusal
from shared.errors import DomainError, ErrorCode
from shared.eyp import Inspection, Profile, inspect, inspect_decrypted

_LARGEST = 256 * 1024 * 1024
"""No mail that kep_relay takes in is larger (its ``max_mail_bytes``)."""


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
        found = await open_envelope(
            signer, package.file, part, institution_no=institution_no, envelope=envelope, content=content, limit=limit
        )
    except DomainError as error:
        outcome = _outcome(error)
        if outcome is None:
            raise
        return Opening(outcome, inspection)
    inside = UploadedFile(found.file, "", found.size, found.sha256)
    judged = await asyncio.to_thread(inspect_decrypted, package.file, content, profile=profile, recipient=recipient)
    return Opening(OpeningOutcome.OPENED, judged, inside)


@dataclass(frozen=True)
class OpenedPackage:
    """A decrypted package on its way to whoever asked for it."""

    file: UploadedFile

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Its bytes in pieces."""
        return self.file.chunks()


@asynccontextmanager
async def opened_again(
    received: AbstractAsyncContextManager[ByteSource],
    signer: SignerClient,
    *,
    institution_no: int,
    sha256: str,
    spool: Path,
) -> AsyncIterator[OpenedPackage]:
    """The package inside the encrypted one that ``received`` gives, if it is the one that was verified (``sha256``).

    It lies in a file without a name while it is sent, complete before its first byte goes out. Raises STATE_CONFLICT
    when the envelope does not give that package any more; SIGNER_UNAVAILABLE.
    """
    with (
        tempfile.TemporaryFile(dir=spool) as package,
        tempfile.TemporaryFile(dir=spool) as envelope,
        tempfile.TemporaryFile(dir=spool) as content,
    ):
        async with received as source:
            async for block in source.aiter_bytes():
                await asyncio.to_thread(package.write, block)
        part = (await asyncio.to_thread(inspect, package)).encrypted_content
        if part is None:
            raise _no_more("it is not encrypted")
        try:
            found = await open_envelope(
                signer, package, part, institution_no=institution_no, envelope=envelope, content=content,
                limit=_LARGEST,
            )  # fmt: skip
        except DomainError as error:
            outcome = _outcome(error)
            if outcome is None or outcome is OpeningOutcome.UNAVAILABLE:
                raise
            raise _no_more(outcome) from error
        if found.sha256 != sha256:
            raise _no_more("it gives another package")
        yield OpenedPackage(UploadedFile(found.file, "", found.size, found.sha256))


def _no_more(why: str) -> DomainError:
    return DomainError(
        ErrorCode.STATE_CONFLICT, f"the envelope cannot be opened as it was when the letter was verified: {why}"
    )


def _outcome(error: DomainError) -> OpeningOutcome | None:
    """None for what is no outcome of opening but a failure of the request."""
    if (refusal := envelope_refusal(error)) is not None:
        return OpeningOutcome(refusal.value)
    if error.code is ErrorCode.PACKAGE_INVALID:
        return OpeningOutcome.MALFORMED
    if error.code is ErrorCode.NOT_FOUND:
        return OpeningOutcome.NO_KEY
    return OpeningOutcome.UNAVAILABLE if error.retryable else None
