"""Every rule of every profile accepts and refuses; what it refuses is named by its id."""

from __future__ import annotations

import pytest

from services.signer.policy import PROFILES
from services.signer.rules import Rule
from shared.contracts.signatures import Profile
from shared.domain.verdict import Conclusion, StepResult
from tests.support.pki import Pki
from tests.unit.signer.conftest import Judge
from tests.unit.signer.rule_cases import BREACHES, good, make, needed_crls

ELSEWHERE = {Profile.TIMESTAMP: "test_timestamp_files.py"}
"""Profiles for files of another kind."""
JUDGED = [profile for profile in PROFILES if profile not in ELSEWHERE]
RULES = [
    pytest.param(profile, rule, id=f"{profile}-{rule.id}") for profile in JUDGED for rule in PROFILES[profile].rules
]


def rules_of(report: object, rule_id: str) -> list[StepResult]:
    return [
        step.result
        for signature in report.signatures  # type: ignore[attr-defined]
        for step in signature.steps
        if step.id == f"profile-rules.{rule_id}"
    ]


@pytest.mark.parametrize("profile", JUDGED)
def test_accepted(pki: Pki, judge: Judge, profile: Profile) -> None:
    recipe = good(pki, profile)
    report = judge(make(pki, recipe), profile=profile, crls=needed_crls(pki, recipe))
    assert report.conclusion is Conclusion.PASSED
    for rule in PROFILES[profile].rules:
        assert rules_of(report, rule.id) == [StepResult.PASSED], rule.id


@pytest.mark.parametrize(("profile", "rule"), RULES)
def test_refused(pki: Pki, judge: Judge, profile: Profile, rule: Rule) -> None:
    recipe = BREACHES[rule.id](pki, good(pki, profile))
    report = judge(make(pki, recipe), profile=profile, crls=needed_crls(pki, recipe))
    results = set(rules_of(report, rule.id))
    if rule.sub_indication is None:
        assert results == {StepResult.WARNING}
        assert report.conclusion is Conclusion.PASSED, "what is only advised decides nothing"
        return
    assert results
    assert results <= {StepResult.INDETERMINATE, StepResult.FAILED}
    assert report.conclusion is not Conclusion.PASSED
