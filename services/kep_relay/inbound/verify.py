"""The job ``kep_relay.verify``: judge envelope, sender's signature and package of one letter, then offer it.

A letter is offered whatever the verdict is: the EBYS decides, with verdict and reason before it. Only
signer's answer is waited for; until then the letter stays ``parsed``, visible, with the reason.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, cast
from uuid import UUID

import structlog

from services.kep_relay.evidence.settle import verify_again_at
from services.kep_relay.inbound.arrivals import Arrivals
from services.kep_relay.inbound.budget import ByteBudget
from services.kep_relay.inbound.mapped import open_stored
from services.kep_relay.inbound.metrics import InboundMetrics
from services.kep_relay.inbound.package import OpenedPackage, open_package
from services.kep_relay.inbound.signed_mail import ask, verify_mail
from services.kep_relay.inbound.texts import storable
from services.kep_relay.tables import InboundMessageRow, InboundVerificationRow
from shared.blobs import BlobStore
from shared.clients.signer import SignerClient
from shared.clock import Clock
from shared.contracts.inbound import ComponentVerification, InboundVerification
from shared.contracts.signatures import Profile, SignatureFormat, VerificationReport, VerificationRequest
from shared.db.session import Database, UnitOfWork
from shared.domain.message import InboundState
from shared.domain.verdict import Conclusion, Indication, worst
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_SIGNER_PAUSE = timedelta(seconds=10)
SIGNER_AWAY = "signer-unavailable"
PACKAGE_INVALID = "package-invalid"
PACKAGE_ENCRYPTED = "package-encrypted"
SIGNATURE_FAILED = "signature-failed"
ENVELOPE = "envelope"
_REQUIRED = frozenset({ENVELOPE, "sender-signature"})


@dataclass(frozen=True)
class Judged:
    """Everything found out about one letter in one run."""

    verification: InboundVerification
    package: OpenedPackage | None

    def reason_code(self, current: str | None) -> str | None:
        """Why a person should look, most tangible first; None when nothing speaks against the letter."""
        if self.package is not None and self.package.encrypted:
            return PACKAGE_ENCRYPTED
        if self.package is not None and not self.package.acceptable:
            return PACKAGE_INVALID
        if current not in {None, SIGNER_AWAY, SIGNATURE_FAILED, PACKAGE_INVALID}:
            return current
        return SIGNATURE_FAILED if self.verification.conclusion is Conclusion.FAILED else None


def conclude(components: list[ComponentVerification], package: OpenedPackage | None) -> Conclusion:
    """The letter's conclusion: the worst of all.

    A KEP message must be signed by the provider and by the sender, so a missing signature of either
    is a failure; so is a package with a fatal finding.
    """
    conclusions = [
        Conclusion.FAILED
        if item.component in _REQUIRED and item.report.indication is Indication.NO_SIGNATURE_FOUND
        else item.report.conclusion
        for item in components
    ]
    if package is not None and not package.acceptable:
        conclusions.append(Conclusion.FAILED)
    return worst(conclusions)


class LetterVerification:
    """Verifies letters."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        signer: SignerClient,
        clock: Clock,
        metrics: InboundMetrics,
        arrivals: Arrivals,
        budget: ByteBudget,
        *,
        sender_profile: Profile,
        max_mail_bytes: int,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._signer = signer
        self._clock = clock
        self._metrics = metrics
        self._arrivals = arrivals
        self._budget = budget
        self._sender_profile = sender_profile
        self._max_mail_bytes = max_mail_bytes

    async def run(self, message_id: str) -> None:
        """The job. Raises ``DomainError`` only when the database or the blob store is away."""
        await self.verify(UUID(message_id))

    async def verify(self, message_id: UUID) -> VerificationReport | None:
        """Verify a letter that is due; the verdict on its envelope, or None without one. Raises as ``run`` does."""
        async with self._database.autocommit() as session:
            row = await session.get(InboundMessageRow, message_id)
        if row is None or row.verify_at is None or row.raw_sha256 is None:
            return None
        try:
            judged = await self._judge(row)
        except DomainError as error:
            if error.code is ErrorCode.DURABILITY_UNAVAILABLE:
                raise
            await self._wait_for_signer(row, error)
            return None
        async with self._database.unit_of_work() as work:
            current = await work.session.get_one(InboundMessageRow, row.message_id, with_for_update=True)
            if current.verifications == row.verifications:
                self._write(work, current, judged)
        self._arrivals.announce()
        return next(item.report for item in judged.verification.components if item.component == ENVELOPE)

    async def _judge(self, row: InboundMessageRow) -> Judged:
        assert row.raw_sha256 is not None
        package: OpenedPackage | None = None
        if row.package_sha256 is not None:
            package = await self._open(row.package_sha256)
        moment = row.received_at
        components = [
            await self._component(ENVELOPE, row.raw_sha256, Profile.KEPHS_TRANSACTION, moment),
            await self._component("sender-signature", row.original_sha256, self._sender_profile, moment),
        ]
        for part in package.components if package else ():
            request = VerificationRequest(format=SignatureFormat.CADES, profile=part.profile, moment=moment)
            report = await ask(self._signer, request, part.cms, part.content)
            components.append(ComponentVerification(component=part.name, report=report))
        verification = InboundVerification(
            message_id=row.message_id,
            conclusion=conclude(components, package),
            components=components,
            findings=list(package.findings) if package else [],
            verified_at=self._clock.now(),
        )
        return Judged(verification, package)

    async def _open(self, sha256: str) -> OpenedPackage:
        async with open_stored(self._blobs, sha256, limit=self._max_mail_bytes) as stored:
            return await asyncio.to_thread(open_package, cast("BinaryIO", stored.file))

    async def _component(self, name: str, sha256: str, profile: Profile, moment: datetime) -> ComponentVerification:
        request = VerificationRequest(format=SignatureFormat.SMIME, profile=profile, moment=moment)
        report = await verify_mail(
            self._signer, self._blobs, sha256, request, limit=self._max_mail_bytes, budget=self._budget
        )
        return ComponentVerification(component=name, report=report)

    def _write(self, work: UnitOfWork, row: InboundMessageRow, judged: Judged) -> None:
        now, verification = self._clock.now(), judged.verification
        row.verifications += 1
        row.version += 1
        row.updated_at = now
        row.conclusion = verification.conclusion.value
        row.reason_code = judged.reason_code(row.reason_code)
        if judged.package is not None:
            row.document_id = _short(judged.package.document_id)
            row.document_no = _short(judged.package.document_no)
        reports = [item.report for item in verification.components]
        row.verify_at = verify_again_at(verification.conclusion, reports, row.verifications, now)
        if row.state == InboundState.PARSED:
            # ``verified`` and ``available`` are reached in one step: nothing lies between them.
            row.state = InboundState.AVAILABLE
            row.available_at = row.visible_at = now
        self._metrics.verdicts.labels("letter", verification.conclusion.value).inc()
        work.session.add(
            InboundVerificationRow(
                message_id=row.message_id,
                sequence=row.verifications,
                conclusion=verification.conclusion.value,
                verdict=storable(verification.model_dump(mode="json")),
                verified_at=now,
            )
        )
        log.info(
            "letter_verified", message_id=str(row.message_id), conclusion=row.conclusion, reason_code=row.reason_code
        )

    async def _wait_for_signer(self, row: InboundMessageRow, error: DomainError) -> None:
        log.warning("letter_not_verified", message_id=str(row.message_id), code=error.code, reason=error.detail)
        async with self._database.unit_of_work() as work:
            current = await work.session.get_one(InboundMessageRow, row.message_id, with_for_update=True)
            if current.verifications != row.verifications:
                return
            current.verify_at = self._clock.now() + _SIGNER_PAUSE
            if current.state == InboundState.PARSED and current.reason_code is None:
                current.reason_code = SIGNER_AWAY


def _short(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "")[:300]
