"""Asks signer about a mail, and about exactly the bytes this service reads from it.

Two readers of a broken header may cut a mail differently: the one that verifies finds a genuine part,
the one that reads finds another. So signer is given what was read, and says no when it is not what
the signature covers.
"""

from __future__ import annotations

import asyncio
import tempfile
from typing import IO

from services.kep_relay.inbound.budget import ByteBudget
from services.kep_relay.inbound.envelope import unwrap
from services.kep_relay.inbound.mime import parse_mail
from services.kep_relay.inbound.transfer import plain
from shared.blobs import BlobStore
from shared.clients.signer import Material, SignerClient
from shared.contracts.signatures import VerificationReport, VerificationRequest
from shared.domain.verdict import Conclusion, Indication, SubIndication
from shared.errors import DomainError, ErrorCode

_IN_MEMORY = 1024 * 1024


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
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as covered:
        async with budget.hold(await blobs.size(sha256) or 0):
            await _write_covered(await blobs.get(sha256, limit=limit), covered)
        return await ask(signer, request, blobs.stream(sha256), covered)


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


async def _write_covered(raw: bytes, target: IO[bytes]) -> None:
    await asyncio.to_thread(_copy_covered, raw, target)


def _copy_covered(raw: bytes, target: IO[bytes]) -> None:
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
