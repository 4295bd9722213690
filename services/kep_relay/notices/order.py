"""Takes the order for a notice and enters it as an outgoing message: one transaction, once per letter.

The notice is a legal act (kep.md 5): only a person's call makes one, and only of a refusal that a person wrote down
while the period ran. From there it goes the way of every outgoing letter.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.acceptance.describing import reasons_of
from services.kep_relay.acceptance.rules import rule_of
from services.kep_relay.inbound.classified import rules_of
from services.kep_relay.inbound.judged import ENVELOPE
from services.kep_relay.inbound.package import OpenedPackage
from services.kep_relay.inbound.packages import LetterPackages
from services.kep_relay.inbound.queries import owned
from services.kep_relay.mailboxes import AddressBook, sending_mailbox
from services.kep_relay.notices import wire
from services.kep_relay.notices.text import NoticeFacts, Quoted, notice_text, reply_header
from services.kep_relay.outbound.enter import ADDRESS_RULE, Addressee, enter
from services.kep_relay.outbound.history import EventKind
from services.kep_relay.outbound.jobs import OutboundJobs
from services.kep_relay.tables import (
    AcceptanceRow,
    EvidenceRow,
    InboundMessageRow,
    InboundPartRow,
    InboundVerificationRow,
    MailboxRow,
    OutboundMessageRow,
    RefusalNoticeRow,
)
from shared.blobs import BlobStore
from shared.clock import ISTANBUL, Clock
from shared.contracts.acceptance import AcceptanceState
from shared.contracts.inbound import InboundVerification
from shared.contracts.notices import NoticeOrder
from shared.contracts.outbound import OutboundKind
from shared.db.session import Database, UnitOfWork
from shared.domain.evidence import EvidenceCode
from shared.domain.identifiers import KepAddress, kep_address
from shared.domain.message import InboundState
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp import SecurityCode

log = structlog.get_logger(__name__)

_LARGEST_TEXT = 512 * 1024
_LOOKS = 3


@dataclass(frozen=True)
class _Case:
    """A refused letter as the notice needs to know it, at one moment."""

    letter: InboundMessageRow
    acceptance: AcceptanceRow
    package_digests: Sequence[str]
    evidence_time: datetime | None


class Notices:
    """Orders notices."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: BlobStore,
        clock: Clock,
        packages: LetterPackages,
        addresses: AddressBook,
        jobs: OutboundJobs,
        ttl: timedelta,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._packages = packages
        self._addresses = addresses
        self._jobs = jobs
        self._ttl = ttl

    async def order(self, message_id: UUID, institutions: Sequence[int], order: NoticeOrder) -> tuple[UUID, bool]:
        """The notice's id, and whether this order made it; the same order again is answered with the first one's.

        Raises ``DomainError``: NOT_FOUND; STATE_CONFLICT when there is no refusal to tell of, it is too late, or
        another notice was ordered; RECIPIENT_KEP_MISSING and RECIPIENT_KEP_INACTIVE when nothing can go to the
        sender; VALIDATION_FAILED; MAILBOX_MISSING; DURABILITY_UNAVAILABLE.
        """
        for _look in range(_LOOKS):
            async with self._database.reading() as session:
                letter = await owned(session, message_id, institutions)
                known = await session.get(RefusalNoticeRow, message_id)
                case = None if known is not None else await self._case(session, letter)
            if known is not None:
                return _same(known, order), False
            assert case is not None
            sender = self._sender(letter)
            looked = await self._look(case.package_digests)
            quoted = _quoted(letter, [package for _sha256, package in looked])
            if quoted is None and order.text is not None:
                detail = "nothing but the rules is told about a letter whose content providers must not read"
                raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault("/text", detail)])
            text = notice_text(_facts(case, order, sender, quoted)).encode()
            stored = await self._blobs.put(_once(text), limit=_LARGEST_TEXT)
            async with self._database.unit_of_work() as work:
                current = await owned(work.session, message_id, institutions, lock=True)
                known = await work.session.get(RefusalNoticeRow, message_id)
                if known is not None:
                    return _same(known, order), False
                # Sealed meanwhile, or judged otherwise: what was written may say too much.
                if current.version == letter.version:
                    self._in_time(case.acceptance)
                    await self._enter(work, current, order, sender, stored.sha256, stored.size)
                    return order.notice_id, True
        raise DomainError(ErrorCode.STATE_CONFLICT, "the letter is being judged; ask again")

    async def _look(self, digests: Sequence[str]) -> list[tuple[str, OpenedPackage]]:
        try:
            return await self._packages.look(digests)
        except DomainError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            detail = "the package is missing in the blob store"
            raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, detail) from error

    async def _case(self, session: AsyncSession, letter: InboundMessageRow) -> _Case:
        acceptance = await session.get(AcceptanceRow, letter.message_id)
        if acceptance is None or letter.from_administration is False:
            raise DomainError(ErrorCode.STATE_CONFLICT, "only a letter of another administration can be refused")
        if acceptance.state != AcceptanceState.REFUSED:
            raise DomainError(
                ErrorCode.STATE_CONFLICT, f"the letter is {acceptance.state}: there is no refusal to tell"
            )
        self._in_time(acceptance)
        if letter.verifications == 0:
            detail = "the letter was not judged yet, so that it is not certain who wrote it; ask again"
            raise DomainError(ErrorCode.STATE_CONFLICT, detail)
        verdict = await session.scalar(
            select(InboundVerificationRow.verdict)
            .where(InboundVerificationRow.message_id == letter.message_id)
            .order_by(InboundVerificationRow.sequence.desc())
            .limit(1)
        )
        if verdict is not None and _forged(InboundVerification.model_validate(verdict)):
            detail = "the provider's signature on the mail does not hold: its sender is not proven"
            raise DomainError(ErrorCode.STATE_CONFLICT, detail)
        digests = await session.scalars(
            select(InboundPartRow.sha256)
            .where(InboundPartRow.message_id == letter.message_id, InboundPartRow.is_package)
            .order_by(InboundPartRow.number)
        )
        evidence_time = await session.scalar(
            select(EvidenceRow.event_time)
            .where(
                EvidenceRow.inbound_message_id == letter.message_id,
                EvidenceRow.code == EvidenceCode.DELIVERED,
                EvidenceRow.conclusion == Conclusion.PASSED,
                EvidenceRow.event_time.is_not(None),
            )
            .order_by(EvidenceRow.event_time)
            .limit(1)
        )
        return _Case(letter, acceptance, list(dict.fromkeys(digests)), evidence_time)

    def _in_time(self, acceptance: AcceptanceRow) -> None:
        if acceptance.due_at <= self._clock.now():
            detail = f"the period in which the sender can be told ended {acceptance.due_at}"
            raise DomainError(ErrorCode.STATE_CONFLICT, detail)

    def _sender(self, letter: InboundMessageRow) -> KepAddress:
        try:
            address = kep_address(letter.sender_address or "")
        except ValueError:
            detail = "the KEP address of the letter's sender is not known"
            raise DomainError(ErrorCode.RECIPIENT_KEP_MISSING, detail) from None
        if not self._addresses.allows(address):
            detail = "the sender's address is outside the configured KEP domains"
            raise DomainError(ErrorCode.RECIPIENT_KEP_INACTIVE, detail)
        return address

    async def _enter(
        self,
        work: UnitOfWork,
        letter: InboundMessageRow,
        order: NoticeOrder,
        sender: KepAddress,
        sha256: str,
        size: int,
    ) -> None:
        now = self._clock.now()
        if await work.session.get(OutboundMessageRow, order.notice_id) is not None:
            raise DomainError(ErrorCode.STATE_CONFLICT, "the notice's id stands for another message")
        mailbox = await work.session.get_one(MailboxRow, letter.mailbox_id)
        if not (mailbox.active and mailbox.sends):
            mailbox = await sending_mailbox(work.session, letter.institution_no)
        if mailbox.signing_key_id is None:
            raise DomainError(ErrorCode.MAILBOX_MISSING, "the mailbox has no key that could sign the notice")
        message = OutboundMessageRow(
            message_id=order.notice_id, kind=OutboundKind.NOTICE, reply_to=letter.message_id,
            in_reply_to=reply_header(letter.message_id_header), institution_no=letter.institution_no,
            client_id=order.client_id, client_ref=None, subject=wire.SUBJECT, subject_withheld=False,
            document_id=None, document_no=None, package_sha256=sha256, package_size=size,
            package_filename=wire.FILENAME, mailbox_id=mailbox.mailbox_id,
            fingerprint=hashlib.sha256(f"notice|{letter.message_id}|{sha256}".encode()).hexdigest(),
            correlation_id=order.correlation_id, resend_of=None, accepted_at=now, updated_at=now,
            expires_at=now + self._ttl,
        )  # fmt: skip
        ordered = f"refusal of {letter.message_id}, sent by order of {order.decided_by}"
        await enter(
            work, self._jobs, message, [Addressee(None, sender, ADDRESS_RULE)],
            domain=mailbox.address.rpartition("@")[2], notable=[(EventKind.NOTICE_ORDERED, ordered)],
        )  # fmt: skip
        acceptance = await work.session.get_one(AcceptanceRow, letter.message_id, with_for_update=True)
        acceptance.next_at = None  # nobody has to be reminded of it any more
        work.session.add(
            RefusalNoticeRow(
                message_id=letter.message_id, notice_id=order.notice_id, institution_no=letter.institution_no,
                client_id=order.client_id, decided_by=order.decided_by, text=order.text, ordered_at=now,
            )
        )  # fmt: skip
        log.info("refusal_notice_ordered", message_id=str(letter.message_id), notice_id=str(order.notice_id))


