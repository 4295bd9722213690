"""The job ``kep_relay.verify``: judge envelope, sender's signature and package of one letter, then offer it.

A letter is offered whatever the verdict is: the EBYS decides, with verdict and reason before it. Only
signer's answer is waited for; until then the letter stays ``parsed``, visible, with the reason. What is
more secret than KEP may carry is not offered but sealed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select

from services.kep_relay.acceptance.periods import Periods
from services.kep_relay.events import VerdictNews, tell
from services.kep_relay.inbound.addressees import Addressees
from services.kep_relay.inbound.arrivals import Arrivals
from services.kep_relay.inbound.budget import ByteBudget
from services.kep_relay.inbound.classified import ArrivalRules, Standing, rules_of
from services.kep_relay.inbound.consumer_routing import decide
from services.kep_relay.inbound.consumer_rules import together
from services.kep_relay.inbound.judged import ENVELOPE, SENDER_SIGNATURE, SIGNER_AWAY, Judged, conclude, confined
from services.kep_relay.inbound.letter import PACKAGE_ENCRYPTED
from services.kep_relay.inbound.metrics import InboundMetrics
from services.kep_relay.inbound.package import Component, OpenedPackage
from services.kep_relay.inbound.packages import KEY_MAY_COME, LetterPackages
from services.kep_relay.inbound.sealing import Sealing
from services.kep_relay.inbound.signed_mail import ask, verify_mail
from services.kep_relay.inbound.texts import storable
from services.kep_relay.metrics import TransitionTimes
from services.kep_relay.reverifying import verify_again_at
from services.kep_relay.tables import InboundMessageRow, InboundPartRow, InboundVerificationRow
from shared.blobs import BlobStore
from shared.clients.signer import SignerClient
from shared.clock import ISTANBUL, Clock
from shared.contracts.envelopes import PackageOpening
from shared.contracts.events import EventType
from shared.contracts.inbound import ComponentVerification, InboundVerification
from shared.contracts.signatures import (
    Maturity,
    Profile,
    SignatureFormat,
    VerificationReport,
    VerificationRequest,
)
from shared.db.session import Database, UnitOfWork
from shared.domain.message import INBOUND_UNREGISTERED, InboundState
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_SIGNER_PAUSE = timedelta(seconds=10)


class LetterVerification:
    """Verifies letters."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        signer: SignerClient,
        clock: Clock,
        metrics: InboundMetrics,
        transitions: TransitionTimes,
        arrivals: Arrivals,
        budget: ByteBudget,
        *,
        periods: Periods,
        addressees: Addressees,
        sender_profile: Profile,
        max_mail_bytes: int,
        key_pause: timedelta,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._signer = signer
        self._clock = clock
        self._metrics = metrics
        self._transitions = transitions
        self._arrivals = arrivals
        self._budget = budget
        self._periods = periods
        self._addressees = addressees
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
        offered = False
        async with self._database.unit_of_work() as work:
            current = await work.session.get_one(InboundMessageRow, row.message_id, with_for_update=True)
            asked_at = None if current.verify_at == row.verify_at else current.verify_at
            if current.verifications == row.verifications:
                if judged.from_administration is not None:
                    current.from_administration = judged.from_administration
                if judged.from_administration is False:
                    await self._periods.not_for(work, current.message_id)
                await self._write(work, current, judged)
                offered = current.available_at != row.available_at
                # Somebody who asked meanwhile may have brought a key that this run did not have.
                current.verify_at = asked_at or current.verify_at
        if offered and current.available_at is not None:
            self._transitions.inbound(InboundState.AVAILABLE, current.received_at, current.available_at)
        self._arrivals.announce()
        return next(item.report for item in judged.verification.components if item.component == ENVELOPE)

    async def _judge(self, row: InboundMessageRow) -> Judged:
        """What is classified is sealed as soon as that is seen; only the mail's own signatures are judged then."""
        assert row.raw_sha256 is not None
        rules = rules_of(row.received_at.astimezone(ISTANBUL).date())
        # A plain letter's degree needs no signer, so that nothing waits for it in the open while signer is away.
        packages = await self._packages.look(await self._package_digests(row))
        whose = _from_administration([package for _sha256, package in packages])
        if await self._sealed(row, [package for _sha256, package in packages], rules):
            packages = []
        moment = row.received_at
        components = [
            await self._component(ENVELOPE, row.raw_sha256, Profile.KEPHS_TRANSACTION, moment),
            await self._component(SENDER_SIGNATURE, row.original_sha256, self._sender_profile, moment),
        ]
        opened = [
            await self._packages.open(sha256, package, row.institution_no, alone=len(packages) == 1)
            for sha256, package in packages
        ]
        whose = _from_administration(opened) if opened else whose
        if await self._sealed(row, opened, rules):
            opened = []
        package = opened[0] if row.package_sha256 is not None and opened else None
        inside = [await self._signature(part, moment) for part in (package.components if package else ())]
        if await self._sealed(row, opened, rules, proven=package is not None and _proven(package, inside)):
            opened, package, inside = [], None, []
        judged = self._joined(row, [*components, *inside], package, opened, rules)
        suspect = await self._addressees.findings(
            judged.addressing, row.institution_no, row.mailbox_address, row.sender_address
        )
        return replace(judged.but(suspect), from_administration=whose)

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
        addressing = together(item.addressing for item in packages)
        return Judged(verification, package, code, closed or next(iter(openings), None), addressing=addressing)

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

    async def _write(self, work: UnitOfWork, row: InboundMessageRow, judged: Judged) -> None:
        now = self._clock.now()
        if judged.opening is not None:
            self._metrics.openings.labels(judged.opening.value).inc()
        row.verify_at = self._again_at(row, judged, now)
        first = row.state == InboundState.PARSED  # also of one that was judged while it was withheld
        if not first and judged.still_closed(row):
            log.info("letter_still_closed", message_id=str(row.message_id), opening=judged.opening)
            return
        if not first and judged.repeats(await _on_record(work, row)):
            row.verifications += 1
            log.info("letter_still_open", message_id=str(row.message_id), verifications=row.verifications)
            return
        verification = judged.verification
        if row.state == InboundState.SEALED:
            verification = confined(verification)  # somebody else may have sealed it meanwhile
        else:
            row.reason_code = judged.reason_code(row.reason_code)
            _describe(row, judged)
        news = _news(row, verification.conclusion, judged.maturity)
        row.verifications += 1
        row.version += 1
        row.updated_at = now
        row.conclusion, row.maturity = verification.conclusion.value, news.maturity.value
        if first:
            # ``verified`` and ``available`` are reached in one step: nothing lies between them.
            row.state = InboundState.AVAILABLE
            row.available_at = row.visible_at = now
            await decide(work, row, judged.addressing)
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
        # A sealed letter is the security officer's business; an incident tells of it.
        if row.state != InboundState.SEALED and (first or (news.previous is not None and news.is_news)):
            await tell(
                work, EventType.INBOUND_AVAILABLE if first else EventType.INBOUND_VERDICT_CHANGED, news,
                institution_no=row.institution_no, message_id=row.message_id, at=now,
            )  # fmt: skip

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


async def _on_record(work: UnitOfWork, row: InboundMessageRow) -> InboundVerification | None:
    verdict = await work.session.scalar(
        select(InboundVerificationRow.verdict)
        .where(InboundVerificationRow.message_id == row.message_id)
        .order_by(InboundVerificationRow.sequence.desc())
        .limit(1)
    )
    return None if verdict is None else InboundVerification.model_validate(verdict)


def _news(row: InboundMessageRow, conclusion: Conclusion, maturity: Maturity) -> VerdictNews:
    if row.conclusion is None:
        return VerdictNews(conclusion, maturity)
    previous = Maturity(row.maturity) if row.maturity is not None else Maturity.FINAL
    return VerdictNews(conclusion, maturity, Conclusion(row.conclusion), previous)


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


def _from_administration(packages: list[OpenedPackage]) -> bool | None:
    return any(package.from_administration for package in packages) if packages else None


def _short(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "")[:300]
