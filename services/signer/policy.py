"""Verification profiles as data: whose anchors count, and which rules the signer must satisfy.

Every rule has an id that appears in reports (step 11, ``profile-rules.<id>``) and never changes
its meaning; ``POLICY_VERSION`` changes whenever a verdict could.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.signer.certificates import QC_COMPLIANCE
from services.signer.checks.algorithms import TABLE_VERSION
from services.signer.facts import SignatureFacts, SignerFacts
from services.signer.findings import CheckFailed, Finding, Step, failed, passed, warned
from shared.contracts.signatures import Profile, Text
from shared.domain.verdict import SubIndication

POLICY_VERSION = f"kepgw-2026.1+{TABLE_VERSION}"

_BTK_STATEMENTS = frozenset({"2.16.792.1.61.0.1.5070.1.1", "2.16.792.1.61.0.1.5070.2.1"})
_TAX_SEAL_POLICY = "2.16.792.1.2.1.1.5.7.4.1"
_TAX_SEAL_USAGE = "2.16.792.1.2.1.1.5.7.50.1"

Test = Callable[[SignerFacts, SignatureFacts], bool]


@dataclass(frozen=True)
class Rule:
    """One requirement, in both languages, and what it means when it does not hold."""

    id: str
    text: Text
    holds: Test
    sub_indication: SubIndication | None
    """None: a breach is a warning."""


@dataclass(frozen=True)
class ProfileRules:
    """One profile. Every signature in the file must pass: an added one cannot hide another."""

    profile: Profile
    anchors: tuple[str, ...]
    """Sub-directories of the trust directory; empty: the certificate is not judged at all."""
    rules: tuple[Rule, ...]
    strict_references: bool = True
    """Whether references that do not fit the values keep a signature from passing, or only warn (signatures.md 6.4)."""


def _usage(*names: str) -> Test:
    def holds(signer: SignerFacts, _facts: SignatureFacts) -> bool:
        usage = signer.certificate.key_usage if signer.certificate else None
        return usage is not None and not usage.isdisjoint(names)

    return holds


def is_qualified(signer: SignerFacts, _facts: SignatureFacts | None = None) -> bool:
    """Whether the certificate states that it is a qualified one under law 5070 (signatures.md 6.2)."""
    statements = signer.certificate.qc_statements if signer.certificate else frozenset()
    return QC_COMPLIANCE in statements and not statements.isdisjoint(_BTK_STATEMENTS)


def _has_policy(signer: SignerFacts, _facts: SignatureFacts) -> bool:
    return bool(signer.certificate and signer.certificate.policies)


def _is_end_entity(signer: SignerFacts, _facts: SignatureFacts) -> bool:
    return signer.certificate is not None and not signer.certificate.is_ca


def _not_tax_seal(signer: SignerFacts, _facts: SignatureFacts) -> bool:
    certificate = signer.certificate
    return certificate is not None and not (
        _TAX_SEAL_POLICY in certificate.policies or _TAX_SEAL_USAGE in certificate.extended_key_usage
    )


_BOUND = Rule(
    "signing-certificate-attribute",
    Text(
        tr="İmzacı sertifikası imzalı özelliklerde belirtilmiş olmalı",
        en="A signed attribute must name the signer's certificate",
    ),
    lambda signer, _facts: signer.bound,
    SubIndication.NO_SIGNING_CERTIFICATE_FOUND,
)
_BOUND_ADVISED = Rule("signing-certificate-attribute", _BOUND.text, _BOUND.holds, None)
_END_ENTITY = Rule(
    "end-entity",
    Text(tr="İmzacı sertifikası bir kök veya alt kök olmamalı", en="The signer's certificate must not be a CA's"),
    _is_end_entity,
    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
)
_SIGNING_TIME = Rule(
    "signing-time",
    Text(tr="İmza zamanı özelliği bulunmalı", en="The signing-time attribute should be present"),
    lambda signer, _facts: signer.claimed_signing_time is not None,
    None,
)
_NON_REPUDIATION = Rule(
    "non-repudiation",
    Text(tr="Anahtar kullanımı inkâr edilemezlik içermeli", en="Key usage must include non-repudiation"),
    _usage("non_repudiation"),
    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
)
_SIGNING_USAGE = Rule(
    "signing-usage",
    Text(
        tr="Anahtar kullanımı elektronik imza veya inkâr edilemezlik içermeli",
        en="Key usage must include digital signature or non-repudiation",
    ),
    _usage("digital_signature", "non_repudiation"),
    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
)

PROFILES: dict[Profile, ProfileRules] = {
    rules.profile: rules
    for rules in (
        ProfileRules(
            Profile.QUALIFIED_SIGNATURE,
            ("qualified",),
            (
                _BOUND,
                _END_ENTITY,
                _NON_REPUDIATION,
                Rule(
                    "qualified-statement",
                    Text(
                        tr="Sertifika 5070 sayılı Kanuna göre nitelikli olduğunu belirtmeli",
                        en="The certificate must state that it is qualified under law 5070",
                    ),
                    is_qualified,
                    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
                ),
                Rule(
                    "certificate-policy",
                    Text(tr="Sertifika ilkeleri bulunmalı", en="Certificate policies must be present"),
                    _has_policy,
                    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
                ),
                _SIGNING_TIME,
            ),
        ),
        ProfileRules(
            Profile.INSTITUTION_SEAL,
            ("seal",),
            (
                _BOUND,
                _END_ENTITY,
                _SIGNING_USAGE,
                Rule(
                    "not-tax-seal",
                    Text(
                        tr="Mali mühür sertifikası e-Yazışma paketinde kullanılamaz",
                        en="A tax (mali mühür) certificate may not seal correspondence",
                    ),
                    _not_tax_seal,
                    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
                ),
                Rule(
                    "single-seal",
                    Text(
                        tr="Mühürde tek imzacı olmalı, seri imza bulunmamalı",
                        en="A seal must have exactly one signer and no counter-signature",
                    ),
                    lambda signer, facts: len(facts.signers) == 1 and not signer.counter_signatures,
                    SubIndication.SIG_CONSTRAINTS_FAILURE,
                ),
                _SIGNING_TIME,
            ),
        ),
        ProfileRules(
            Profile.KEPHS_TRANSACTION, ("kephs",), (_BOUND, _END_ENTITY, _SIGNING_USAGE), strict_references=False
        ),
        ProfileRules(Profile.INTEGRITY_ONLY, (), (_BOUND_ADVISED,), strict_references=False),
    )
}


def apply_rules(rules: ProfileRules, signer: SignerFacts, facts: SignatureFacts) -> list[Finding]:
    """Step 11: one finding per rule, in the profile's order."""
    findings = []
    for rule in rules.rules:
        if rule.holds(signer, facts):
            findings.append(passed(Step.RULES, rule.text, rule=rule.id))
        elif rule.sub_indication is None:
            findings.append(warned(Step.RULES, rule.text, rule=rule.id))
        else:
            findings.append(failed(Step.RULES, CheckFailed(rule.sub_indication, rule.text), rule=rule.id))
    return findings
