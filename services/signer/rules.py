"""What a rule of a profile is, and the rules about the signer's certificate that profiles share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.signer.certificates import QC_COMPLIANCE
from services.signer.checks.good_standing import StandingSource
from services.signer.facts import SignatureFacts, SignerFacts
from services.signer.timing import ProvenTime
from shared.contracts.signatures import SignatureFormat, Text
from shared.domain.verdict import SubIndication

_BTK_STATEMENTS = frozenset({"2.16.792.1.61.0.1.5070.1.1", "2.16.792.1.61.0.1.5070.2.1"})
_TAX_SEAL_POLICY = "2.16.792.1.2.1.1.5.7.4.1"
_STAMPING = frozenset({"1.3.6.1.5.5.7.3.8"})
_TAX_SEAL_USAGE = "2.16.792.1.2.1.1.5.7.50.1"


@dataclass(frozen=True)
class Subject:
    """One signature as far as steps 1 to 10 have judged it."""

    signer: SignerFacts
    facts: SignatureFacts
    level_intact: str | None
    time: ProvenTime
    sources: tuple[StandingSource, ...] = ()
    """What says that the certificates of the path were not revoked; empty when that is open."""

    @property
    def of_signer(self) -> tuple[StandingSource, ...]:
        """What says so of the signer's."""
        return self.sources[0].every if self.sources else ()


Test = Callable[[Subject], bool]


@dataclass(frozen=True)
class Rule:
    """One requirement, in both languages, and what it means when it does not hold."""

    id: str
    text: Text
    holds: Test
    sub_indication: SubIndication | None
    """None: a breach is a warning."""


def _usage(*names: str) -> Test:
    def holds(subject: Subject) -> bool:
        usage = subject.signer.certificate.key_usage if subject.signer.certificate else None
        return usage is not None and not usage.isdisjoint(names)

    return holds


def is_qualified(signer: SignerFacts) -> bool:
    """Whether the certificate states that it is a qualified one under law 5070 (signatures.md 6.2)."""
    statements = signer.certificate.qc_statements if signer.certificate else frozenset()
    return QC_COMPLIANCE in statements and not statements.isdisjoint(_BTK_STATEMENTS)


def _has_policy(subject: Subject) -> bool:
    return bool(subject.signer.certificate and subject.signer.certificate.policies)


def _is_end_entity(subject: Subject) -> bool:
    return subject.signer.certificate is not None and not subject.signer.certificate.is_ca


def _not_tax_seal(subject: Subject) -> bool:
    certificate = subject.signer.certificate
    return certificate is not None and not (
        _TAX_SEAL_POLICY in certificate.policies or _TAX_SEAL_USAGE in certificate.extended_key_usage
    )


BOUND = Rule(
    "signing-certificate-attribute",
    Text(
        tr="İmzacı sertifikası imzalı özelliklerde belirtilmiş olmalı",
        en="A signed attribute must name the signer's certificate",
    ),
    lambda subject: subject.signer.bound,
    SubIndication.NO_SIGNING_CERTIFICATE_FOUND,
)
BOUND_ADVISED = Rule("signing-certificate-attribute", BOUND.text, BOUND.holds, None)
END_ENTITY = Rule(
    "end-entity",
    Text(tr="İmzacı sertifikası bir kök veya alt kök olmamalı", en="The signer's certificate must not be a CA's"),
    _is_end_entity,
    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
)
SIGNING_TIME = Rule(
    "signing-time",
    Text(tr="İmza zamanı özelliği bulunmalı", en="The signing-time attribute should be present"),
    lambda subject: subject.signer.claimed_signing_time is not None,
    None,
)
NON_REPUDIATION = Rule(
    "non-repudiation",
    Text(tr="Anahtar kullanımı inkâr edilemezlik içermeli", en="Key usage must include non-repudiation"),
    _usage("non_repudiation"),
    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
)
SIGNING_USAGE = Rule(
    "signing-usage",
    Text(
        tr="Anahtar kullanımı elektronik imza veya inkâr edilemezlik içermeli",
        en="Key usage must include digital signature or non-repudiation",
    ),
    _usage("digital_signature", "non_repudiation"),
    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
)
QUALIFIED = Rule(
    "qualified-statement",
    Text(
        tr="Sertifika 5070 sayılı Kanuna göre nitelikli olduğunu belirtmeli",
        en="The certificate must state that it is qualified under law 5070",
    ),
    lambda subject: is_qualified(subject.signer),
    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
)
CERTIFICATE_POLICY = Rule(
    "certificate-policy",
    Text(tr="Sertifika ilkeleri bulunmalı", en="Certificate policies must be present"),
    _has_policy,
    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
)
NOT_TAX_SEAL = Rule(
    "not-tax-seal",
    Text(
        tr="Mali mühür sertifikası e-Yazışma paketinde kullanılamaz",
        en="A tax (mali mühür) certificate may not seal correspondence",
    ),
    _not_tax_seal,
    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
)
SINGLE_SEAL = Rule(
    "single-seal",
    Text(
        tr="Mühürde tek imzacı olmalı, seri imza bulunmamalı",
        en="A seal must have exactly one signer and no counter-signature",
    ),
    lambda subject: len(subject.facts.signers) == 1 and not subject.signer.counter_signatures,
    SubIndication.SIG_CONSTRAINTS_FAILURE,
)
TIME_STAMPING = Rule(
    "time-stamping-usage",
    Text(
        tr="Sertifika yalnız zaman damgası için olmalı ve bunu kritik olarak belirtmeli",
        en="The certificate must be for time-stamping alone, and say so critically (RFC 3161, 2.3)",
    ),
    lambda subject: (
        subject.signer.certificate is not None
        and subject.signer.certificate.extended_key_usage == _STAMPING
        and subject.signer.certificate.extended_key_usage_critical
    ),
    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
)
TIMESTAMP_FILE = Rule(
    "time-stamp-file",
    Text(tr="Dosya bir zaman damgası olmalı", en="The file must be a time-stamp"),
    lambda subject: subject.facts.format is SignatureFormat.TIMESTAMP,
    SubIndication.SIG_CONSTRAINTS_FAILURE,
)
QUALIFIED_SIGNER = (BOUND, END_ENTITY, NON_REPUDIATION, QUALIFIED, CERTIFICATE_POLICY)
"""What is asked of a person's certificate, in the order of reports."""
