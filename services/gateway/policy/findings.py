"""What the institution's policy makes of a package's findings, of its signatures and of its version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from services.gateway.packages import CheckedComponent, verify_components
from services.gateway.schemas.admin import InstitutionPolicy
from services.gateway.schemas.outbound import OutboundMessageRequest
from services.gateway.schemas.packages import public_finding
from services.gateway.uploads import UploadedFile
from shared.clients.signer import SignerClient
from shared.contracts.inbound import PackageFinding
from shared.contracts.signatures import Text, VerificationReport
from shared.domain.verdict import Conclusion, StepResult
from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp import Finding, Inspection, Severity

_VERSION_RULE = "policy.version"
_INVALID = "the package breaks rules of e-Yazışma"


async def examine(
    package: UploadedFile, inspection: Inspection, policy: InstitutionPolicy, signer: SignerClient, spool: Path
) -> list[PackageFinding]:
    """What is wrong with a package and its signatures, as far as the policy lets it pass.

    Every level of an update package counts. Raises PACKAGE_INVALID, SIGNATURE_INVALID, and SIGNER_UNAVAILABLE when
    signatures must be good and cannot be checked.
    """
    if policy.package_findings == "refuse":
        refuse_unacceptable(inspection)
    findings = let_through(inspection, policy)
    if policy.signatures == "pass":
        return findings
    checked = await verify_components(package, inspection, signer, spool)
    if policy.signatures == "refuse":
        for item in checked:
            if item.unavailable is not None:
                raise item.unavailable
    adverse = adverse_findings(checked)
    failed = [finding for finding in adverse if finding.severity == "fatal"]
    if failed and policy.signatures == "refuse":
        faults = [Fault("/package", f"{finding.part}: {finding.message_en}") for finding in failed]
        raise DomainError(ErrorCode.SIGNATURE_INVALID, "a signature of the package failed", faults=faults)
    return findings + adverse


def let_through(inspection: Inspection, policy: InstitutionPolicy) -> list[PackageFinding]:
    """The findings on all levels, unless the policy passes them over in silence."""
    if policy.package_findings == "pass":
        return []
    return [_located(around, finding) for around, finding in _on_all_levels(inspection)]


def refuse_unacceptable(inspection: Inspection) -> None:
    """Raise PACKAGE_INVALID, with every fatal finding, unless there is none."""
    if inspection.acceptable:
        return
    fatal = [(around, item) for around, item in _on_all_levels(inspection) if item.severity is Severity.FATAL]
    faults = [Fault(_pointer(around, item.part), f"{item.key}: {item.message_en}") for around, item in fatal]
    raise DomainError(ErrorCode.PACKAGE_INVALID, _INVALID, faults=faults)


def adverse_findings(checked: list[CheckedComponent]) -> list[PackageFinding]:
    """A finding for every signature that did not pass, with the step that decided it."""
    findings = []
    for item in checked:
        conclusion = item.verification.report.conclusion if item.verification else Conclusion.INDETERMINATE
        if conclusion is Conclusion.PASSED:
            continue
        failed = conclusion is Conclusion.FAILED
        reason = _reason(item.verification.report) if item.verification else None
        findings.append(
            PackageFinding(
                rule=f"signature.{conclusion.value if item.verification else 'not-checked'}",
                severity=(Severity.FATAL if failed else Severity.WARNING).value,
                part=item.component.part_name,
                message_tr=("İmza ya da mühür doğrulanamadı" if failed else "İmza ya da mühür için kesin sonuç yok")
                + (f": {reason.tr}" if reason else ""),
                message_en=("A signature or seal failed" if failed else "A signature or seal has no final verdict")
                + (f": {reason.en}" if reason else ""),
            )
        )
    return findings


def _reason(report: VerificationReport) -> Text | None:
    wanted = StepResult.FAILED if report.conclusion is Conclusion.FAILED else StepResult.INDETERMINATE
    for signature in report.signatures:
        for step in signature.steps:
            if step.result is wanted:
                code = f" ({signature.sub_indication})" if signature.sub_indication else ""
                return Text(tr=step.text.tr + code, en=step.text.en + code)
    return None


def version_findings(
    behind: Mapping[int, str], message: OutboundMessageRequest, policy: InstitutionPolicy
) -> list[PackageFinding]:
    """A finding for every recipient in ``behind``, who by the directory cannot read the package's version.

    Raises PACKAGE_INVALID when the policy refuses findings.
    """
    if not behind or policy.package_findings == "pass":
        return []
    if policy.package_findings == "refuse":
        faults = [Fault(message.pointer(number), f"{_VERSION_RULE}: {detail}") for number, detail in behind.items()]
        raise DomainError(ErrorCode.PACKAGE_INVALID, "a recipient cannot read packages of this version", faults=faults)
    return [
        PackageFinding(
            rule=_VERSION_RULE,
            severity=Severity.WARNING.value,
            part=None,
            message_tr=f"Alıcı {number}, DETSİS'e göre paketin sürümünü okuyamıyor",
            message_en=f"{number}: {detail}",
        )
        for number, detail in behind.items()
    ]


def _on_all_levels(inspection: Inspection) -> Iterator[tuple[tuple[str, ...], Finding]]:
    """Findings with the parts around their package, the outermost package first."""
    around: tuple[str, ...] = ()
    level: Inspection | None = inspection
    while level is not None:
        for finding in level.findings:
            yield around, finding
        around = (*around, level.original_package or level.encrypted_content or "")
        level = level.inner


def _located(around: tuple[str, ...], finding: Finding) -> PackageFinding:
    found = public_finding(finding)
    return found.model_copy(update={"part": "!".join(filter(None, (*around, finding.part)))}) if around else found


def _pointer(around: tuple[str, ...], part: str | None) -> str:
    steps = (step.replace("~", "~0").replace("/", "~1") for step in (*around, part or "") if step)
    return "/".join(["/package", *steps])
