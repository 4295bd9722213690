"""A letter as a print needs it: the package opened, judged, its verdict, its files taken out."""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import tempfile
import unicodedata
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote

from services.gateway.envelopes import open_encrypted
from services.gateway.packages import look_into, verify_components
from services.gateway.printing.orders import AnnexFile
from services.gateway.schemas.packages import OpeningOutcome
from services.gateway.uploads import UploadedFile
from shared.clients.signer import SignerClient
from shared.contracts.inbound import InboundVerification
from shared.contracts.signatures import Profile as SignerProfile
from shared.contracts.signatures import Signer
from shared.domain.verdict import Conclusion, worst
from shared.errors import DomainError, ErrorCode
from shared.eyp import (
    INTEROP,
    AnnexKind,
    Container,
    Inspection,
    PackageKind,
    SecurityCode,
    SignatureKind,
    opened,
    stated_degree,
)
from shared.telemetry.logging import mask_identity_numbers

_CHUNK = 256 * 1024
_NEVER_PRINTED = frozenset({SecurityCode.SECRET, SecurityCode.TOP_SECRET})
_KINDS = {
    SignerProfile.QUALIFIED_SIGNATURE: SignatureKind.SIGNATURE,
    SignerProfile.INSTITUTION_SEAL: SignatureKind.SEAL,
}


