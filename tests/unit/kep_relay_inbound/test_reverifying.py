"""When a verdict is asked for again: while it is open, and when a grace period is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.kep_relay.reverifying import MOST_VERIFICATIONS, maturity_of, says_the_same, verify_again_at
from shared.contracts.signatures import (
    Maturity,
    Profile,
    SignatureFormat,
    SignatureReport,
    Text,
    VerificationReport,
    VerificationStep,
)
from shared.domain.verdict import Conclusion, Indication, StepResult, SubIndication, worst

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=24)
INDICATIONS = {
    Conclusion.PASSED: Indication.TOTAL_PASSED,
    Conclusion.FAILED: Indication.TOTAL_FAILED,
    Conclusion.INDETERMINATE: Indication.INDETERMINATE,
}


def signature(
    conclusion: Conclusion = Conclusion.PASSED,
    *,
    final_after: datetime | None = None,
    counter: SignatureReport | None = None,
    open_step: str = "revocation",
) -> SignatureReport:
    result = {Conclusion.PASSED: StepResult.PASSED, Conclusion.INDETERMINATE: StepResult.INDETERMINATE}
    return SignatureReport(
        conclusion=conclusion, indication=INDICATIONS[conclusion], level="CAdES-T", integrity=True, judged_at=NOW,
        steps=[
            VerificationStep(
                number=10, id=open_step, result=result.get(conclusion, StepResult.FAILED), text=Text(tr="x", en="x")
            )
        ],
        maturity=Maturity.FINAL if final_after is None else Maturity.PRELIMINARY, final_after=final_after,
        counter_signatures=[] if counter is None else [counter],
    )  # fmt: skip


def report(*signatures: SignatureReport, retry_after: int | None = None, at: datetime = NOW) -> VerificationReport:
    conclusion = worst([item.conclusion for item in signatures])
    return VerificationReport(
        conclusion=conclusion, indication=INDICATIONS[conclusion], format=SignatureFormat.CADES, profile=Profile.P3,
        sub_indication=SubIndication.TRY_LATER if conclusion is Conclusion.INDETERMINATE else None,
        policy_version="1", trust_store_sha256="0", signatures=list(signatures), verified_at=at,
        retry_after_seconds=retry_after,
    )  # fmt: skip


PRELIMINARY = report(signature(final_after=LATER))
OPEN = report(signature(Conclusion.INDETERMINATE), retry_after=300)


@pytest.mark.parametrize(
    ("conclusion", "reports", "verifications", "after"),
    [
        (Conclusion.PASSED, [report(signature())], 1, None),
        (Conclusion.FAILED, [report(signature(Conclusion.FAILED))], 1, None),
        # One part failed for good: that another passed for now changes nothing any more.
        (Conclusion.FAILED, [report(signature(Conclusion.FAILED)), PRELIMINARY], 1, None),
        (Conclusion.PASSED, [report(signature()), PRELIMINARY], 1, timedelta(hours=24)),
        (Conclusion.PASSED, [report(signature(counter=signature(final_after=LATER)))], 1, timedelta(hours=24)),
        (Conclusion.INDETERMINATE, [OPEN], 1, timedelta(minutes=5)),
        (Conclusion.INDETERMINATE, [OPEN], 20, timedelta(hours=1)),
        (Conclusion.INDETERMINATE, [OPEN], 60, timedelta(days=1)),
        (Conclusion.INDETERMINATE, [report(signature(Conclusion.INDETERMINATE))], 1, timedelta(hours=1)),
        (Conclusion.INDETERMINATE, [OPEN], MOST_VERIFICATIONS, None),
        (Conclusion.PASSED, [PRELIMINARY], MOST_VERIFICATIONS, None),
    ],
)
def test_when(
    conclusion: Conclusion, reports: list[VerificationReport], verifications: int, after: timedelta | None
) -> None:
    assert verify_again_at(conclusion, reports, verifications, NOW) == (None if after is None else NOW + after)


@pytest.mark.parametrize(
    ("late", "pause"),
    [
        (timedelta(0), timedelta(minutes=30)),
        (timedelta(hours=23), timedelta(minutes=30)),
        (timedelta(days=2), timedelta(hours=6)),
        (timedelta(days=8), timedelta(days=1)),
    ],
)
def test_the_list_that_ends_a_grace_period_may_be_late(late: timedelta, pause: timedelta) -> None:
    now = LATER + late
    assert verify_again_at(Conclusion.PASSED, [PRELIMINARY], 2, now) == now + pause


def test_only_what_passed_is_preliminary() -> None:
    assert maturity_of(Conclusion.PASSED, [report(signature()), PRELIMINARY]) is Maturity.PRELIMINARY
    assert maturity_of(Conclusion.PASSED, [report(signature())]) is Maturity.FINAL
    assert maturity_of(Conclusion.INDETERMINATE, [OPEN, PRELIMINARY]) is Maturity.FINAL


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (report(signature(Conclusion.INDETERMINATE), retry_after=600, at=LATER), True),
        (report(signature(Conclusion.INDETERMINATE, open_step="path"), retry_after=300), False),
        (report(signature(Conclusion.INDETERMINATE), signature()), False),
        (report(signature()), False),
        (OPEN.model_copy(update={"signed_content_sha256": "1" * 64}), False),
    ],
)
def test_what_says_the_same(other: VerificationReport, same: bool) -> None:
    assert says_the_same(OPEN, other) is same
