"""The job ``kep_relay.settle_evidence``: verify a piece of evidence, find its letter, fold it in.

May run any number of times. A verdict is only ever added. signer being away is no verdict: the
evidence waits, visibly, and is asked about again; only a verdict moves a letter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select

from services.kep_relay.events import VerdictNews, tell
from services.kep_relay.evidence.correlate import correlate
from services.kep_relay.evidence.fold import Policy, fold
from services.kep_relay.evidence.listed.documents import SIGNED_DATA
from services.kep_relay.inbound.budget import ByteBudget
from services.kep_relay.inbound.metrics import InboundMetrics
from services.kep_relay.inbound.signed_mail import ask, verify_mail
from services.kep_relay.inbound.texts import storable
from services.kep_relay.metrics import TransitionTimes
from services.kep_relay.reverifying import maturity_of, pause, says_the_same, verify_again_at
from services.kep_relay.tables import EvidenceRow, EvidenceVerdictRow, OutboundMessageRow, OutboundRecipientRow
from shared.blobs import BlobStore
from shared.clients.signer import SignerClient
from shared.clock import Clock
from shared.contracts.events import EventType
from shared.contracts.signatures import (
    Maturity,
    Profile,
    SignatureFormat,
    VerificationReport,
    VerificationRequest,
)
from shared.db.session import Database, UnitOfWork
from shared.domain.message import OutboundState
from shared.domain.verdict import Conclusion, Indication, StepResult, SubIndication, worst
from shared.errors import DomainError, ErrorCode
from shared.telemetry.logging import correlated, correlation_id

log = structlog.get_logger(__name__)

_SIGNER_PAUSE = 10
CORRELATE_PAUSES = (10, 60, 600, 3600, 21600, 86400)
MAX_CORRELATIONS = 40


@dataclass(frozen=True)
class AtHand:
    """What whoever has just read the evidence's mail need not be asked again."""

    mail: bytes
    covered: bytes
    """The part of the mail that its signature covers."""
    document: bytes


