"""The time engine: what is proven to have existed when, and so at which moment a signature is judged (step 7).

Time-stamps are taken from the latest to the earliest. One that is accepted proves that everything it covers existed
when it was made: an older time-stamp, whose algorithm or certificate has run out since, then still counts. The
claimed signing-time proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.signer.anchoring import anchored_path
from services.signer.certificates import Certificate
from services.signer.checks import algorithms
from services.signer.checks.chain import CertificatePath
from services.signer.checks.good_standing import LISTS_FIRST, SourceOrder, judge_path
from services.signer.checks.ocsp import OcspCheck
from services.signer.checks.revocation import RevocationCheck, RevocationList, RevocationMissing
from services.signer.checks.wanted import Wanted, missing_issuer
from services.signer.evidence import Pool
from services.signer.facts import SignerFacts, StampFacts
from services.signer.findings import CheckFailed, Finding, Step, failed, passed, warned
from services.signer.texts import say, say_because
from shared.contracts.signatures import TimestampType
from shared.domain.verdict import Conclusion, SubIndication

STAMP_SKEW = timedelta(seconds=60)
"""How far the clocks of two time-stamp authorities, or theirs and ours, may lie apart (signatures.md 8.8)."""

_LATER_WORDS = 8


@dataclass(frozen=True)
class StampVerdict:
    """One time-stamp judged: ``failure`` says why it proves nothing."""

    facts: StampFacts
    failure: CheckFailed | None

    @property
    def conclusion(self) -> Conclusion:
        """Failed for good when it is not intact or its authority was revoked before; else it may still be accepted."""
        if self.failure is None:
            return Conclusion.PASSED
        if not self.facts.intact or self.failure.sub_indication is SubIndication.REVOKED:
            return Conclusion.FAILED
        return Conclusion.INDETERMINATE


@dataclass(frozen=True)
class ProvenTime:
    """The moment of judgement, whether the signature is known to have existed then, and what says so."""

    at: datetime
    proven: bool
    verdicts: tuple[StampVerdict, ...]
    findings: tuple[Finding, ...]
    wanted: tuple[Wanted, ...]

    @property
    def stamped(self) -> tuple[StampVerdict, ...]:
        """The accepted signature time-stamps."""
        return tuple(item for item in self.verdicts if _accepted(item) and item.facts.type is TimestampType.SIGNATURE)


class TimeEngine:
    """Judges the time-stamps of one file against one pool of evidence; pure."""

    def __init__(
        self,
        pool: Pool,
        vouched: datetime | None,
        now: datetime,
        retry_after_seconds: int,
        order: SourceOrder = LISTS_FIRST,
    ) -> None:
        self._pool = pool
        self._vouched = vouched
        self._now = now
        self._retry_after_seconds = retry_after_seconds
        self._order = order
        self._wanted: dict[Wanted, None] = {}

    def of(self, signer: SignerFacts) -> ProvenTime:
        """The proven time of one signature: earliest accepted time-stamp, else the vouched moment, else now."""
        self._wanted = {}
        verdicts = self._judged(signer.timestamps)
        alone = next((item for item in verdicts if item.facts.type is TimestampType.ALONE), None)
        if alone is not None:
            return self._of_token(alone)
        findings = [
            warned(Step.TIME, say_because("timestamp.unused", item.failure.text), rule="time-stamp")
            for item in verdicts
            if item.failure is not None
        ]
        if signer.unevaluated_timestamps:
            findings.append(warned(Step.TIME, say("timestamp.not-evaluated"), rule="time-stamp"))
        findings.extend(_out_of_order(verdicts))
        at, proven, text = self._moment(verdicts)
        return ProvenTime(at, proven, verdicts, (passed(Step.TIME, say(text, at=at)), *findings), tuple(self._wanted))

    def _of_token(self, verdict: StampVerdict) -> ProvenTime:
        """Of a time-stamp by itself: what it says is the moment, if it may be believed; nothing else decides."""
        at = verdict.facts.generated_at or self._now
        if verdict.failure is not None:
            finding = failed(Step.TIME, verdict.failure, rule="time-stamp")
        else:
            finding = passed(Step.TIME, say("timestamp.alone", at=at), rule="time-stamp")
        return ProvenTime(at, True, (verdict,), (finding,), tuple(self._wanted))

    def _moment(self, verdicts: tuple[StampVerdict, ...]) -> tuple[datetime, bool, str]:
        accepted = [item.facts for item in verdicts if _accepted(item) and item.facts.type.stamps_signature]
        preferred = [item for item in accepted if item.type is TimestampType.SIGNATURE] or accepted
        moments = [item.generated_at for item in preferred if item.generated_at is not None]
        if moments:
            return min(moments), True, "time.stamped"
        if self._vouched is not None:
            return self._vouched, True, "time.given"
        return self._now, False, "time.now"

    def _judged(self, stamps: tuple[StampFacts, ...]) -> tuple[StampVerdict, ...]:
        """In the order of the file, each judged after those that may prove that it existed."""
        verdicts: dict[int, StampVerdict] = {}
        latest_first = sorted(range(len(stamps)), key=lambda index: _made(stamps[index]), reverse=True)
        for index in latest_first:
            stamp = stamps[index]
            accepted = [item.facts for item in verdicts.values() if _accepted(item)]
            proofs = [item.generated_at for item in accepted if stamp.position in item.covers and item.generated_at]
            existed_at = min((*proofs, self._vouched or self._now))
            verdicts[index] = StampVerdict(stamp, stamp.failure or self._failure(stamp, existed_at))
        return tuple(verdicts[index] for index in range(len(stamps)))

    def _failure(self, stamp: StampFacts, existed_at: datetime) -> CheckFailed | None:
        try:
            self._accept(stamp, existed_at)
        except CheckFailed as failure:
            return failure.to_keep()
        return None

    def _accept(self, stamp: StampFacts, existed_at: datetime) -> None:
        """Raise ``CheckFailed`` unless the authority is one of ours, and was one, and its work still counts."""
        made, token, certificate = stamp.generated_at, stamp.token, stamp.certificate
        if made is None or token is None or certificate is None or token.signers[0].algorithms is None:
            raise CheckFailed(SubIndication.FORMAT_FAILURE, say("timestamp.broken"))
        if made > self._now + STAMP_SKEW:
            raise CheckFailed(SubIndication.NOT_YET_VALID, say("path.not-yet", since=made))
        existed_at = max(existed_at, made)
        proven = existed_at < self._now
        algorithms.check(token.signers[0].algorithms, existed_at, proven=proven)
        algorithms.check_digests(stamp.digests, existed_at, proven=proven)
        pool = tuple(dict.fromkeys((*token.embedded.certificates, *self._pool.certificates)))
        path = self._path(certificate, pool, made, existed_at)
        for item in path.certificates[1:]:
            if item.not_after < existed_at:
                raise CheckFailed(
                    SubIndication.OUT_OF_BOUNDS_NO_POE, say("timestamp.authority-expired", until=item.not_after)
                )
        self._check_standing(path, made, existed_at)

    def _path(
        self, certificate: Certificate, pool: tuple[Certificate, ...], made: datetime, existed_at: datetime
    ) -> CertificatePath:
        trust, basis = self._pool.trust, self._pool.basis
        try:
            return anchored_path(
                trust, ("timestamp",), certificate, pool, made, proven=True, existed_at=existed_at, basis=basis
            )
        except CheckFailed as failure:
            if failure.sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND:
                self._wanted.update(dict.fromkeys(missing_issuer(certificate, pool)))
            raise

    def _check_standing(self, path: CertificatePath, made: datetime, existed_at: datetime) -> None:
        try:
            judge_path(path, self._at(made), self._pool.responses, self._order)
        except RevocationMissing as failure:
            self._wanted.update(dict.fromkeys(failure.wanted))
            raise
        # Whoever has the key of an authority that was revoked since can stamp any time in the past.
        for moment in self._later_words(path, made, existed_at):
            try:
                judge_path(path, self._at(moment), self._pool.responses)
            except RevocationMissing:
                continue
            except CheckFailed as failure:
                text = say_because("timestamp.authority-revoked", failure.text)
                raise CheckFailed(SubIndication.REVOKED_NO_POE, text) from failure

    def _later_words(self, path: CertificatePath, made: datetime, existed_at: datetime) -> list[datetime]:
        """Until the proof of existence: the last moments the lists and responses about this path speak for.

        All that the path's authorities signed, and a few lists of others: anybody can put those into a file.
        """
        late = [item for item in self._pool.lists if item.good_until > made]
        ends = {min(item.good_until, existed_at) for item in late if _made_by_any(item, path.certificates[:-1])}
        others = {min(item.good_until, existed_at) for item in late if _made_by_any(item, path.list_signers)}
        spoken = OcspCheck(self._pool.responses, self._at(made)).ends(path)
        ends |= {min(end, existed_at) for end in spoken if end > made}
        return sorted({*ends, *sorted(others - ends, reverse=True)[:_LATER_WORDS]}, reverse=True)

    def _at(self, moment: datetime) -> RevocationCheck:
        basis = self._pool.basis
        return RevocationCheck(self._pool.lists, moment, self._now, True, self._retry_after_seconds, basis=basis)


def _made_by_any(item: RevocationList, makers: tuple[Certificate, ...]) -> bool:
    return any(item.named_by(maker) and item.signed_by(maker) for maker in makers)


def _accepted(verdict: StampVerdict) -> bool:
    return verdict.failure is None


def _made(stamp: StampFacts) -> float:
    return stamp.generated_at.timestamp() if stamp.generated_at is not None else 0


def _out_of_order(verdicts: tuple[StampVerdict, ...]) -> Iterator[Finding]:
    """A time-stamp that covers one made after it: one of two trusted clocks was wrong."""
    accepted = [item.facts for item in verdicts if _accepted(item)]
    for outer in accepted:
        for inner in accepted:
            if inner.position in outer.covers and _made(inner) > _made(outer) + STAMP_SKEW.total_seconds():
                failure = CheckFailed(
                    SubIndication.TIMESTAMP_ORDER_FAILURE,
                    say("timestamp.order", inner=inner.generated_at, outer=outer.generated_at),
                )
                yield failed(Step.TIME, failure, rule="time-stamp-order")
                return
