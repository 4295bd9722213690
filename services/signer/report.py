"""From findings to the answer's contract; personal identity numbers are masked here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.signer.certificates import Certificate
from services.signer.checks.chain import CertificatePath
from services.signer.checks.good_standing import StandingSource
from services.signer.evidence import Evidence, Pool
from services.signer.facts import SignatureFacts, SignerFacts, StampFacts
from services.signer.findings import CheckFailed, Finding, Step, failed, indication
from services.signer.policy import POLICY_VERSION, is_qualified
from services.signer.timing import ProvenTime
from shared.contracts.signatures import (
    ChainCertificate,
    EvidenceItem,
    EvidenceKind,
    EvidenceOrigin,
    Maturity,
    Profile,
    RevocationSource,
    SignatureFormat,
    SignatureReport,
    Signer,
    TimestampReport,
    VerificationReport,
)
from shared.domain.verdict import Conclusion, Indication, SubIndication, worst
from shared.version import software_version

_CONCLUSIONS = {
    Indication.TOTAL_PASSED: Conclusion.PASSED,
    Indication.TOTAL_FAILED: Conclusion.FAILED,
    Indication.INDETERMINATE: Conclusion.INDETERMINATE,
    Indication.NO_SIGNATURE_FOUND: Conclusion.INDETERMINATE,
}
_KINDS = {"CRL": EvidenceKind.REVOCATION_LIST, "OCSP": EvidenceKind.OCSP_RESPONSE}
_INDICATIONS = {
    Conclusion.PASSED: Indication.TOTAL_PASSED,
    Conclusion.FAILED: Indication.TOTAL_FAILED,
    Conclusion.INDETERMINATE: Indication.INDETERMINATE,
}


def masked(identity_number: str) -> str:
    """All but the last two characters hidden (KVKK)."""
    return "*" * max(len(identity_number) - 2, 0) + identity_number[-2:] if len(identity_number) > 4 else "****"


def describe_signer(certificate: Certificate, *, qualified: bool) -> Signer:
    """The certificate's own words about its owner."""
    number = certificate.subject_value("serial_number")
    return Signer(
        name=certificate.subject_name[:200],
        organisation=certificate.subject_value("organization_name"),
        identity_number_masked=masked(number) if number else None,
        issuer=certificate.issuer_name[:200],
        serial_number=f"{certificate.serial_number:x}",
        certificate_sha256=certificate.sha256,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        qualified=qualified,
    )


def conclude(findings: Sequence[Finding]) -> tuple[list[Finding], Conclusion, Indication, SubIndication | None]:
    """The findings in step order, and what follows from all of them together."""
    ordered = sorted(findings, key=lambda finding: finding.step.number)
    main, sub_indication = indication(ordered)
    return ordered, _CONCLUSIONS[main], main, sub_indication


@dataclass(frozen=True)
class Outcome:
    """What steps 7 to 11 made of a signature, beside their findings."""

    judged_at: datetime
    level_intact: str | None
    time: ProvenTime | None = None
    """None: its mathematics fail, so nothing was judged."""
    maturity: Maturity = Maturity.FINAL
    final_after: datetime | None = None
    path: CertificatePath | None = None
    sources: tuple[StandingSource, ...] = ()
    """For every certificate of the path below the anchor, the signer's first; empty when its standing is not good."""


def report_signature(
    signer: SignerFacts, findings: Sequence[Finding], outcome: Outcome, counter_signatures: list[SignatureReport]
) -> SignatureReport:
    """The verdict on one signature from the findings of all its steps."""
    ordered, conclusion, main, sub_indication = conclude(findings)
    return SignatureReport(
        conclusion=conclusion,
        indication=main,
        sub_indication=sub_indication,
        level=signer.level,
        level_intact=outcome.level_intact,
        baseline_level=signer.baseline_level,
        integrity=signer.integrity,
        signer=(
            None if signer.certificate is None else describe_signer(signer.certificate, qualified=is_qualified(signer))
        ),
        scope=signer.scope,
        chain=_describe_chain(outcome),
        claimed_signing_time=signer.claimed_signing_time,
        judged_at=outcome.judged_at,
        steps=[finding.as_step() for finding in ordered],
        maturity=outcome.maturity,
        final_after=outcome.final_after,
        timestamps=_describe_stamps(signer, outcome.time),
        counter_signatures=counter_signatures,
    )


