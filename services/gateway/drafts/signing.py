"""What signer says of a signature that is put into a package, and what the institution's policy makes of it."""

from __future__ import annotations

from typing import Any

from services.gateway.schemas.admin import InstitutionPolicy
from services.gateway.schemas.drafts import SigningStep
from shared.clients.signer import SignerClient
from shared.contracts.base import Contract
from shared.contracts.signatures import Profile, SignatureFormat, VerificationReport, VerificationRequest
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode

_PROFILES = {
    SigningStep.INITIALS: Profile.QUALIFIED_SIGNATURE,
    SigningStep.SIGNATURE: Profile.QUALIFIED_SIGNATURE,
    SigningStep.SEAL: Profile.INSTITUTION_SEAL,
}


class SignatureCheck(Contract):
    """The verdict on one signature file as it is kept; without a report signer was away."""

    report: VerificationReport | None = None
    unavailable: str | None = None


async def check_signature(
    signer: SignerClient, policy: InstitutionPolicy, step: SigningStep, cms: bytes, covered: bytes
) -> dict[str, Any]:
    """Have a signature over ``covered`` judged; the JSON of a ``SignatureCheck``.

    Raises SIGNATURE_INVALID for one whose value does not fit the signed bytes, whatever the policy, and for a failed
    one under ``refuse``; SIGNER_UNAVAILABLE under ``refuse`` when nobody can say.
    """
    request = VerificationRequest(format=SignatureFormat.CADES, profile=_PROFILES[step])
    try:
        report = await signer.verify(request, cms, content=covered)
    except DomainError as error:
        if not error.retryable or policy.signatures == "refuse":
            raise
        return SignatureCheck(unavailable=error.code.value).model_dump(mode="json")
    if not report.signatures or not all(item.integrity for item in report.signatures):
        raise DomainError(ErrorCode.SIGNATURE_INVALID, "a signature's value does not fit the bytes that were signed")
    if report.conclusion is Conclusion.FAILED and policy.signatures == "refuse":
        reason = f" ({report.sub_indication})" if report.sub_indication else ""
        raise DomainError(ErrorCode.SIGNATURE_INVALID, f"the {step} failed verification{reason}")
    return SignatureCheck(report=report).model_dump(mode="json")
