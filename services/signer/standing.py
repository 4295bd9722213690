"""Whether a certificate may be used now for its purpose, with no signature to judge.

The steps are those of a signature's verification that concern the certificate alone: 1, 7 to 11. The
moment of use is now and known, so a certificate that ran out or was revoked has failed for good. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from services.signer.anchoring import anchored_path
from services.signer.certificates import ASN1_FAULTS, Certificate, PublicKey, load_certificate
from services.signer.checks.algorithms import end_of_life
from services.signer.checks.good_standing import OCSP_FIRST, judge_path
from services.signer.checks.revocation import RevocationCheck, RevocationMissing
from services.signer.checks.wanted import Wanted, missing_issuer
from services.signer.findings import CheckFailed, Finding, Step, failed, passed, skipped
from services.signer.limits import DEFAULT_LIMITS, Limits, malformed
from services.signer.pipeline import Evidence
from services.signer.report import conclude
from services.signer.texts import say
from shared.contracts.signatures import CertificatePurpose, CertificateVerdict, Text
from shared.domain.verdict import SubIndication

_LATER_STEPS = (Step.TIME, Step.ALGORITHMS, Step.PATH, Step.REVOCATION, Step.RULES)


@dataclass(frozen=True)
class Requirement:
    """One rule for the certificates of a purpose; its id appears in reports (``profile-rules.<id>``)."""

    id: str
    text: Text
    holds: Callable[[Certificate, bool], bool]
    """Given the certificate and whether its key is one of an elliptic curve."""


def _encrypts(certificate: Certificate, elliptic: bool) -> bool:
    allowed = {"key_agreement"} if elliptic else {"key_encipherment", "data_encipherment"}
    return certificate.key_usage is not None and not certificate.key_usage.isdisjoint(allowed)


@dataclass(frozen=True)
class PurposeRules:
    """Whose anchors count for a purpose, and what its certificates must satisfy."""

    anchors: tuple[str, ...]
    requirements: tuple[Requirement, ...]


PURPOSES: dict[CertificatePurpose, PurposeRules] = {
    CertificatePurpose.ENCRYPTION: PurposeRules(
        ("encryption",),
        (
            Requirement(
                "end-entity",
                Text(tr="Sertifika bir kök veya alt kök olmamalı", en="The certificate must not be a CA's"),
                lambda certificate, _elliptic: not certificate.is_ca,
            ),
            Requirement(
                "encryption-usage",
                Text(
                    tr="Anahtar kullanımı şifrelemeye izin vermeli",
                    en="Key usage must allow encryption (RSA: key or data encipherment; elliptic curves: key agreement)",
                ),
                _encrypts,
            ),
        ),
    )
}


@dataclass(frozen=True)
class CertificateJudgement:
    """A verdict, and what would have helped."""

    verdict: CertificateVerdict
    wanted: tuple[Wanted, ...] = ()


def judge_certificate(
    encoded: bytes,
    purpose: CertificatePurpose,
    evidence: Evidence,
    now: datetime,
    *,
    limits: Limits = DEFAULT_LIMITS,
    retry_after_seconds: int = 300,
) -> CertificateJudgement:
    """The verdict on one DER certificate; never raises on hostile bytes, whatever they are."""
    digest = hashlib.sha256(encoded).hexdigest()
    try:
        certificate = load_certificate(encoded, limits)
    except CheckFailed as failure:
        return CertificateJudgement(_verdict(digest, [failed(Step.FORMAT, failure), *_not_examined(_LATER_STEPS)], now))
    name = certificate.subject_name[:200]
    findings = [passed(Step.FORMAT, say("certificate.read", name=name))]
    try:
        # 7. time
        _in_date(certificate, now)
    except CheckFailed as failure:
        findings += [failed(Step.TIME, failure), *_not_examined(_LATER_STEPS[1:])]
        return CertificateJudgement(_verdict(digest, findings, now))
    dates = say("certificate.in-date", since=certificate.not_before, until=certificate.not_after)
    findings.append(passed(Step.TIME, dates))
    # 8. algorithms and 11. rules of the purpose
    findings += _own(certificate, PURPOSES[purpose], now, limits)
    # 9. certificate path and 10. revocation
    standing, wanted = _standing(certificate, PURPOSES[purpose], evidence, now, retry_after_seconds)
    return CertificateJudgement(_verdict(digest, [*findings, *standing], now), wanted)


def unfinished(encoded: bytes, now: datetime) -> CertificateVerdict:
    """The verdict of an examination that took too long or met an unforeseen fault: never a pass."""
    failure = CheckFailed(SubIndication.POLICY_PROCESSING_ERROR, say("certificate.processing"))
    return _verdict(hashlib.sha256(encoded).hexdigest(), [failed(Step.FORMAT, failure)], now)


def _in_date(certificate: Certificate, now: datetime) -> None:
    if now < certificate.not_before:
        raise CheckFailed(SubIndication.NOT_YET_VALID, say("certificate.not-yet", since=certificate.not_before))
    if now > certificate.not_after:
        raise CheckFailed(SubIndication.EXPIRED, say("certificate.expired", until=certificate.not_after))


def _own(certificate: Certificate, rules: PurposeRules, now: datetime, limits: Limits) -> list[Finding]:
    """What the certificate says about its key and the key's use."""
    try:
        key = certificate.public_key(limits)
    except CheckFailed as failure:
        return [failed(Step.ALGORITHMS, failure), skipped(Step.RULES, say("certificate.not-examined"))]
    elliptic = isinstance(key, EllipticCurvePublicKey)
    findings = [judge_key(key, now)]
    for rule in rules.requirements:
        if rule.holds(certificate, elliptic):
            findings.append(passed(Step.RULES, rule.text, rule=rule.id))
        else:
            breach = CheckFailed(SubIndication.CHAIN_CONSTRAINTS_FAILURE, rule.text)
            findings.append(failed(Step.RULES, breach, rule=rule.id))
    return findings