def _describe_chain(outcome: Outcome) -> list[ChainCertificate]:
    if outcome.path is None:
        return []
    certificates = tuple(reversed(outcome.path.certificates))
    sources = [item.every for item in outcome.sources] + [()] * (len(certificates) - len(outcome.sources))
    return [
        ChainCertificate(
            subject=certificate.subject_name[:200],
            issuer=certificate.issuer_name[:200],
            serial_number=f"{certificate.serial_number:x}",
            sha256=certificate.sha256,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            revocation=[
                RevocationSource(kind=_KINDS[item.kind], sha256=item.sha256, issued_at=item.issued_at) for item in every
            ],
        )
        for certificate, every in zip(certificates, sources, strict=True)
    ]


def describe_basis(pool: Pool, evidence: Evidence) -> list[EvidenceItem]:
    """Everything that was noted while the file was judged, by kind and fingerprint."""
    trust, basis = evidence.trust, pool.basis
    anchors = {item.sha256 for items in trust.anchors.values() for item in items}
    known = {item.sha256: EvidenceOrigin.FETCHED for item in evidence.certificates}
    known |= dict.fromkeys((item.sha256 for item in trust.intermediates), EvidenceOrigin.TRUST_STORE)
    known |= dict.fromkeys(pool.embedded, EvidenceOrigin.FILE)
    known |= dict.fromkeys(anchors, EvidenceOrigin.TRUST_STORE)
    found = [
        EvidenceItem(kind=EvidenceKind.CERTIFICATE, sha256=digest, origin=known.get(digest, EvidenceOrigin.FILE))
        for digest in sorted(basis.certificates)
    ]
    for kind, digests in (
        (EvidenceKind.REVOCATION_LIST, basis.lists),
        (EvidenceKind.OCSP_RESPONSE, basis.responses),
    ):
        found += (
            EvidenceItem(kind=kind, sha256=item, origin=_origin(item, pool, evidence)) for item in sorted(digests)
        )
    return found


def _origin(digest: str, pool: Pool, evidence: Evidence) -> EvidenceOrigin:
    if digest in pool.embedded:
        return EvidenceOrigin.FILE
    return EvidenceOrigin.SUPPLIED if digest in evidence.supplied else EvidenceOrigin.FETCHED


def _describe_stamps(signer: SignerFacts, time: ProvenTime | None) -> list[TimestampReport]:
    if time is None:
        return [_describe_stamp(item, item.failure, Conclusion.INDETERMINATE) for item in signer.timestamps]
    return [_describe_stamp(item.facts, item.failure, item.conclusion) for item in time.verdicts]


def _describe_stamp(facts: StampFacts, failure: CheckFailed | None, conclusion: Conclusion) -> TimestampReport:
    return TimestampReport(
        type=facts.type,
        intact=facts.intact,
        time=facts.generated_at,
        tsa=facts.certificate.subject_name[:200] if facts.certificate is not None else None,
        conclusion=conclusion if facts.intact else Conclusion.FAILED,
        reason=failure.text if failure is not None else None,
    )


def _with_counters(signatures: Sequence[SignatureReport]) -> Iterator[SignatureReport]:
    for signature in signatures:
        yield signature
        yield from _with_counters(signature.counter_signatures)


def report_file(
    facts: SignatureFacts,
    signatures: list[SignatureReport],
    *,
    profile: Profile,
    trust_store_sha256: str,
    retry_after_seconds: int | None,
    now: datetime,
    evidence: list[EvidenceItem],
) -> VerificationReport:
    """The verdict on the file: every signature in it must pass, counter-signatures included."""
    every = list(_with_counters(signatures))
    conclusion = worst([signature.conclusion for signature in every])
    main = _INDICATIONS[conclusion] if signatures else Indication.NO_SIGNATURE_FOUND
    return VerificationReport(
        conclusion=conclusion,
        indication=main,
        sub_indication=next((item.sub_indication for item in every if item.indication is main), None),
        format=facts.format,
        profile=profile,
        policy_version=POLICY_VERSION,
        trust_store_sha256=trust_store_sha256,
        signed_content_sha256=facts.content_sha256,
        signatures=signatures,
        evidence=evidence,
        software_version=software_version(),
        retry_after_seconds=retry_after_seconds if conclusion is Conclusion.INDETERMINATE else None,
        verified_at=now,
    )


def unreadable(signature_format: SignatureFormat, failure: CheckFailed) -> SignatureFacts:
    """Facts about a file that could not be taken apart: one signature that stopped at step 1."""
    level = {SignatureFormat.SMIME: "S/MIME", SignatureFormat.XADES: "XMLDSig", SignatureFormat.PADES: "PDF"}.get(
        signature_format, "CMS"
    )
    finding = failed(Step.FORMAT, failure)
    return SignatureFacts(signature_format, (SignerFacts(level=level, findings=(finding,), integrity=False),))
