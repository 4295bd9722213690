"""The last look at a raised signature, before it leaves."""

from __future__ import annotations

from datetime import datetime

from services.signer.checks.references import Digests
from services.signer.evidence import Evidence
from services.signer.facts import SignatureFacts
from services.signer.findings import CheckFailed
from services.signer.formats.levels import level_that_holds
from services.signer.pipeline import judge
from services.signer.texts import say, say_because
from shared.contracts.signatures import (
    Maturity,
    Profile,
    SignatureFormat,
    SignatureLevel,
    Text,
    TimestampType,
    VerificationReport,
    VerificationRequest,
)
from shared.domain.verdict import Conclusion, StepResult, SubIndication

LEVEL_NAMES = {
    SignatureLevel.B: ("CAdES-B", "CAdES-EPES"),
    SignatureLevel.T: ("CAdES-T",),
    SignatureLevel.XL: ("CAdES-XL",),
    SignatureLevel.A: ("CAdES-A",),
}
_ORDER = list(SignatureLevel)
_ALONE = frozenset({SignatureLevel.XL, SignatureLevel.A})


def check_raised(
    before: SignatureFacts,
    after: SignatureFacts,
    to: SignatureLevel,
    profile: Profile,
    evidence: Evidence,
    now: datetime,
) -> None:
    """Raise ``CheckFailed`` unless nothing that was signed has changed, the level holds, and the file passes.

    From X-L on it must pass by what it carries and the anchors alone, its signature time-stamps too: today's
    lists would let it pass without them.

    Args:
        before: of the file as it came.
        after: of the file as it would leave.
        to: the level every signature must have, or a higher one.
        profile: whose rules count.
        evidence: what is at hand; from X-L on only its anchors are used.
        now: as of when (aware).
    """
    values = [signer.signature_value for signer in before.signers]
    same = values == [signer.signature_value for signer in after.signers]
    if not same or before.content_sha256 != after.content_sha256:
        raise CheckFailed(SubIndication.SIG_CRYPTO_FAILURE, say("raised.changed"))
    wanted = {name for level in _ORDER[_ORDER.index(to) :] for name in LEVEL_NAMES[level]}
    digests = Digests()
    for signer in after.signers:
        if not signer.integrity or level_that_holds(signer, after.embedded, digests) not in wanted:
            raise CheckFailed(SubIndication.SIG_CONSTRAINTS_FAILURE, say("raised.level"))
    alone = Evidence(evidence.trust) if to in _ALONE else evidence
    report = judge(after, VerificationRequest(format=SignatureFormat.CADES, profile=profile), alone, now).report
    if report.conclusion is not Conclusion.PASSED:
        sub_indication = report.sub_indication or SubIndication.SIG_CONSTRAINTS_FAILURE
        raise CheckFailed(sub_indication, say_because("raised.refused", _why(report)))
    stamps = (stamp for item in report.signatures for stamp in item.timestamps)
    unproven = (item for item in stamps if item.type is TimestampType.SIGNATURE and item.reason is not None)
    if to in _ALONE and (stamp := next(unproven, None)) is not None and stamp.reason is not None:
        raise CheckFailed(SubIndication.SIG_CONSTRAINTS_FAILURE, say_because("raised.refused", stamp.reason))
    if to in _ALONE and any(item.maturity is Maturity.PRELIMINARY for item in report.signatures):
        raise CheckFailed(SubIndication.TRY_LATER, say("raised.early"))


def _why(report: VerificationReport) -> Text:
    """The step that decided."""
    decisive = (StepResult.FAILED, StepResult.INDETERMINATE)
    steps = (step for item in report.signatures for step in item.steps if step.result in decisive)
    found = next(steps, None)
    return say("raised.no-signature") if found is None else found.text
