"""Which undecided evidence lacks nothing but revocation data."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.kep_relay.evidence.settle import Verdict
from shared.contracts.signatures import (
    Profile,
    SignatureFormat,
    SignatureReport,
    Text,
    VerificationReport,
    VerificationStep,
)
from shared.domain.verdict import Conclusion, Indication, StepResult, SubIndication

NOW = datetime(2026, 11, 20, tzinfo=UTC)
SENTENCE = Text(tr="x", en="x")


def report(
    sub_indication: SubIndication | None = None, *, open_steps: tuple[str, ...] = (), integrity: bool = True
) -> VerificationReport:
    passed = sub_indication is None
    conclusion = Conclusion.PASSED if passed else Conclusion.INDETERMINATE
    indication = Indication.TOTAL_PASSED if passed else Indication.INDETERMINATE
    steps = [
        VerificationStep(number=number, id=step, result=StepResult.INDETERMINATE, text=SENTENCE)
        for number, step in enumerate(open_steps, 9)
    ]
    signature = SignatureReport(
        conclusion=conclusion, indication=indication, sub_indication=sub_indication, level="S/MIME",
        integrity=integrity, judged_at=NOW, steps=steps,
    )  # fmt: skip
    return VerificationReport(
        conclusion=conclusion, indication=indication, sub_indication=sub_indication, format=SignatureFormat.SMIME,
        profile=Profile.KEPHS_TRANSACTION, policy_version="1", trust_store_sha256="0", signatures=[signature],
        verified_at=NOW,
    )  # fmt: skip


UNSIGNED = report().model_copy(
    update={
        "conclusion": Conclusion.INDETERMINATE,
        "indication": Indication.NO_SIGNATURE_FOUND,
        "signatures": [],
    }
)
LATER = SubIndication.TRY_LATER


@pytest.mark.parametrize(
    ("envelope", "signature", "provisional"),
    [
        (report(), report(), False),
        (UNSIGNED, UNSIGNED, False),
        (report(LATER, open_steps=("revocation",)), report(), True),
        (report(LATER, open_steps=("revocation",)), report(LATER, open_steps=("revocation",)), True),
        (report(LATER, open_steps=("revocation",)), UNSIGNED, True),
        (report(LATER, open_steps=("revocation", "profile-rules.transaction")), report(), False),
        (report(LATER, open_steps=("revocation",), integrity=False), report(), False),
        (report(), report(SubIndication.NO_CERTIFICATE_CHAIN_FOUND, open_steps=("certificate-path",)), False),
        (report(LATER, open_steps=("revocation",)), report(SubIndication.CHAIN_CONSTRAINTS_FAILURE), False),
    ],
)  # fmt: skip
def test_provisional(envelope: VerificationReport, signature: VerificationReport, provisional: bool) -> None:
    assert Verdict(envelope, signature).provisional is provisional
