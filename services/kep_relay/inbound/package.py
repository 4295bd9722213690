"""Opens an incoming package: what it says, what is wrong with it, and what signer has to judge."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

import structlog

from shared import eyp
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


def open_package(content: bytes | BinaryIO) -> OpenedPackage:
    """Read and judge a package (a seekable file stays open). Never raises for content; blocking."""
    try:
        return _opened(content)
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


def _opened(content: bytes | BinaryIO) -> OpenedPackage:
    inspection = eyp.inspect(content, profile=eyp.INTEROP)
    return OpenedPackage(
        acceptable=inspection.acceptable,
        encrypted=inspection.kind is eyp.PackageKind.ENCRYPTED,
        document_id=inspection.letter.document_id,
        document_no=inspection.letter.document_no,
        # What an update is about was signed and sealed on its own: its files are judged as well.
        components=tuple(
            component
            for depth, (level, container) in enumerate(eyp.opened(content, inspection))
            for found in level.signature_components
            if (component := _component(container, found, "original" if depth else "package")) is not None
        ),
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
    )


def _all_findings(inspection: eyp.Inspection) -> list[eyp.Finding]:
    """Those of the packages inside as well, the outermost first."""
    return [*inspection.findings, *(_all_findings(inspection.inner) if inspection.inner else [])]


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
