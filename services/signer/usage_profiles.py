"""The national usage profiles P1 to P4 as data (BTK, Elektronik İmza Kullanım Profilleri Rehberi 1.0; signatures.md 6.3).

The guide is of 2012; what has changed since becomes another row with another version of the policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from services.signer.formats import cms
from services.signer.rules import Rule, Subject, Test
from shared.contracts.signatures import SignatureFormat, Text, TimestampType
from shared.domain.verdict import SubIndication

GRACE_PERIOD = timedelta(hours=24)
"""Kesinleşme süresi: after it a revocation of the time before is on the list."""

POLICY_DIGEST = bytes.fromhex("ff39bd29463383f69b2052ac47439e06ce7c3b8646e888b6e5ae3e46ba08117a")
"""SHA-256 of the guide, which signatures of P2, P3 and P4 carry; its address is never fetched."""

_LATEST_STAMP = timedelta(hours=2)
_CLOCK_TOLERANCE = timedelta(minutes=5)
_STAMPED = frozenset({"T", "C", "X", "XL", "A"})
_LONG = frozenset({"XL", "A"})
_VALIDATION_DATA = frozenset(
    {cms.CERTIFICATE_REFERENCES, cms.REVOCATION_REFERENCES, cms.CERTIFICATE_VALUES, cms.REVOCATION_VALUES}
)


@dataclass(frozen=True)
class UsageProfile:
    """One column of the guide's table."""

    name: str
    policy_oid: str | None
    """What signature-policy-identifier must say; None: it should be absent."""
    levels: frozenset[str] | None
    """Of which one must hold, of CAdES as of XAdES; None: any."""
    validation_data: bool
    """Whether references and values must be inside; else they should not."""
    revocation: str | None
    """What must speak for the signer: ``CRL`` or ``OCSP``; None: either."""
    grace_period: timedelta | None


P1 = UsageProfile("P1", None, None, False, None, None)
P2 = UsageProfile("P2", "2.16.792.1.61.0.1.5070.3.1.1", _STAMPED, False, "CRL", GRACE_PERIOD)
P3 = UsageProfile("P3", "2.16.792.1.61.0.1.5070.3.2.1", _LONG, True, "CRL", GRACE_PERIOD)
P4 = UsageProfile("P4", "2.16.792.1.61.0.1.5070.3.3.1", _LONG, True, "OCSP", None)


def rules_of(profile: UsageProfile) -> tuple[Rule, ...]:
    """The rules a column stands for, in the order of reports."""
    rules = [
        _rule("signing-time", "İmza zamanı özelliği bulunmalı", "The signing-time attribute must be present", _timed),
        _rule(
            "signing-certificate-v2",
            "İmzacı sertifikası SHA-1 ile belirtilmemeli (signing-certificate-v2)",
            "The signer's certificate must not be named by SHA-1 (signing-certificate-v2)",
            _named_without_sha1,
        ),
    ]
    if profile.policy_oid is None:
        rules.append(
            _rule(
                "signature-policy",
                "P1 imzasında imza ilkesi bulunmaz",
                "A signature of P1 names no signature policy",
                lambda subject: subject.signer.policy is None,
                advised=True,
            )
        )
    else:
        rules += _stamped_rules(profile, profile.policy_oid)
    return tuple(rules)


def _stamped_rules(profile: UsageProfile, policy_oid: str) -> list[Rule]:
    """P2, P3 and P4."""
    levels, source = profile.levels or frozenset(), profile.revocation
    rules = [
        _rule(
            "signature-policy",
            f"İmza ilkesi {profile.name} olmalı ({policy_oid}, rehberin SHA-256 özetiyle)",
            f"The signature policy must be {profile.name} ({policy_oid}, with the guide's SHA-256)",
            _follows(policy_oid),
        ),
        _rule(
            "signature-time-stamp",
            "Geçerli bir imza zaman damgası bulunmalı",
            "There must be a signature time-stamp that holds",
            lambda subject: bool(subject.time.stamped),
            sub_indication=SubIndication.NO_POE,
        ),
        _rule(
            "time-stamp-delay",
            "Zaman damgası imza zamanından en çok 2 saat sonra (en çok 5 dakika önce) olmalı",
            "The time-stamp must follow signing-time by at most 2 hours (and precede it by at most 5 minutes)",
            _stamped_in_time,
        ),
        _rule(
            "level",
            f"Geçerli seviye şunlardan biri olmalı: {', '.join(sorted(levels))}",
            f"The level that holds must be one of: {', '.join(sorted(levels))}",
            lambda subject: (subject.level_intact or "").partition("-")[2] in levels,
        ),
        _rule(
            "revocation-source",
            f"İmzacının iptal bilgisi {source} olmalı",
            f"The signer's revocation data must be {source}",
            lambda subject: any(item.kind == source for item in subject.of_signer),
            sub_indication=SubIndication.TRY_LATER,
        ),
    ]
    if profile.validation_data:
        rules.append(
            _rule(
                "validation-data",
                "Sertifika ve iptal bilgisi başvuruları ile değerleri bulunmalı",
                "References to and values of certificates and revocation data must be present",
                lambda subject: subject.signer.unsigned.present >= _VALIDATION_DATA,
            )
        )
        rules.append(
            _rule(
                "no-extended-time-stamp",
                "X türü zaman damgası CAdES imzasında bulunmaz, XAdES imzasında birinci türden olur",
                "CAdES: there should be no time-stamp over references (type X); XAdES: there should be one of type 1",
                _extended_as_told,
                advised=True,
            )
        )
    return rules


def _rule(
    rule_id: str,
    tr: str,
    en: str,
    holds: Test,
    *,
    advised: bool = False,
    sub_indication: SubIndication = SubIndication.SIG_CONSTRAINTS_FAILURE,
) -> Rule:
    return Rule(rule_id, Text(tr=tr, en=en), holds, None if advised else sub_indication)


def _extended_as_told(subject: Subject) -> bool:
    kinds = {stamp.type for stamp in subject.signer.timestamps}
    kinds &= {TimestampType.VALIDATION_DATA, TimestampType.REFERENCES}
    return kinds == ({TimestampType.VALIDATION_DATA} if subject.facts.format is SignatureFormat.XADES else set())


def _timed(subject: Subject) -> bool:
    return subject.signer.claimed_signing_time is not None


def _named_without_sha1(subject: Subject) -> bool:
    use = subject.signer.algorithms
    return use is not None and bool(use.other_digests) and "sha1" not in use.other_digests


def _follows(oid: str) -> Test:
    def holds(subject: Subject) -> bool:
        policy = subject.signer.policy
        return policy is not None and (policy.oid, policy.digest, policy.value) == (oid, "sha256", POLICY_DIGEST)

    return holds


def _stamped_in_time(subject: Subject) -> bool:
    claimed, stamped = subject.signer.claimed_signing_time, subject.time.stamped
    if claimed is None or not stamped:
        return False
    # A claimed time near the ends of the calendar leaves no room to add to it.
    return -_CLOCK_TOLERANCE <= subject.time.at - claimed <= _LATEST_STAMP