def _same(known: RefusalNoticeRow, order: NoticeOrder) -> UUID:
    if (known.decided_by, known.text) != (order.decided_by, order.text):
        raise DomainError(ErrorCode.STATE_CONFLICT, f"another notice was ordered for this letter at {known.ordered_at}")
    return known.notice_id


def _forged(verdict: InboundVerification) -> bool:
    return any(
        item.component == ENVELOPE and item.report.conclusion is Conclusion.FAILED for item in verdict.components
    )


def _quoted(letter: InboundMessageRow, packages: Sequence[OpenedPackage]) -> Quoted | None:
    """None unless everything the letter carries is for anybody's eyes, as far as can be told."""
    rules = rules_of(letter.received_at.astimezone(ISTANBUL).date())
    open_to_all = {None, SecurityCode.UNCLASSIFIED}
    closed = any(package.encrypted or package.degree.in_force(rules) not in open_to_all for package in packages)
    raised = any(package.degree.most not in open_to_all for package in packages)
    if letter.state == InboundState.SEALED or letter.opening is not None or closed or raised:
        return None
    only = packages[0] if len(packages) == 1 else None
    return Quoted(
        document_no=letter.document_no, document_date=None if only is None else only.document_date,
        document_id=letter.document_id, package_sha256=letter.package_sha256,
    )  # fmt: skip


def _facts(case: _Case, order: NoticeOrder, sender: KepAddress, quoted: Quoted | None) -> NoticeFacts:
    letter, acceptance = case.letter, case.acceptance
    assert acceptance.decided_at is not None
    return NoticeFacts(
        notice_id=order.notice_id, message_id_header=letter.message_id_header, rem_id=letter.rem_id, sender=sender,
        receiver=letter.mailbox_address, delivered_at=case.evidence_time or acceptance.started_at,
        by_evidence=case.evidence_time is not None, quoted=quoted, reasons=reasons_of(acceptance),
        rule=rule_of(acceptance.started_at.astimezone(ISTANBUL).date()), refused_by=acceptance.decided_by or "",
        refused_at=acceptance.decided_at, sent_by=order.decided_by, remark=order.text,
    )  # fmt: skip


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
