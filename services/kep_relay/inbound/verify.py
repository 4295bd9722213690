"""The job ``kep_relay.verify``: judge envelope, sender's signature and package of one letter, then offer it.

A letter is offered whatever the verdict is: the EBYS decides, with verdict and reason before it. Only
signer's answer is waited for; until then the letter stays ``parsed``, visible, with the reason. What is
more secret than KEP may carry is not offered but sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select

from services.kep_relay.evidence.settle import verify_again_at
from services.kep_relay.inbound.arrivals import Arrivals
from services.kep_relay.inbound.budget import ByteBudget
from services.kep_relay.inbound.classified import ArrivalRules, Standing, rules_of
from services.kep_relay.inbound.letter import PACKAGE_ENCRYPTED
from services.kep_relay.inbound.metrics import InboundMetrics
from services.kep_relay.inbound.package import Component, OpenedPackage
from services.kep_relay.inbound.packages import KEY_MAY_COME, LetterPackages, closed_conclusion
from services.kep_relay.inbound.sealing import Sealing
from services.kep_relay.inbound.signed_mail import ask, verify_mail
from services.kep_relay.inbound.texts import storable
from services.kep_relay.tables import InboundMessageRow, InboundPartRow, InboundVerificationRow
from shared.blobs import BlobStore
from shared.clients.signer import SignerClient
from shared.clock import ISTANBUL, Clock
from shared.contracts.envelopes import PackageOpening
from shared.contracts.inbound import ComponentVerification, InboundVerification
from shared.contracts.signatures import Profile, SignatureFormat, VerificationReport, VerificationRequest
from shared.db.session import Database, UnitOfWork
from shared.domain.message import INBOUND_UNREGISTERED, InboundState
from shared.domain.verdict import Conclusion, Indication, worst
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_SIGNER_PAUSE = timedelta(seconds=10)
SIGNER_AWAY = "signer-unavailable"
PACKAGE_INVALID = "package-invalid"
SIGNATURE_FAILED = "signature-failed"
ENVELOPE = "envelope"
SENDER_SIGNATURE = "sender-signature"
_REQUIRED = frozenset({ENVELOPE, SENDER_SIGNATURE})
_ENCRYPTED = "encrypted-"


@dataclass(frozen=True)
class Judged:
    """Everything found out about one letter in one run."""

    verification: InboundVerification
    package: OpenedPackage | None
    """The package, if there is exactly one."""
    security_code: str | None = None
    opening: PackageOpening | None = None
    """The worst one, of a letter with several packages."""

    def reason_code(self, current: str | None) -> str | None:
        """Why a person should look, most tangible first; None when nothing speaks against the letter."""
        if self.package is not None and self.opening not in {None, PackageOpening.OPENED}:
            return f"{_ENCRYPTED}{self.opening}"
        if self.package is not None and not self.package.acceptable:
            return PACKAGE_INVALID
        provisional = {None, SIGNER_AWAY, SIGNATURE_FAILED, PACKAGE_INVALID, PACKAGE_ENCRYPTED}
        if current not in provisional and not (current or "").startswith(_ENCRYPTED):
            return current
        return SIGNATURE_FAILED if self.verification.conclusion is Conclusion.FAILED else None

    def changes(self, row: InboundMessageRow) -> bool:
        """False for another try that ended as the one before: nobody gains by the same verdict every hour."""
        return (
            row.verifications == 0
            or self.opening not in KEY_MAY_COME
            or row.opening != self.opening
            or row.conclusion != self.verification.conclusion.value
        )


def confined(verification: InboundVerification) -> InboundVerification:
    """What may be told of a sealed letter: the signatures of the mail, and nothing of what it carries."""
    outside = [item for item in verification.components if item.component in _REQUIRED]
    return verification.model_copy(
        update={"components": outside, "findings": [], "conclusion": conclude(outside, None)}
    )


def conclude(components: list[ComponentVerification], package: OpenedPackage | None) -> Conclusion:
    """The letter's conclusion: the worst of all.

    A KEP message must be signed by the provider and by the sender, so a missing signature of either
    is a failure; so is a package with a fatal finding, or an envelope that no key will ever open.
    """
    conclusions = [
        Conclusion.FAILED
        if item.component in _REQUIRED and item.report.indication is Indication.NO_SIGNATURE_FOUND
        else item.report.conclusion
        for item in components
    ]
    if package is not None and not package.acceptable:
        conclusions.append(Conclusion.FAILED)
    if package is not None:
        conclusions.append(closed_conclusion(package.opening))
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
        key_pause: timedelta,
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
        self._key_pause = key_pause
        self._packages = LetterPackages(blobs, signer, budget, max_bytes=max_mail_bytes)
        self._sealing = Sealing(database, clock, metrics)

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
            asked_at = None if current.verify_at == row.verify_at else current.verify_at
            if current.verifications == row.verifications:
                self._write(work, current, judged)
                # Somebody who asked meanwhile may have brought a key that this run did not have.
                current.verify_at = asked_at or current.verify_at
        self._arrivals.announce()
        return next(item.report for item in judged.verification.components if item.component == ENVELOPE)

    async def _judge(self, row: InboundMessageRow) -> Judged:
        """What is classified is sealed as soon as that is seen; only the mail's own signatures are judged then."""
        assert row.raw_sha256 is not None
        rules = rules_of(row.received_at.astimezone(ISTANBUL).date())
        # A plain letter's degree needs no signer, so that nothing waits for it in the open while signer is away.
        packages = await self._packages.look(await self._package_digests(row))
        if await self._sealed(row, [package for _sha256, package in packages], rules):
            packages = []
        moment = row.received_at
        components = [
            await self._component(ENVELOPE, row.raw_sha256, Profile.KEPHS_TRANSACTION, moment),
            await self._component(SENDER_SIGNATURE, row.original_sha256, self._sender_profile, moment),
        ]
        opened = [await self._packages.open(sha256, package, row.institution_no) for sha256, package in packages]
        if await self._sealed(row, opened, rules):
            opened = []
        package = opened[0] if row.package_sha256 is not None and opened else None
        inside = [await self._signature(part, moment) for part in (package.components if package else ())]
        if await self._sealed(row, opened, rules, proven=package is not None and _proven(package, inside)):
            opened, package, inside = [], None, []
        return self._joined(row, [*components, *inside], package, opened, rules)

    async def _package_digests(self, row: InboundMessageRow) -> list[str]:
        if row.state == InboundState.SEALED:
            return []
        if row.package_sha256 is not None:
            return [row.package_sha256]
        async with self._database.reading() as session:
            found = await session.scalars(
                select(InboundPartRow.sha256)
                .where(InboundPartRow.message_id == row.message_id, InboundPartRow.is_package)
                .order_by(InboundPartRow.number)
            )
        return list(dict.fromkeys(found))

    async def _sealed(
        self, row: InboundMessageRow, packages: list[OpenedPackage], rules: ArrivalRules, *, proven: bool | None = None
    ) -> bool:
        """Seal the letter if one of its packages asks for it; ``proven``: whether updates are, once that is known."""
        for package in packages:
            standing = package.degree.standing(rules)
            if standing is Standing.SEALED or (standing is Standing.LOWERED and proven is False):
                await self._sealing.seal(row.message_id, package.degree, rules)
                return True
        return False

    def _joined(
        self,
        row: InboundMessageRow,
        components: list[ComponentVerification],
        package: OpenedPackage | None,
        packages: list[OpenedPackage],
        rules: ArrivalRules,
    ) -> Judged:
        findings = [finding for item in packages for finding in item.degree.findings(rules)]
        verification = InboundVerification(
            message_id=row.message_id,
            conclusion=conclude(components, package),
            components=components,
            findings=[*dict.fromkeys(findings), *(package.findings if package else ())],
            verified_at=self._clock.now(),
        )
        degrees = [item.degree.in_force(rules) for item in packages]
        code = degrees[0] if len(degrees) == 1 else None
        openings = [item.opening for item in packages if item.opening is not None]
        closed = next((item for item in openings if item is not PackageOpening.OPENED), None)
        return Judged(verification, package, code, closed or next(iter(openings), None))

    async def _signature(self, part: Component, moment: datetime) -> ComponentVerification:
        request = VerificationRequest(format=SignatureFormat.CADES, profile=part.profile, moment=moment)
        report = await ask(self._signer, request, part.cms, part.content)
        return ComponentVerification(component=part.name, report=report)

    async def _component(self, name: str, sha256: str, profile: Profile, moment: datetime) -> ComponentVerification:
        request = VerificationRequest(format=SignatureFormat.SMIME, profile=profile, moment=moment)
        report = await verify_mail(
            self._signer, self._blobs, sha256, request, limit=self._max_mail_bytes, budget=self._budget
        )
        return ComponentVerification(component=name, report=report)

    def _write(self, work: UnitOfWork, row: InboundMessageRow, judged: Judged) -> None:
        now = self._clock.now()
        if judged.opening is not None:
            self._metrics.openings.labels(judged.opening.value).inc()
        row.verify_at = self._again_at(row, judged, now)
        if not judged.changes(row):
            log.info("letter_still_closed", message_id=str(row.message_id), opening=judged.opening)
            return
        verification = judged.verification
        if row.state == InboundState.SEALED:
            verification = confined(verification)  # somebody else may have sealed it meanwhile
        else:
            row.reason_code = judged.reason_code(row.reason_code)
            _describe(row, judged)
        row.verifications += 1
        row.version += 1
        row.updated_at = now
        row.conclusion = verification.conclusion.value
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

    def _again_at(self, row: InboundMessageRow, judged: Judged, now: datetime) -> datetime | None:
        if judged.opening in KEY_MAY_COME:
            return now + self._key_pause if row.state in INBOUND_UNREGISTERED else None
        reports = [item.report for item in judged.verification.components]
        return verify_again_at(judged.verification.conclusion, reports, row.verifications + 1, now)

    async def _wait_for_signer(self, row: InboundMessageRow, error: DomainError) -> None:
        log.warning("letter_not_verified", message_id=str(row.message_id), code=error.code, reason=error.detail)
        async with self._database.unit_of_work() as work:
            current = await work.session.get_one(InboundMessageRow, row.message_id, with_for_update=True)
            if current.verifications != row.verifications:
                return
            current.verify_at = self._clock.now() + _SIGNER_PAUSE
            if current.state == InboundState.PARSED and current.reason_code in {None, PACKAGE_ENCRYPTED}:
                current.reason_code = SIGNER_AWAY


def _describe(row: InboundMessageRow, judged: Judged) -> None:
    row.security_code = judged.security_code
    row.opening = None if judged.opening is None else judged.opening.value
    if judged.package is not None:
        row.document_id = _short(judged.package.document_id)
        row.document_no = _short(judged.package.document_no)
        row.opened_sha256, row.opened_size = judged.package.opened_sha256, judged.package.opened_size


def _proven(package: OpenedPackage, inside: list[ComponentVerification]) -> bool:
    """Whether everything that a package says may be believed."""
    return package.acceptable and all(item.report.conclusion is Conclusion.PASSED for item in inside)


def _short(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "")[:300]
