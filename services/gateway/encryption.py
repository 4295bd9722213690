"""Encrypts letters for recipients: the directory names certificates, signer judges them and makes the envelope."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, BinaryIO
from uuid import UUID

from services.gateway.certificates import checked
from services.gateway.schemas.certificates import CheckedCertificate
from services.gateway.uploads import UploadedFile
from shared.clients.directory import DirectoryClient
from shared.clients.signer import SignerClient
from shared.contracts.outbound import EncryptionCertificate
from shared.domain.identifiers import Sha256
from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp import Container, EncryptedPackage

Pointer = Callable[[int], str]
"""Where in the request a recipient stands, by its DETSİS number."""

_AT_ONCE = 8
_CHUNK = 256 * 1024
_RETRY_AFTER_SECONDS = 60


@dataclass(frozen=True)
class Addressee:
    """A certificate to encrypt for, and whose it is."""

    certificate: EncryptionCertificate
    der: bytes


async def usable_certificates(
    directory: DirectoryClient, signer: SignerClient, recipient_nos: Sequence[int], pointer: Pointer
) -> dict[int, CheckedCertificate | None]:
    """The certificate each recipient's letters are encrypted for, found good just now; None: it has no usable one.

    Raises DIRECTORY_UNAVAILABLE, and SIGNER_UNAVAILABLE while nobody can say whether a certificate holds: not
    known is not the same as none.
    """
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> CheckedCertificate | None:
        async with places:
            return await _usable(directory, signer, number, pointer)

    asked = [asyncio.create_task(one(number)) for number in recipient_nos]
    try:
        return dict(zip(recipient_nos, await asyncio.gather(*asked), strict=True))
    finally:
        # One that fails decides; five hundred would wait for a directory that is away, one after the other.
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _usable(
    directory: DirectoryClient, signer: SignerClient, number: int, pointer: Pointer
) -> CheckedCertificate | None:
    try:
        listed = await directory.certificates(number)
    except DomainError as error:
        if error.code is ErrorCode.NOT_FOUND:
            return None
        raise
    answer = await checked(signer, listed)
    if answer.chosen is None:
        return None
    if not answer.chosen.established:
        detail = "whether the recipient's certificate holds cannot be found out just now"
        raise DomainError(
            ErrorCode.SIGNER_UNAVAILABLE, detail, faults=[Fault(pointer(number), detail)],
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        )  # fmt: skip
    chosen = (answer.chosen.sha256, answer.chosen.holder_no)
    return next(item for item in answer.certificates if (item.sha256, item.holder_no) == chosen)


async def named_in_envelope(package: UploadedFile, part: str, signer: SignerClient) -> list[EncryptionCertificate]:
    """Whom an encrypted package was made for, as its envelope names them; ``part`` is where that lies.

    Raises PACKAGE_INVALID for an envelope that is broken, or protects nothing: a weak cipher, a weak way of handing
    over its key. SIGNER_UNAVAILABLE.
    """
    container = await asyncio.to_thread(Container.open, package.rewound())
    try:
        with container.open_part(part) as envelope:
            facts = await signer.envelope_facts(envelope)
    except DomainError as error:
        if error.code is ErrorCode.ENVELOPE_INVALID:
            raise _worthless("its envelope cannot be read") from error
        raise
    if not facts.cipher.accepted:
        raise _worthless(f"the cipher {facts.cipher.name} is not accepted")
    for item in facts.recipients:
        if not item.accepted:
            raise _worthless(f"its key is handed over by {item.algorithm}, which is not accepted")
    return [EncryptionCertificate(serial=item.serial_number or item.key_identifier or "") for item in facts.recipients]


def _worthless(why: str) -> DomainError:
    return DomainError(
        ErrorCode.PACKAGE_INVALID, f"the package counts as not encrypted: {why}", faults=[Fault("/package", why)]
    )


def addressees(certificates: Mapping[int, CheckedCertificate]) -> tuple[Addressee, ...]:
    """One for each different certificate, with all the recipients it serves."""
    served: defaultdict[str, list[int]] = defaultdict(list)
    for number, certificate in certificates.items():
        served[certificate.sha256].append(number)
    different = {certificate.sha256: certificate for certificate in certificates.values()}
    return tuple(
        Addressee(
            EncryptionCertificate(
                recipient_nos=served[sha256], holder_no=item.holder_no, serial=item.serial or "", sha256=sha256
            ),
            base64.b64decode(item.der_base64),
        )
        for sha256, item in different.items()
    )


async def encrypt_package(
    package: UploadedFile,
    recipients: Sequence[Addressee],
    *,
    package_id: UUID,
    packed_at: datetime,
    signer: SignerClient,
    spool: Path,
    limit: int,
    stack: ExitStack,
) -> UploadedFile:
    """An encrypted package (.eyps) around ``package``, for these certificates. ``stack`` closes its file.

    Raises SIGNER_UNAVAILABLE; CERTIFICATE_UNFIT; PACKAGE_INVALID for a package with fatal findings, VALIDATION_FAILED
    for one that is not a plain one; TOO_LARGE when the result has more than ``limit`` bytes.
    """
    envelope = stack.enter_context(tempfile.TemporaryFile(dir=spool))  # noqa: SIM115 - the stack closes it
    async with signer.encrypt(package.rewound(), [item.der for item in recipients]) as blocks:
        async for block in blocks:
            await asyncio.to_thread(envelope.write, block)
    return await asyncio.to_thread(_wrapped, package, envelope, package_id, packed_at, spool, limit, stack)


def _wrapped(
    package: UploadedFile,
    envelope: IO[bytes],
    package_id: UUID,
    packed_at: datetime,
    spool: Path,
    limit: int,
    stack: ExitStack,
) -> UploadedFile:
    envelope.flush()

    def reopened() -> BinaryIO:
        # The file has no name, and a copy of its descriptor shares its position: nobody reads two at once.
        copy = os.fdopen(os.dup(envelope.fileno()), "rb")
        copy.seek(0)
        return copy

    written = EncryptedPackage.create(
        package.rewound(), envelope=reopened, package_id=package_id, packed_at=packed_at
    )  # fmt: skip
    file = stack.enter_context(tempfile.TemporaryFile(dir=spool))  # noqa: SIM115 - the stack closes it
    written.write_to(file)
    size = file.tell()
    if size > limit:
        raise DomainError(ErrorCode.TOO_LARGE, f"encrypted the package is larger than {limit} bytes")
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return UploadedFile(file, written.file_name, size, Sha256(digest.hexdigest()))