@dataclass(frozen=True)
class _Folded:
    evidence: EvidenceRow
    recipient: OutboundRecipientRow
    correlation: str
    accepted_at: datetime
    before: OutboundState
    after: OutboundState

    def tell(self) -> None:
        """Log it as a part of its letter, whose log would otherwise end with the provider's answer."""
        arrived_under = correlation_id.get()
        with correlated(self.correlation):
            log.info(
                "evidence_folded", message_id=str(self.recipient.message_id), recipient=str(self.recipient.recipient_id),
                evidence_id=str(self.evidence.evidence_id), code=self.evidence.code,
                conclusion=self.evidence.conclusion, from_state=self.before.value, to_state=self.after.value,
                arrived_under=arrived_under,
            )  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What signer said about one piece of evidence."""

    envelope: VerificationReport
    signature: VerificationReport

    @property
    def conclusion(self) -> Conclusion:
        """Both signatures together.

        The document's own signature is optional in the standard, and so is the envelope's: what is
        signed must hold. If nothing is signed at all, nothing is proven, and that is FAILED.
        """
        signed = [
            report.conclusion
            for report in (self.envelope, self.signature)
            if report.indication is not Indication.NO_SIGNATURE_FOUND
        ]
        return worst(signed) if signed else Conclusion.FAILED

    @property
    def provisional(self) -> bool:
        """Whether it is open for want of revocation data alone, everything else being proven.

        A signature by a certificate that leads to no trust anchor, or that is no provider's, is
        indeterminate as well, and anybody can make one: that is no proof of anything yet.
        """
        return self.conclusion is Conclusion.INDETERMINATE and all(
            _awaits_revocation(report)
            for report in (self.envelope, self.signature)
            if report.conclusion is not Conclusion.PASSED and report.indication is not Indication.NO_SIGNATURE_FOUND
        )

    @property
    def maturity(self) -> Maturity:
        """Preliminary while one of its signatures is."""
        return maturity_of(self.conclusion, (self.envelope, self.signature))

    def retry_at(self, now: datetime, verifications: int) -> datetime | None:
        """When to verify again; None once it is decided."""
        reports = (self.envelope, self.signature)
        return verify_again_at(self.conclusion, reports, verifications, now)

    def repeats(self, row: EvidenceVerdictRow | None) -> bool:
        """Whether it is open for the same reasons as the one on record; nobody gains by the same line every hour."""
        return (
            row is not None
            and self.conclusion is Conclusion.INDETERMINATE
            and says_the_same(VerificationReport.model_validate(row.envelope), self.envelope)
            and says_the_same(VerificationReport.model_validate(row.signature), self.signature)
        )


def _awaits_revocation(report: VerificationReport) -> bool:
    if report.indication is not Indication.INDETERMINATE or report.sub_indication is not SubIndication.TRY_LATER:
        return False
    open_signatures = [item for item in report.signatures if item.conclusion is not Conclusion.PASSED]
    return all(
        item.integrity
        and item.sub_indication is SubIndication.TRY_LATER
        # The sub-indication names the first open step; none may be open besides.
        and all(step.result is not StepResult.INDETERMINATE or _about_revocation(step.id) for step in item.steps)
        for item in open_signatures
    )


def _about_revocation(step_id: str) -> bool:
    return step_id.partition(".")[0] == "revocation"


class EvidenceSettlement:
    """Settles evidence."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        signer: SignerClient,
        clock: Clock,
        metrics: InboundMetrics,
        transitions: TransitionTimes,
        budget: ByteBudget,
        *,
        policy: Policy,
        max_mail_bytes: int,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._signer = signer
        self._clock = clock
        self._metrics = metrics
        self._transitions = transitions
        self._budget = budget
        self._policy = policy
        self._max_mail_bytes = max_mail_bytes

    async def run(self, evidence_id: str) -> None:
        """The job. Raises ``DomainError`` only when the database or the blob store is away."""
        async with self._database.autocommit() as session:
            evidence = await session.get(EvidenceRow, UUID(evidence_id))
        if evidence is not None:
            await self.settle(evidence)

    async def settle(
        self, evidence: EvidenceRow, *, at_hand: AtHand | None = None, envelope: VerificationReport | None = None
    ) -> None:
        """Settle ``evidence`` as it was read a moment ago; raises as ``run`` does.

        ``envelope`` is signer's verdict on its mail, if there is one of this moment already.
        """
        now = self._clock.now()
        verdict: Verdict | None = None
        if evidence.conclusion is None or (evidence.verify_at is not None and evidence.verify_at <= now):
            verdict = await self._verify(evidence, at_hand, envelope)
        async with self._database.unit_of_work() as work:
            row = await work.session.get_one(
                EvidenceRow, evidence.evidence_id, with_for_update=True, populate_existing=True
            )
            with work.session.no_autoflush:  # what is written down here is not what is looked for
                news: VerdictNews | None = None
                if verdict is not None and row.verifications == evidence.verifications:
                    news = await self._add_verdict(work, row, verdict)
                await self._correlate(work, row)
                folded = None if row.conclusion is None else await self._fold(work, row)
            if news is not None and news.is_news:
                await tell(
                    work, EventType.EVIDENCE_VERDICT_CHANGED, news, institution_no=row.institution_no,
                    message_id=row.message_id or row.inbound_message_id, evidence_id=row.evidence_id, at=now,
                )  # fmt: skip
        if folded is not None:
            folded.tell()
            if folded.after is not folded.before:
                self._transitions.outbound(folded.after, folded.accepted_at, self._clock.now())

    async def _fold(self, work: UnitOfWork, row: EvidenceRow) -> _Folded | None:
        """Let evidence with a verdict act on its letter; None when no letter is known for it."""
        if row.recipient_id is None:
            return None
        found = await work.session.execute(
            select(OutboundRecipientRow, OutboundMessageRow.correlation_id, OutboundMessageRow.accepted_at)
            .join(OutboundMessageRow, OutboundMessageRow.message_id == OutboundRecipientRow.message_id)
            .where(OutboundRecipientRow.recipient_id == row.recipient_id)
            .with_for_update(of=OutboundRecipientRow)
            .execution_options(populate_existing=True)
        )
        recipient, correlation, accepted_at = found.one()
        before = OutboundState(recipient.state)
        weighed = await fold(work, recipient, row, policy=self._policy, at=self._clock.now())
        return _Folded(row, recipient, correlation, accepted_at, before, weighed.state)

    async def _verify(
        self, evidence: EvidenceRow, at_hand: AtHand | None, envelope: VerificationReport | None
    ) -> Verdict | None:
        """None when signer did not answer; then the row says when to ask again."""
        try:
            return Verdict(
                envelope or await self._judge_envelope(evidence, at_hand),
                await self._judge_document(evidence, at_hand),
            )
        except DomainError as error:
            if error.code is ErrorCode.DURABILITY_UNAVAILABLE:
                raise
            log.warning("evidence_not_verified", evidence_id=str(evidence.evidence_id), reason=error.detail)
            retry_at = self._clock.now() + timedelta(seconds=_SIGNER_PAUSE)
            async with self._database.unit_of_work() as work:
                row = await work.session.get_one(EvidenceRow, evidence.evidence_id, with_for_update=True)
                if row.verifications == evidence.verifications:
                    row.verify_at = retry_at
            return None

    async def _judge_envelope(self, evidence: EvidenceRow, at_hand: AtHand | None) -> VerificationReport:
        wrapped = evidence.media_type == SIGNED_DATA
        request = VerificationRequest(
            format=SignatureFormat.CADES if wrapped else SignatureFormat.SMIME,
            profile=Profile.KEPHS_TRANSACTION,
            moment=evidence.received_at,
        )
        if wrapped:
            return await ask(
                self._signer, request, self._blobs.stream(evidence.raw_sha256) if at_hand is None else at_hand.mail
            )
        if at_hand is not None:
            return await ask(self._signer, request, at_hand.mail, at_hand.covered)
        return await verify_mail(
            self._signer, self._blobs, evidence.raw_sha256, request, limit=self._max_mail_bytes, budget=self._budget
        )

    async def _judge_document(self, evidence: EvidenceRow, at_hand: AtHand | None) -> VerificationReport:
        request = VerificationRequest(
            format=SignatureFormat.XADES, profile=Profile.KEPHS_TRANSACTION, moment=evidence.received_at
        )
        document = self._blobs.stream(evidence.sha256) if at_hand is None else at_hand.document
        return await ask(self._signer, request, document)

    async def _add_verdict(self, work: UnitOfWork, row: EvidenceRow, verdict: Verdict) -> VerdictNews | None:
        """What is new in it; None of a first verdict, which the letter's history tells of."""
        now = self._clock.now()
        before = await work.session.scalar(
            select(EvidenceVerdictRow)
            .where(EvidenceVerdictRow.evidence_id == row.evidence_id)
            .order_by(EvidenceVerdictRow.sequence.desc())
            .limit(1)
        )
        news = None
        if row.conclusion is not None:
            previous = Maturity(row.maturity) if row.maturity is not None else Maturity.FINAL
            news = VerdictNews(verdict.conclusion, verdict.maturity, Conclusion(row.conclusion), previous)
        row.verifications += 1
        row.maturity = verdict.maturity.value
        row.conclusion = verdict.conclusion.value
        row.provisional = verdict.provisional
        row.envelope_conclusion = verdict.envelope.conclusion.value
        row.signature_conclusion = verdict.signature.conclusion.value
        row.verify_at = verdict.retry_at(now, row.verifications)
        self._metrics.verdicts.labels("evidence", verdict.conclusion.value).inc()
        if verdict.repeats(before):
            return None
        work.session.add(
            EvidenceVerdictRow(
                evidence_id=row.evidence_id,
                sequence=row.verifications,
                conclusion=verdict.conclusion.value,
                envelope=storable(verdict.envelope.model_dump(mode="json")),
                signature=storable(verdict.signature.model_dump(mode="json")),
                verified_at=now,
            )
        )
        return news

    async def _correlate(self, work: UnitOfWork, row: EvidenceRow) -> None:
        if row.recipient_id is not None:
            return
        found = await correlate(work.session, row)
        if found is not None:
            row.recipient_id, row.message_id, row.correlated_by = found.recipient_id, found.message_id, found.by
            row.correlate_at = None
            return
        if row.inbound_message_id is not None:
            row.correlate_at = None  # came with someone else's letter, so it is not about one of ours
            return
        if row.correlate_at is None or row.correlate_at <= self._clock.now():
            wait = timedelta(seconds=pause(row.correlations, CORRELATE_PAUSES))
            row.correlations += 1
            row.correlate_at = self._clock.now() + wait if row.correlations < MAX_CORRELATIONS else None
            log.info("evidence_uncorrelated", evidence_id=str(row.evidence_id), attempts=row.correlations)