def judge_key(key: PublicKey, moment: datetime) -> Finding:
    """Whether a key of this kind and size counts at ``moment`` (step 8)."""
    if isinstance(key, EllipticCurvePublicKey):
        name, until = key.curve.name, end_of_life("curve", key.curve.name)
    else:
        name, until = f"RSA-{key.key_size}", end_of_life("rsa", "", key.key_size)
    if until is None or moment >= until:
        size = CheckFailed(SubIndication.CRYPTO_CONSTRAINTS_FAILURE, say("certificate.size", name=name))
        return failed(Step.ALGORITHMS, size)
    return passed(Step.ALGORITHMS, say("algorithms.hold", names=name))


def _standing(
    certificate: Certificate, rules: PurposeRules, evidence: Evidence, now: datetime, retry_after_seconds: int
) -> tuple[list[Finding], tuple[Wanted, ...]]:
    trust = evidence.trust
    pool = (*trust.intermediates, *evidence.certificates)
    try:
        path = anchored_path(trust, rules.anchors, certificate, pool, now, proven=True)
    except CheckFailed as failure:
        if failure.sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND:
            above = missing_issuer(certificate, pool)
            return [failed(Step.PATH, failure), skipped(Step.REVOCATION, say("skipped.no-path"))], above
        return [failed(Step.PATH, failure), skipped(Step.REVOCATION, say("skipped.no-path"))], ()
    except ASN1_FAULTS:
        confused = malformed("the certificate confuses the reader")
        return [failed(Step.PATH, confused), skipped(Step.REVOCATION, say("skipped.no-path"))], ()
    names = " > ".join(item.subject_name for item in path.certificates[:-1])
    if len(path.certificates) == 1:
        pinned = say("certificate.pinned")
        return [passed(Step.PATH, pinned), passed(Step.REVOCATION, pinned)], ()
    found = passed(Step.PATH, say("path.holds", names=names))
    check = RevocationCheck(evidence.revocation_lists, now, now, proven=True, retry_after_seconds=retry_after_seconds)
    try:
        standing = judge_path(path, check, tuple(item.afresh() for item in evidence.responses), OCSP_FIRST)
    except RevocationMissing as failure:
        return [found, failed(Step.REVOCATION, failure)], failure.wanted
    except CheckFailed as failure:
        return [found, failed(Step.REVOCATION, failure)], ()
    sources = ", ".join(f"{item.kind} {item.sha256[:12]}" for source in standing for item in source.every)
    return [found, passed(Step.REVOCATION, say("revocation.good", sources=sources))], ()


def _not_examined(steps: tuple[Step, ...]) -> list[Finding]:
    return [skipped(step, say("certificate.not-examined")) for step in steps]


def _verdict(digest: str, findings: list[Finding], now: datetime) -> CertificateVerdict:
    ordered, conclusion, main, sub_indication = conclude(findings)
    retries = [item.retry_after_seconds for item in ordered if item.retry_after_seconds]
    return CertificateVerdict(
        certificate_sha256=digest,
        conclusion=conclusion,
        indication=main,
        sub_indication=sub_indication,
        judged_at=now,
        retry_after_seconds=min(retries, default=None) if sub_indication is SubIndication.TRY_LATER else None,
        steps=[finding.as_step() for finding in ordered],
    )
