"""Reads an incoming package: what it says, what is wrong with it, and what signer has to judge."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

import structlog

from services.kep_relay.inbound.classified import Degree, degree_of
from services.kep_relay.inbound.consumer_rules import Addressing, addressing_of
from shared import eyp
from shared.contracts.envelopes import PackageOpening
from shared.contracts.inbound import PackageFinding
from shared.contracts.signatures import Profile
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

MAX_FINDINGS = 200
_COMPONENT_BYTES = 16 * 1024 * 1024
_NAMES = {
    eyp.SignatureKind.SIGNATURE: "signature",
    eyp.SignatureKind.INITIALS: "initials",
    eyp.SignatureKind.SEAL: "seal",
}


@dataclass(frozen=True)
class Component:
    """A CMS file inside a package, and the exact bytes it must cover."""

    name: str
    profile: Profile
    cms: bytes
    content: bytes


@dataclass(frozen=True)
class OpenedPackage:
    """What an incoming package holds."""

    acceptable: bool
    encrypted: bool
    document_id: str | None
    document_no: str | None
    components: tuple[Component, ...]
    findings: tuple[PackageFinding, ...]
    degree: Degree = field(default_factory=Degree)
    document_date: datetime | None = None
    """As the package states it, whatever its zone; None if it does not."""
    from_administration: bool = True
    """Whether a public body wrote it; assumed while nothing says otherwise, because a period runs then."""
    envelope: str | None = None
    """Part name of what was encrypted; None when it is not there, and of a package that is not encrypted."""
    opening: PackageOpening | None = None
    """What became of the envelope; None of a package that is not encrypted, and before it was tried."""
    opened_sha256: str | None = None
    opened_size: int | None = None
    addressing: Addressing = field(default_factory=Addressing)


def open_package(content: bytes | BinaryIO, decrypted: BinaryIO | None = None) -> OpenedPackage:
    """Read and judge a package (a seekable file stays open). Never raises for content; blocking.

    ``decrypted``: what the envelope of an encrypted one gave; it is judged together with what stands outside.
    """
    try:
        return _opened(content, decrypted)
    except DomainError as error:
        return _unopened(error.code, error.detail)
    except Exception:
        # The letter must be offered all the same: one that can never be verified would never be seen (kep.md 7.38).
        log.exception("package_confuses_the_reader", size=_size(content))
        return _unopened(ErrorCode.INTERNAL, "an unforeseen error; the log has it")


def _size(content: bytes | BinaryIO) -> int:
    return len(content) if isinstance(content, bytes) else content.seek(0, io.SEEK_END)


def _unopened(code: ErrorCode, sentence: str) -> OpenedPackage:
    finding = PackageFinding(
        rule=str(code), severity=eyp.Severity.FATAL.value, part=None,
        message_tr=f"Paket açılamadı: {sentence}", message_en=f"The package cannot be opened: {sentence}",
    )  # fmt: skip
    return OpenedPackage(
        acceptable=False, encrypted=False, document_id=None, document_no=None, components=(), findings=(finding,)
    )


def _opened(content: bytes | BinaryIO, decrypted: BinaryIO | None) -> OpenedPackage:
    if decrypted is None:
        inspection = eyp.inspect(content, profile=eyp.INTEROP)
    else:
        inspection = eyp.inspect_decrypted(content, decrypted, profile=eyp.INTEROP)
    components = list(_components(content, inspection, ""))
    annexes = [item.degree for item in eyp.embedded_packages(content, inspection)]
    opening = None
    if decrypted is not None:
        # Bytes that are no package come out of changed cipher text, and of a wrong key: the same failure as there.
        opening = PackageOpening.CANNOT_BE_OPENED if inspection.inner is None else PackageOpening.OPENED
        if inspection.inner is not None:
            components += _components(decrypted, inspection.inner, "inner")
            annexes += [item.degree for item in eyp.embedded_packages(decrypted, inspection.inner)]
    return OpenedPackage(
        acceptable=inspection.acceptable,
        encrypted=inspection.kind is eyp.PackageKind.ENCRYPTED,
        document_id=inspection.letter.document_id,
        document_no=inspection.letter.document_no,
        document_date=_date(inspection.letter),
        components=tuple(components),
        findings=tuple(
            PackageFinding(
                rule=item.rule,
                severity=item.severity.value,
                part=item.part,
                code=item.code,
                message_tr=item.message_tr,
                message_en=item.message_en,
            )
            for item in _all_findings(inspection)[:MAX_FINDINGS]
        ),
        degree=degree_of(inspection, annexes),
        from_administration=_from_administration(inspection),
        envelope=inspection.encrypted_content,
        opening=opening,
        addressing=addressing_of(inspection),
    )


def _from_administration(inspection: eyp.Inspection) -> bool:
    """By the letter that was written first: an update, and an envelope, stand around it."""
    while inspection.inner is not None:
        inspection = inspection.inner
    originator = inspection.metadata.originator if inspection.metadata is not None else None
    return originator is None or isinstance(originator, eyp.Organisation)


def _date(letter: eyp.Inspection) -> datetime | None:
    found = letter.final_metadata.date if letter.final_metadata is not None else None
    return found or (letter.metadata.date if letter.metadata is not None else None)


def _all_findings(inspection: eyp.Inspection) -> list[eyp.Finding]:
    """Those of the packages inside as well, the outermost first."""
    return [*inspection.findings, *(_all_findings(inspection.inner) if inspection.inner else [])]


def _components(content: bytes | BinaryIO, inspection: eyp.Inspection, around: str) -> Iterator[Component]:
    """What an update is about was signed and sealed on its own: its files are judged as well."""
    for depth, (level, container) in enumerate(eyp.opened(content, inspection)):
        owner = "-".join(filter(None, (around, "original" if depth else ""))) or "package"
        for found in level.signature_components:
            component = _component(container, found, owner)
            if component is not None:
                yield component


def _component(container: eyp.Container, found: eyp.SignatureComponent, owner: str) -> Component | None:
    """None when a part cannot be read: the inspection has a fatal finding about that."""
    try:
        return Component(
            name=f"{owner}-{_NAMES[found.kind]}",
            profile=(Profile.INSTITUTION_SEAL if found.kind is eyp.SignatureKind.SEAL else Profile.QUALIFIED_SIGNATURE),
            cms=container.read_part(found.part_name, _COMPONENT_BYTES),
            content=container.read_part(found.covered_part_name, _COMPONENT_BYTES),
        )
    except DomainError:
        return None