@dataclass(frozen=True)
class Verdict:
    """What is known of the letter's signatures; ``conclusion`` None: nobody has judged them yet."""

    conclusion: Conclusion | None
    verified_at: datetime | None
    signers: list[tuple[SignatureKind, Signer]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether an official print may be made (L.5)."""
        return self.conclusion is Conclusion.PASSED


@dataclass(frozen=True)
class Letter:
    """An opened letter. Its files vanish with the stack that holds them."""

    package_sha256: str
    inspection: Inspection
    """Of the innermost package, the letter itself."""
    degree: SecurityCode
    verdict: Verdict
    files: BinaryIO
    """The cover letter and the annexes, back to back in one file: a letter may have more annexes than we may open."""
    sizes: list[int]
    """How many bytes each of them has; the cover letter is the first."""
    cover_letter_sha256: str
    annexes: list[AnnexFile]
    not_printed: list[AnnexFile]
    """Annexes that are no files of the package."""


class LetterReader:
    """Opens packages for printing."""

    def __init__(self, signer: SignerClient, *, spool: Path, max_package_bytes: int) -> None:
        self._signer = signer
        self._spool = spool
        self._limit = max_package_bytes

    async def read(
        self,
        package: UploadedFile,
        institution_no: int,
        stack: ExitStack,
        *,
        with_annexes: bool,
        before_opening: Callable[[], Awaitable[None]],
        known: InboundVerification | None = None,
        incoming: bool = False,
    ) -> Letter:
        """Open a package with the institution's key where it is encrypted, and take out what is printed.

        ``before_opening`` is awaited before the institution's key is used. ``incoming``: it came by KEP, and ``known`` is what was verified then, if anything. Otherwise signer is asked.

        Raises what ``look_into`` raises; CONFIDENTIALITY_FORBIDDEN above HİZMETE ÖZEL and for a degree that is not
        known (L.27); ENVELOPE_INVALID, SIGNER_UNAVAILABLE about what is encrypted; LETTER_UNPRINTABLE if there is no
        cover letter.
        """
        outside = await look_into(package)
        source, inspection = package, outside
        if outside.kind is PackageKind.ENCRYPTED:
            await before_opening()
            source, judged = await self._opened(package, outside, institution_no, stack)
            degree, inspection = stated_degree(judged), judged.inner or judged
            sound = judged.acceptable and inspection.acceptable
        else:
            degree, sound = stated_degree(outside), outside.acceptable
        if degree is None or degree in _NEVER_PRINTED:
            raise DomainError(
                ErrorCode.CONFIDENTIALITY_FORBIDDEN, "a letter of this degree of confidentiality is not printed"
            )
        verdict = await self._verdict(source, inspection, known, incoming=incoming, opened_here=source is not package)
        if not sound:
            verdict = replace(verdict, conclusion=Conclusion.FAILED)
        files = stack.enter_context(tempfile.TemporaryFile(dir=self._spool))  # noqa: SIM115 - the stack closes it
        sizes, digest, annexes, not_printed = await asyncio.to_thread(
            _take_out, source.file, inspection, files, with_annexes
        )
        return Letter(
            package.sha256, inspection.letter, degree, verdict, files, sizes, digest, annexes, not_printed
        )  # fmt: skip

    async def _opened(
        self, package: UploadedFile, outside: Inspection, institution_no: int, stack: ExitStack
    ) -> tuple[UploadedFile, Inspection]:
        opening = await open_encrypted(
            package, outside, self._signer, institution_no, spool=self._spool, limit=self._limit, profile=INTEROP,
            recipient=None, stack=stack,
        )  # fmt: skip
        if opening.outcome is OpeningOutcome.UNAVAILABLE:
            raise DomainError(ErrorCode.SIGNER_UNAVAILABLE, "the envelope cannot be opened now")
        if opening.inside is None or opening.inspection.inner is None:
            raise DomainError(ErrorCode.ENVELOPE_INVALID, f"the envelope cannot be opened: {opening.outcome}")
        return opening.inside, opening.inspection

    async def _verdict(
        self,
        source: UploadedFile,
        inspection: Inspection,
        known: InboundVerification | None,
        *,
        incoming: bool,
        opened_here: bool,
    ) -> Verdict:
        """The letter must carry a signature, whoever judged it."""
        kinds = {item.kind for item in inspection.letter.signature_components}
        unsigned = [] if SignatureKind.SIGNATURE in kinds else [Conclusion.INDETERMINATE]
        if incoming and known is None:
            return Verdict(None, None)
        conclusions, moments, signers = [*unsigned], [], []
        if known is not None:
            conclusions.append(known.conclusion)
            moments.append(known.verified_at)
            signers = [
                (kind, signature.signer)
                for item in known.components
                if item.component.startswith(("package-", "original-"))
                and (kind := _KINDS.get(item.report.profile)) is not None
                and not item.component.endswith("initials")
                for signature in item.report.signatures
                if signature.signer is not None
            ]
        if not incoming or opened_here:
            for item in await verify_components(source, inspection, self._signer, self._spool):
                if item.verification is None:
                    conclusions.append(Conclusion.INDETERMINATE)
                    continue
                report = item.verification.report
                conclusions.append(report.conclusion)
                moments.append(report.verified_at)
                if item.component.kind is not SignatureKind.INITIALS:
                    found = (signature.signer for signature in report.signatures)
                    signers += [(item.component.kind, signer) for signer in found if signer is not None]
        # What kep_relay opened and verified is verified here once more: nobody signed twice for that.
        unique = {(kind, signer.certificate_sha256): (kind, signer) for kind, signer in signers}
        return Verdict(worst(conclusions), max(moments, default=None), list(unique.values()))


def _take_out(
    source: BinaryIO, inspection: Inspection, files: BinaryIO, with_annexes: bool
) -> tuple[list[int], str, list[AnnexFile], list[AnnexFile]]:
    """Copy cover letter and annexes to ``files``.

    Returns their sizes, the cover letter's SHA-256, the annexes, and those without a file.
    """
    letter, container = list(opened(source, inspection))[-1]
    if letter.cover_letter is None or container.entry(letter.cover_letter) is None:
        raise DomainError(ErrorCode.LETTER_UNPRINTABLE, "the package has no cover letter that can be read")
    sizes, annexes, missing = [_copy(container, letter.cover_letter, files)], [], []
    files.seek(0)
    digest = hashlib.file_digest(cast("io.BufferedReader", files), "sha256").hexdigest()
    if with_annexes:
        for annex, part in annexes_with_parts(letter):
            if part is None:
                missing.append(annex)
            else:
                annexes.append(annex)
                sizes.append(_copy(container, part, files))
    return sizes, digest, annexes, missing


def annexes_with_parts(letter: Inspection) -> Iterator[tuple[AnnexFile, str | None]]:
    """The annexes in the letter's order, each with its part; then parts that no annex claims."""
    left = list(letter.annex_parts)
    annexes = letter.metadata.annexes if letter.metadata else ()
    for annex in sorted(annexes, key=lambda item: item.order or 0):
        name = annex.name or annex.file_name or annex.id
        part = _taken(left, annex.file_name) if annex.kind is AnnexKind.FILE and annex.file_name else None
        shown = f"{annex.name} ({annex.file_name})" if annex.name and annex.file_name else name
        yield (
            AnnexFile(name=mask_identity_numbers(shown)[:300], file_name=annex.file_name, media_type=annex.media_type),
            part,
        )
    for part in left:
        file_name = unquote(part.rpartition("/")[2])
        yield AnnexFile(name=mask_identity_numbers(file_name)[:300], file_name=file_name), part


def _taken(parts: list[str], file_name: str) -> str | None:
    """The first part with this file name, which is then no longer among ``parts``."""
    wanted = _key(file_name)
    for part in parts:
        if _key(part.rpartition("/")[2]) == wanted:
            parts.remove(part)
            return part
    return None


def _key(file_name: str) -> str:
    return unicodedata.normalize("NFC", unquote(file_name)).casefold()


def _copy(container: Container, part: str, files: BinaryIO) -> int:
    began = files.tell()
    with container.open_part(part) as stream:
        shutil.copyfileobj(stream, files, _CHUNK)
    return files.tell() - began
