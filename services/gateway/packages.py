"""Looks into a package and asks signer about its signatures."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from services.gateway.uploads import UploadedFile
from shared.clients.signer import SignerClient
from shared.contracts.inbound import ComponentVerification
from shared.contracts.signatures import Profile, SignatureFormat, VerificationRequest
from shared.errors import DomainError, ErrorCode
from shared.eyp import INTEROP, Inspection, SignatureComponent, SignatureKind, inspect, opened
from shared.eyp import Profile as RuleProfile

_LARGEST_SIGNATURE = 16 * 1024 * 1024
_PROFILES = {
    SignatureKind.SIGNATURE: Profile.QUALIFIED_SIGNATURE,
    SignatureKind.INITIALS: Profile.QUALIFIED_SIGNATURE,
    SignatureKind.SEAL: Profile.INSTITUTION_SEAL,
}


@dataclass(frozen=True)
class CheckedComponent:
    """One signature of a package: the verdict, or why there is none."""

    component: SignatureComponent
    verification: ComponentVerification | None
    unavailable: DomainError | None = None
    depth: int = 0
    """How many packages lie around the one it is in."""


async def look_into(
    upload: UploadedFile, *, profile: RuleProfile = INTEROP, recipient: str | None = None
) -> Inspection:
    """Inspect an uploaded file in a thread. Raises NOT_A_PACKAGE, PACKAGE_INVALID, TOO_LARGE."""
    if upload.size == 0:
        raise DomainError(ErrorCode.NOT_A_PACKAGE, "the file is empty")
    return await asyncio.to_thread(
        inspect, upload.file, file_name=upload.filename or None, profile=profile, recipient=recipient
    )


async def verify_components(
    upload: UploadedFile, inspection: Inspection, signer: SignerClient, spool: Path
) -> list[CheckedComponent]:
    """Ask signer about every signature, initials and seal in the package; a signer that is away is not a verdict.

    Those of the packages inside an update count as well: one seal on each level, three files in the letter.
    """
    with ExitStack() as stack:
        # Everything is taken out before anything is sent: the package is one file with one position.
        copies = await asyncio.to_thread(_extract, upload.file, inspection, spool, stack)
        answers = await asyncio.gather(
            *(_ask(signer, copy) for copy in copies),
            return_exceptions=True,  # the copies stay open until the last one has ended
        )
    checked: list[CheckedComponent] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        checked.append(answer)
    return checked


@dataclass(frozen=True)
class _Copy:
    """One signature taken out of its package, with what it covers: a rewound file."""

    component: SignatureComponent
    depth: int
    signature: bytes
    covered: BinaryIO


async def _ask(signer: SignerClient, copy: _Copy) -> CheckedComponent:
    component = copy.component
    request = VerificationRequest(format=SignatureFormat.CADES, profile=_PROFILES[component.kind])
    try:
        report = await signer.verify(request, copy.signature, content=copy.covered)
    except DomainError as error:
        if not error.retryable:
            raise
        return CheckedComponent(component, None, error, copy.depth)
    verification = ComponentVerification(component=f"package-{component.kind}", report=report)
    return CheckedComponent(component, verification, depth=copy.depth)


def _extract(package: BinaryIO, inspection: Inspection, spool: Path, stack: ExitStack) -> list[_Copy]:
    """Every signature on every level; ``stack`` closes the files."""
    taken: list[_Copy] = []
    for depth, (level, container) in enumerate(opened(package, inspection)):
        for component in level.signature_components:
            covered = stack.enter_context(tempfile.TemporaryFile(dir=spool))  # noqa: SIM115 - the stack closes it
            with container.open_part(component.covered_part_name) as part:
                shutil.copyfileobj(part, covered, 256 * 1024)
            covered.seek(0)
            signature = container.read_part(component.part_name, _LARGEST_SIGNATURE)
            taken.append(_Copy(component, depth, signature, covered))
    return taken
