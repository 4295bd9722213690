"""The verdict on one certificate by the files at hand: path validation of RFC 5280, 6, with revocation.

The steps are those of a signature's verification that concern the certificate: 1 and 7 to 10. Here the
moment is known and nothing else will turn up by itself, so a path that breaks a rule has failed; the
verdict stays open only where a certificate or a revocation list is missing. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from services.signer.certificate_files import Unusable
from services.signer.certificates import ASN1_FAULTS, Certificate
from services.signer.checks.chain import ANY_PATH, CertificatePath, PathInputs, valid_paths
from services.signer.checks.good_standing import judge_path
from services.signer.checks.ocsp import OcspResponse
from services.signer.checks.revocation import RevocationCheck
from services.signer.checks.revocation_list import RevocationList
from services.signer.findings import CheckFailed, Finding, Step, passed, skipped, warned
from services.signer.report import conclude
from services.signer.standing import judge_key
from services.signer.texts import say
from services.signer.trust import make_store
from shared.contracts.signatures import Text
from shared.domain.verdict import Conclusion, Indication, StepResult, SubIndication

_OPEN = frozenset(
    {SubIndication.TRY_LATER, SubIndication.NO_CERTIFICATE_CHAIN_FOUND, SubIndication.POLICY_PROCESSING_ERROR}
)
"""What more files, or another attempt, may change; everything else is final."""
_ANCHORS = "anchors"


class Source(NamedTuple):
    """What says that a certificate was not revoked: a list (``CRL``) or a response (``OCSP``)."""

    kind: str
    sha256: str


Sources: TypeAlias = tuple[Source, ...]
"""What says it together about one certificate."""


@dataclass(frozen=True)
class Material:
    """The files of one judgement, as read."""

    anchors: tuple[Certificate, ...]
    intermediates: tuple[Certificate, ...] = ()
    lists: tuple[RevocationList, ...] = ()
    responses: tuple[OcspResponse, ...] = ()
    unusable: tuple[Unusable, ...] = ()
    """Lists and responses that were left out, for the report."""


@dataclass(frozen=True)
class PathVerdict:
    """The verdict, the path it is about if there is one, and every step."""

    conclusion: Conclusion
    indication: Indication
    sub_indication: SubIndication | None
    certificate_sha256: str
    judged_at: datetime
    trust_store_sha256: str
    path: CertificatePath | None
    sources: tuple[Sources, ...]
    """For every certificate of the path below the anchor, the last first; empty when its standing is not good."""
    findings: tuple[Finding, ...]

    def as_json(self) -> dict[str, Any]:
        """The form programs read; the path begins with the anchor."""
        certificates = () if self.path is None else self.path.certificates
        # The anchor, whose standing nobody tells, is the first.
        sources = (*self.sources, ()) if self.sources else ((),) * len(certificates)
        return {
            "verdict": self.conclusion.value,
            "indication": self.indication.value,
            "sub_indication": None if self.sub_indication is None else self.sub_indication.value,
            "certificate_sha256": self.certificate_sha256,
            "judged_at": self.judged_at.isoformat(),
            "trust_store_sha256": self.trust_store_sha256,
            "path": [_described(*pair) for pair in zip(certificates, reversed(sources), strict=True)],
            "steps": [finding.as_step().model_dump(mode="json") for finding in self.findings],
        }


def _described(certificate: Certificate, sources: Sources) -> dict[str, Any]:
    return {
        "subject": certificate.subject_name[:200],
        "issuer": certificate.issuer_name[:200],
        "serial_number": f"{certificate.serial_number:x}",
        "sha256": certificate.sha256,
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "revocation_sources": [{"kind": source.kind, "sha256": source.sha256} for source in sources],
    }


@dataclass
class _Outcome:
    """What steps 9 and 10 came to."""

    findings: list[Finding]
    path: CertificatePath | None = None
    sources: tuple[Sources, ...] = ()

    @property
    def good(self) -> bool:
        return all(finding.result is StepResult.PASSED for finding in self.findings)

    @property
    def open(self) -> bool:
        return any(finding.result is StepResult.INDETERMINATE for finding in self.findings)


def judge_certificate_path(
    certificate: Certificate,
    material: Material,
    moment: datetime,
    now: datetime,
    *,
    given: bool = True,
    inputs: PathInputs = ANY_PATH,
) -> PathVerdict:
    """The verdict on ``certificate`` as of ``moment``; never raises on hostile certificates and lists.

    Args:
        certificate: the one to judge.
        material: anchors, what may lie between, and revocation lists; nothing else is used.
        moment: the time of judgement, aware.
        now: the clock; lists that claim to be of a later time are not believed.
        given: whether somebody named the moment; for the report only.
        inputs: what is asked of the path's policies.
    """
    findings = [passed(Step.FORMAT, say("certificate.read", name=certificate.subject_name[:200]))]
    findings.append(passed(Step.TIME, say("time.given" if given else "certificate.now", at=moment)))
    findings.append(_key(certificate, moment))
    findings += [warned(Step.REVOCATION, _left_out(item), rule="list") for item in material.unusable]
    check = RevocationCheck(
        material.lists, moment, max(now, moment), proven=True, retry_after_seconds=0, pool=material.intermediates
    )
    try:
        outcome = _stand(certificate, material, check, inputs)
    except CheckFailed as failure:
        outcome = _Outcome([_refused(Step.PATH, failure), skipped(Step.REVOCATION, say("skipped.no-path"))])
    except ASN1_FAULTS:
        return unfinished(certificate, material, moment)
    return _verdict(certificate, material, moment, findings, outcome)


def unfinished(certificate: Certificate, material: Material, moment: datetime) -> PathVerdict:
    """The verdict of an examination that met a limit or an unforeseen fault: never a pass."""
    failure = CheckFailed(SubIndication.POLICY_PROCESSING_ERROR, say("certificate.processing"))
    return _verdict(certificate, material, moment, [], _Outcome([_refused(Step.PATH, failure)]))


def _left_out(item: Unusable) -> Text:
    turkish = say("revocation.unusable", file=item.file, why=item.why.tr)
    return Text(tr=turkish.tr, en=say("revocation.unusable", file=item.file, why=item.why.en).en)


def _key(certificate: Certificate, moment: datetime) -> Finding:
    try:
        finding = judge_key(certificate.public_key(), moment)
    except CheckFailed as failure:
        return _refused(Step.ALGORITHMS, CheckFailed(SubIndication.CRYPTO_CONSTRAINTS_FAILURE, failure.text))
    if finding.sub_indication is None:
        return finding
    return _refused(Step.ALGORITHMS, CheckFailed(finding.sub_indication, finding.text))


def _stand(certificate: Certificate, material: Material, check: RevocationCheck, inputs: PathInputs) -> _Outcome:
    """The first path whose certificates are all in good standing; else the one about which least is settled."""
    worst: _Outcome | None = None
    for path in valid_paths(certificate, material.intermediates, material.anchors, check.moment, inputs=inputs):
        outcome = _examined(path, check, material.responses)
        if outcome.good:
            return outcome
        if worst is None or (outcome.open and not worst.open):
            worst = outcome
    assert worst is not None
    return worst


def _examined(path: CertificatePath, check: RevocationCheck, responses: tuple[OcspResponse, ...]) -> _Outcome:
    if len(path.certificates) == 1:
        pinned = say("certificate.pinned")
        return _Outcome([passed(Step.PATH, pinned), passed(Step.REVOCATION, pinned)], path)
    names = " > ".join(item.subject_name for item in path.certificates)
    found = passed(Step.PATH, say("path.holds", names=names))
    try:
        sources = _sources(path, check, responses)
    except CheckFailed as failure:
        return _Outcome([found, _refused(Step.REVOCATION, failure)], path)
    told = dict.fromkeys(f"{source.kind} {source.sha256[:12]}" for those in sources for source in those)
    good = passed(Step.REVOCATION, say("revocation.good", sources=", ".join(told)))
    return _Outcome([found, good], path, sources)


def _sources(path: CertificatePath, check: RevocationCheck, responses: tuple[OcspResponse, ...]) -> tuple[Sources, ...]:
    if not responses:
        return tuple(tuple(Source("CRL", item.sha256) for item in status.sources) for status in check.path(path))
    standing = judge_path(path, check, responses)
    return tuple(tuple(Source(item.kind, item.sha256) for item in source.every) for source in standing)


def _refused(step: Step, failure: CheckFailed) -> Finding:
    result = StepResult.INDETERMINATE if failure.sub_indication in _OPEN else StepResult.FAILED
    return Finding(step, result, failure.text, failure.sub_indication)


def _verdict(
    certificate: Certificate, material: Material, moment: datetime, findings: Iterable[Finding], outcome: _Outcome
) -> PathVerdict:
    ordered, conclusion, main, sub_indication = conclude([*findings, *outcome.findings])
    return PathVerdict(
        conclusion,
        main,
        sub_indication,
        certificate.sha256,
        moment,
        make_store({_ANCHORS: material.anchors}).sha256,
        outcome.path,
        outcome.sources,
        tuple(ordered),
    )
