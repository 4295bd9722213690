"""Asks signer about a mail, and about exactly the bytes this service reads from it.

Two readers of a broken header may cut a mail differently: the one that verifies finds a genuine part,
the one that reads finds another. So signer is given what was read, and says no when it is not what
the signature covers.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from typing import IO

from services.kep_relay.inbound.budget import ByteBudget
from services.kep_relay.inbound.envelope import unwrap
from services.kep_relay.inbound.mapped import IN_MEMORY, open_stored
from services.kep_relay.inbound.mime import parse_mail
from services.kep_relay.inbound.transfer import plain
from shared.blobs import BlobStore
from shared.clients.signer import Material, SignerClient
from shared.contracts.signatures import VerificationReport, VerificationRequest
from shared.domain.verdict import Conclusion, Indication, SubIndication
from shared.errors import DomainError, ErrorCode


async def verify_mail(
    signer: SignerClient,
    blobs: BlobStore,
    sha256: str,
    request: VerificationRequest,
    *,
    limit: int,
    budget: ByteBudget,
) -> VerificationReport:
    """The verdict on a stored mail's outermost signature, over the content that is read from it.

    Raises ``DomainError`` as the store does, and when signer cannot be asked now.
    """
    async with open_stored(blobs, sha256, limit=limit) as mail:
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as covered:
            async with budget.hold(len(mail.content)):
                await asyncio.to_thread(_copy_covered, mail.content, covered)
                with contextlib.suppress(BufferError):
                    mail.content.release()  # signer may take its time
            return await ask(signer, request, mail.file, covered)


async def ask(
    signer: SignerClient, request: VerificationRequest, file: Material, content: Material | None = None
) -> VerificationReport:
    """What signer says; a file that is too large for it is an undecided one, not one to wait for."""
    try:
        return await signer.verify(request, file, content)
    except DomainError as error:
        if error.code is not ErrorCode.TOO_LARGE:
            raise
        return _undecided(request)


def _copy_covered(raw: memoryview, target: IO[bytes]) -> None:
    content, _signed = unwrap(parse_mail(raw), [])
    for piece in plain(content.raw).pieces():  # at once, it would be held in memory before it goes to the disk
        target.write(piece)
    target.seek(0)


def _undecided(request: VerificationRequest) -> VerificationReport:
    assert request.moment is not None
    return VerificationReport(
        conclusion=Conclusion.INDETERMINATE,
        indication=Indication.INDETERMINATE,
        sub_indication=SubIndication.POLICY_PROCESSING_ERROR,
        format=request.format,
        profile=request.profile,
        policy_version="",
        trust_store_sha256="",
        signatures=[],
        verified_at=request.moment,
    )
