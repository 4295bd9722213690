"""The verification pipeline; its step numbers are those of ``findings.Step`` and of every report.

    bytes -> limits and sniff -> format adapter -> SignatureFacts     1 to 6, pure
          -> evidence pool -> time -> algorithms -> path -> revocation   7 to 10
          -> rules of the profile -> verdict                             11

``judge`` is a pure function of facts, evidence and two moments, so a verdict can be replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.signer.anchoring import anchored_path
from services.signer.certificates import ASN1_FAULTS, Certificate
from services.signer.checks import algorithms
from services.signer.checks.chain import CertificatePath
from services.signer.checks.good_standing import StandingSource, in_order, judge_path
from services.signer.checks.references import REFERENCES, Digests, check_path, check_references
from services.signer.checks.revocation import RevocationCheck, RevocationMissing
from services.signer.checks.timestamps import read_timestamps
from services.signer.checks.wanted import Wanted, missing_issuer
from services.signer.evidence import Evidence, Pool, load_lists, pool_of
from services.signer.facts import BytesContent, Content, SignatureFacts, SignerFacts
from services.signer.findings import CheckFailed, Finding, Step, failed, passed, skipped, warned
from services.signer.formats.cades import read_cades
from services.signer.formats.levels import level_that_holds
from services.signer.formats.pades import read_pades
from services.signer.formats.smime import NoSignature, read_smime
from services.signer.formats.timestamp_files import is_timestamp, read_timestamp_file
from services.signer.formats.xades import read_xades
from services.signer.limits import DEFAULT_LIMITS, Limits, malformed
from services.signer.policy import PROFILES, ProfileRules, apply_rules, maturity
from services.signer.report import Outcome, describe_basis, report_file, report_signature, unreadable
from services.signer.rules import Subject
from services.signer.texts import say
from services.signer.timing import TimeEngine
from shared.contracts.signatures import (
    Maturity,
    Profile,
    SignatureFormat,
    SignatureReport,
    VerificationReport,
    VerificationRequest,
)
from shared.domain.verdict import SubIndication

_LATER_STEPS = (Step.TIME, Step.ALGORITHMS, Step.PATH, Step.REVOCATION, Step.RULES)


def sniff(data: bytes, limits: Limits = DEFAULT_LIMITS) -> SignatureFormat | None:
    """What the bytes look like; None when like nothing we verify."""
    head = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    if data[:1] == b"\x30":
        return SignatureFormat.TIMESTAMP if is_timestamp(data, limits) else SignatureFormat.CADES
    if data.startswith(b"%PDF-"):
        return SignatureFormat.PADES
    if head.startswith(b"<"):
        return SignatureFormat.XADES
    name, colon, _rest = head.partition(b":")
    if colon and name and all(0x21 <= octet <= 0x7E for octet in name):
        return SignatureFormat.SMIME
    return None


def read_facts(
    data: bytes,
    content: Content | None,
    wanted: SignatureFormat = SignatureFormat.AUTO,
    *,
    known: Sequence[Certificate] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> SignatureFacts:
    """Bytes in, facts out (steps 1 to 6); never raises on hostile bytes, whatever they are."""
    looks = sniff(data, limits)
    found = looks if wanted is SignatureFormat.AUTO else wanted
    try:
        if found is None or looks is not found:
            failure = CheckFailed(SubIndication.FORMAT_FAILURE, say("format.unrecognised"))
            return unreadable(found or wanted, failure)
        if found is SignatureFormat.CADES:
            facts = read_cades(data, () if content is None else (content,), limits, known=known)
            return read_timestamps(facts, limits, known=known)
        if found is SignatureFormat.TIMESTAMP:
            return read_timestamp_file(data, content, limits, known=known)
        if found is SignatureFormat.PADES:
            return read_pades(data, content, limits, known=known)
        if found is SignatureFormat.SMIME:
            return read_timestamps(read_smime(data, content, limits, known=known), limits, known=known)
        return read_timestamps(read_xades(data, content, limits, known=known), limits, known=known)
    except NoSignature:
        return SignatureFacts(found or wanted, ())
    except CheckFailed as failure:
        return unreadable(found or wanted, failure)
    except ASN1_FAULTS:
        return unreadable(found or wanted, malformed("the file confuses the reader"))


@dataclass(frozen=True)
class Judgement:
    """A report, and what would have helped."""

    report: VerificationReport
    wanted: tuple[Wanted, ...]


@dataclass
class _Case:
    """One signature before the judge."""

    facts: SignatureFacts
    signer: SignerFacts
    rules: ProfileRules
    pool: Pool
    engine: TimeEngine
    given_moment: datetime | None
    now: datetime
    retry_after_seconds: int
    digests: Digests
    wanted: list[Wanted] = field(default_factory=list)
    retries: list[int] = field(default_factory=list)

    def judge(self) -> SignatureReport:
        """Steps 7 to 11, for the counter-signatures too."""
        counters = [self._countersigned(counter) for counter in self.signer.counter_signatures]
        level_intact = level_that_holds(self.signer, self.facts.embedded, self.digests)
        findings = list(self.signer.findings)
        # Nothing is looked up or fetched for a signature whose mathematics fail.
        if (
            any(finding.conclusive and finding.step is not Step.RULES for finding in findings)
            or self.signer.certificate is None
        ):
            findings.extend(skipped(step, say("skipped.broken")) for step in _LATER_STEPS)
            return self._report(findings, Outcome(self.given_moment or self.now, level_intact), counters)
        # 7. time
        time = self.engine.of(self.signer)
        self.wanted.extend(time.wanted)
        findings.extend(time.findings)
        # 8. algorithms
        findings.append(self._algorithms(time.at, proven=time.proven))
        # 9. certificate path and 10. revocation
        standing = self._standing(self.signer.certificate, time.at, proven=time.proven)
        findings.extend(standing.findings)
        # 11. profile rules
        subject = Subject(self.signer, self.facts, level_intact, time, standing.sources)
        findings.extend(apply_rules(self.rules, subject))
        ripe = maturity(self.rules, subject)
        if standing.path is not None and standing.sources:
            self.wanted.extend(self._more(standing.path, subject, *ripe))
        outcome = Outcome(time.at, level_intact, time, *ripe, standing.path, standing.sources)
        return self._report(findings, outcome, counters)

    def _report(self, findings: list[Finding], outcome: Outcome, counters: list[SignatureReport]) -> SignatureReport:
        self.retries.extend(item.retry_after_seconds for item in findings if item.retry_after_seconds)
        return report_signature(self.signer, findings, outcome, counters)

    def _countersigned(self, counter: SignerFacts) -> SignatureReport:
        return replace(self, signer=counter).judge()

    def _algorithms(self, moment: datetime, *, proven: bool) -> Finding:
        use = self.signer.algorithms
        if use is None:
            failure = CheckFailed(SubIndication.CRYPTO_CONSTRAINTS_FAILURE, say("algorithms.unknown", name="?"))
            return failed(Step.ALGORITHMS, failure)
        try:
            algorithms.check(use, moment, proven=proven)
        except CheckFailed as failure:
            return failed(Step.ALGORITHMS, failure)
        key = f"RSA-{use.key_bits}" if use.key == "rsa" else use.key
        return passed(Step.ALGORITHMS, say("algorithms.hold", names=f"{use.digest}, {key}"))

    def _standing(self, certificate: Certificate, moment: datetime, *, proven: bool) -> _Standing:
        if not self.rules.anchors:
            skips = [skipped(step, say("path.not-judged")) for step in (Step.PATH, Step.REVOCATION)]
            return _Standing([*skips, *self._references(())])
        pool, anchors = self.pool, self.rules.anchors
        try:
            path = anchored_path(
                pool.trust, anchors, certificate, pool.certificates, moment, proven=proven, basis=pool.basis
            )
        except CheckFailed as failure:
            if failure.sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND:
                self.wanted.extend(missing_issuer(certificate, pool.certificates))
            return _Standing([failed(Step.PATH, failure), skipped(Step.REVOCATION, say("skipped.no-path"))])
        found = passed(Step.PATH, say("path.holds", names=_chain_names(path)))
        if len(path.certificates) == 1:
            return _Standing([found, passed(Step.REVOCATION, say("revocation.anchor"))], path)
        finding, sources = self._good_standing(path, moment, proven=proven)
        return _Standing([found, finding, *self._references(path.certificates[:-1])], path, sources)

    def _good_standing(
        self, path: CertificatePath, moment: datetime, *, proven: bool
    ) -> tuple[Finding, tuple[StandingSource, ...]]:
        try:
            sources = judge_path(path, self._check(moment, proven=proven), self.pool.responses, self.rules.order)
        except CheckFailed as failure:
            if isinstance(failure, RevocationMissing):
                self.wanted.extend(failure.wanted)
            return failed(Step.REVOCATION, failure), ()
        named = ", ".join(f"{item.kind} {item.sha256[:12]}" for source in sources for item in source.every)
        return passed(Step.REVOCATION, say("revocation.good", sources=named)), sources

    def _check(self, moment: datetime, *, proven: bool) -> RevocationCheck:
        pool = self.pool
        return RevocationCheck(pool.lists, moment, self.now, proven, self.retry_after_seconds, basis=pool.basis)

    def _more(
        self, path: CertificatePath, subject: Subject, ripe: Maturity, final_after: datetime | None
    ) -> list[Wanted]:
        """What the profile wants to be said about the signer beside what is good enough for his standing."""
        pair = next(path.pairs())
        due = ripe is Maturity.PRELIMINARY and final_after is not None and self.now >= final_after
        wanted = self._check(subject.time.at, proven=True).wanted(*pair, path, fresher=due)
        required = self.rules.required_source
        if required is not None and all(item.kind != required for item in subject.of_signer):
            return in_order((wanted,), pair, (required,))
        return in_order((wanted,), pair, ("CRL",)) if due else []

    def _references(self, authorities: Sequence[Certificate]) -> list[Finding]:
        unsigned = self.signer.unsigned
        if not unsigned.present & REFERENCES:
            return []
        try:
            check_references(unsigned, self.facts.embedded, self.digests)
            check_path(unsigned, authorities)
        except CheckFailed as failure:
            if self.rules.strict_references:
                return [failed(Step.REVOCATION, failure, rule="references")]
            return [warned(Step.REVOCATION, failure.text, rule="references")]
        return [passed(Step.REVOCATION, say("references.hold"), rule="references")]


@dataclass(frozen=True)
class _Standing:
    """What steps 9 and 10 came to."""

    findings: list[Finding]
    path: CertificatePath | None = None
    sources: tuple[StandingSource, ...] = ()


def _chain_names(path: CertificatePath) -> str:
    return " > ".join(certificate.subject_name for certificate in path.certificates[:-1])


def judge(
    facts: SignatureFacts,
    request: VerificationRequest,
    evidence: Evidence,
    now: datetime,
    *,
    limits: Limits = DEFAULT_LIMITS,
    retry_after_seconds: int = 300,
) -> Judgement:
    """Steps 7 to 11 for every signature, and the verdict on the file; pure."""
    rules = PROFILES[request.profile]
    pool = pool_of(facts, evidence, limits)
    engine = TimeEngine(pool, request.moment, now, retry_after_seconds, rules.order)
    reports: list[SignatureReport] = []
    retries: list[int] = []
    wanted: list[Wanted] = []
    digests = Digests()
    for signer in facts.signers:
        case = _Case(
            facts, signer, rules, pool, engine, request.moment, now, retry_after_seconds, digests, wanted, retries
        )
        reports.append(case.judge())
    report_of_file = report_file(
        facts,
        reports,
        profile=request.profile,
        trust_store_sha256=evidence.trust.sha256,
        retry_after_seconds=min(retries, default=None),
        now=now,
        evidence=describe_basis(pool, evidence),
    )
    return Judgement(report_of_file, tuple(dict.fromkeys(wanted)))


def verify(
    data: bytes,
    content: bytes | None,
    request: VerificationRequest,
    evidence: Evidence,
    now: datetime,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> VerificationReport:
    """The whole pipeline on evidence at hand, without any network."""
    given = None if content is None else BytesContent(content)
    facts = read_facts(data, given, request.format, known=evidence.trust.intermediates, limits=limits)
    return judge(facts, request, evidence, now, limits=limits).report


def incomplete(
    request: VerificationRequest, evidence: Evidence, now: datetime, *, retry_after_seconds: int = 300
) -> VerificationReport:
    """The report for a verification that took too long or met an unforeseen fault: never a pass.

    It may have been the load of the moment, so it is worth another try; whoever tries grows more patient.
    """
    failure = CheckFailed(
        SubIndication.POLICY_PROCESSING_ERROR, say("processing.error"), retry_after_seconds=retry_after_seconds
    )
    facts = SignatureFacts(
        request.format,
        (SignerFacts(level="?", findings=(failed(Step.FORMAT, failure),), integrity=False),),
    )
    return judge(facts, request, evidence, now).report


__all__ = ["Evidence", "Judgement", "Profile", "incomplete", "judge", "load_lists", "read_facts", "sniff", "verify"]
