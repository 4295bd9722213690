"""An update that takes a degree down counts only when it is proven: doubt never lowers a degree (record 0018)."""

from __future__ import annotations

from pathlib import Path

from services.gateway.packages import CheckedComponent, verify_components
from services.gateway.policy.confidentiality import Standing
from services.gateway.uploads import UploadedFile
from shared.clients.signer import SignerClient
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp import Inspection, PackageKind, SignatureKind, degrees_inside


async def refuse_unproven_lowering(
    package: UploadedFile, inspection: Inspection, standing: Standing, signer: SignerClient, spool: Path
) -> None:
    """Raise CONFIDENTIALITY_FORBIDDEN unless the update's seal is good and covers what it is about.

    Whatever the policy on findings and signatures; nothing is asked when the update lowers nothing. Raises
    SIGNER_UNAVAILABLE while the seal cannot be checked.
    """
    if inspection.kind is not PackageKind.UPDATE or not _lowers(inspection, standing):
        return
    if not inspection.acceptable:
        raise _unproven(standing, "it breaks rules of e-Yazışma")
    checked = await verify_components(package, inspection, signer, spool)
    seals = [item for item in checked if item.depth == 0 and item.component.kind is SignatureKind.SEAL]
    for item in seals:
        if item.unavailable is not None:
            raise item.unavailable
    if not seals or not all(map(_passed, seals)):
        raise _unproven(standing, "its seal is not proven")


def _lowers(inspection: Inspection, standing: Standing) -> bool:
    return any(standing.rules.exceeds(degree, standing.degree) for degree in degrees_inside(inspection))


def _passed(item: CheckedComponent) -> bool:
    return item.verification is not None and item.verification.report.conclusion is Conclusion.PASSED


def _unproven(standing: Standing, why: str) -> DomainError:
    return DomainError(
        ErrorCode.CONFIDENTIALITY_FORBIDDEN,
        f"the update lowers the letter's degree to {standing.degree} and does not count: {why}",
        faults=[Fault("/package", f"{standing.rules.rule}: {why}")],
    )
