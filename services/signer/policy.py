"""Verification profiles as data: whose anchors count, and which rules the signature must satisfy.

Every rule has an id that appears in reports (step 11, ``profile-rules.<id>``) and never changes
its meaning; ``POLICY_VERSION`` changes whenever a verdict could.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.signer import rules, usage_profiles
from services.signer.checks.algorithms import TABLE_VERSION
from services.signer.checks.good_standing import LISTS_FIRST, OCSP_FIRST, SourceOrder
from services.signer.findings import CheckFailed, Finding, Step, failed, passed, warned
from services.signer.rules import Rule, Subject, is_qualified
from services.signer.usage_profiles import UsageProfile, rules_of
from shared.contracts.signatures import Maturity, Profile

POLICY_VERSION = f"kepgw-2026.3+{TABLE_VERSION}"


@dataclass(frozen=True)
class ProfileRules:
    """One profile. Every signature in the file must pass: an added one cannot hide another."""

    profile: Profile
    anchors: tuple[str, ...]
    """Sub-directories of the trust directory; empty: the certificate is not judged at all."""
    rules: tuple[Rule, ...]
    strict_references: bool = True
    """Whether references that do not fit the values keep a signature from passing, or only warn (signatures.md 6.4)."""
    grace_period: timedelta | None = None
    """How long after the time-stamp a revocation may still turn up; None: a verdict is final at once."""
    order: SourceOrder = OCSP_FIRST
    """What is asked for first about signers and time-stamp authorities when nothing at hand speaks for them."""
    required_source: str | None = None
    """What must speak for the signer: ``CRL`` or ``OCSP``; None: either."""


def _usage_profile(profile: Profile, usage: UsageProfile) -> ProfileRules:
    required = (*rules.QUALIFIED_SIGNER, *rules_of(usage))
    order = LISTS_FIRST if usage.revocation == "CRL" else OCSP_FIRST
    return ProfileRules(
        profile,
        ("qualified",),
        required,
        grace_period=usage.grace_period,
        order=order,
        required_source=usage.revocation,
    )


PROFILES: dict[Profile, ProfileRules] = {
    item.profile: item
    for item in (
        ProfileRules(Profile.QUALIFIED_SIGNATURE, ("qualified",), (*rules.QUALIFIED_SIGNER, rules.SIGNING_TIME)),
        ProfileRules(
            Profile.INSTITUTION_SEAL,
            ("seal",),
            (
                *(rules.BOUND, rules.END_ENTITY, rules.SIGNING_USAGE),
                *(rules.NOT_TAX_SEAL, rules.SINGLE_SEAL, rules.SIGNING_TIME),
            ),
        ),
        ProfileRules(
            Profile.KEPHS_TRANSACTION,
            ("kephs",),
            (rules.BOUND, rules.END_ENTITY, rules.SIGNING_USAGE),
            strict_references=False,
        ),
        ProfileRules(
            Profile.TIMESTAMP,
            ("timestamp",),
            (rules.BOUND, rules.END_ENTITY, rules.TIME_STAMPING, rules.TIMESTAMP_FILE),
            strict_references=False,
        ),
        ProfileRules(Profile.INTEGRITY_ONLY, (), (rules.BOUND_ADVISED,), strict_references=False),
        _usage_profile(Profile.P1, usage_profiles.P1),
        _usage_profile(Profile.P2, usage_profiles.P2),
        _usage_profile(Profile.P3, usage_profiles.P3),
        _usage_profile(Profile.P4, usage_profiles.P4),
    )
}


def apply_rules(profile: ProfileRules, subject: Subject) -> list[Finding]:
    """Step 11: one finding per rule, in the profile's order."""
    findings = []
    for rule in profile.rules:
        if rule.holds(subject):
            findings.append(passed(Step.RULES, rule.text, rule=rule.id))
        elif rule.sub_indication is None:
            findings.append(warned(Step.RULES, rule.text, rule=rule.id))
        else:
            findings.append(failed(Step.RULES, CheckFailed(rule.sub_indication, rule.text), rule=rule.id))
    return findings


def maturity(profile: ProfileRules, subject: Subject) -> tuple[Maturity, datetime | None]:
    """Whether the verdict is final, and from when on it can be.

    It is once what speaks for the signer was issued after the grace period: a revocation of the time
    before would be on it.
    """
    if profile.grace_period is None or not subject.time.stamped:
        return Maturity.FINAL, None
    final_after = subject.time.at + profile.grace_period
    done = any(item.issued_at >= final_after for item in subject.of_signer)
    return (Maturity.FINAL if done else Maturity.PRELIMINARY), final_after


__all__ = ["POLICY_VERSION", "PROFILES", "ProfileRules", "apply_rules", "is_qualified", "maturity"]
