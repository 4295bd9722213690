"""The job ``kep_relay.ingest``: from a stored raw mail to a letter, pieces of evidence, or a case for a person.

Blobs first, then one transaction with everything that follows from the mail. A mail that cannot be
read, for whatever reason, ends as a visible quarantined row after a few attempts; its bytes stay.
Then the same job goes on to verify what it found; the rows say that this is due, so what it does not
get done, or dies over, is the sweeper's.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.kep_relay.acceptance.periods import Periods
from services.kep_relay.events import ThreatNews, tell
from services.kep_relay.evidence.keep import keep_evidence
from services.kep_relay.evidence.listed import documents
from services.kep_relay.evidence.settle import AtHand, EvidenceSettlement
from services.kep_relay.inbound.budget import ByteBudget
from services.kep_relay.inbound.classify import MailKind
from services.kep_relay.inbound.jobs import InboundJobs
from services.kep_relay.inbound.mapped import IN_MEMORY, open_stored
from services.kep_relay.inbound.message_rows import Stored, message_values, unread_values
from services.kep_relay.inbound.metrics import UNKNOWN_CODE, InboundMetrics
from services.kep_relay.inbound.precedence import Precedence
from services.kep_relay.inbound.rawmail import RawState
from services.kep_relay.inbound.reading import MailReading, VerificationRules, read_mail
from services.kep_relay.inbound.scanning import Scanner
from services.kep_relay.inbound.transfer import PIECE, Content, plain
from services.kep_relay.inbound.verification_mails import verification_row
from services.kep_relay.inbound.verify import LetterVerification
from services.kep_relay.tables import (
    EvidenceRow,
    InboundMessageRow,
    InboundPartRow,
    ListedEvidenceRow,
    MailboxRow,
    OutboundRecipientRow,
    RawMailRow,
)
from shared.blobs import BlobRef, BlobStore
from shared.clock import Clock
from shared.contracts.events import EventType
from shared.contracts.signatures import VerificationReport
from shared.db.session import Database, UnitOfWork
from shared.domain.identifiers import bare_message_id
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_MACHINE_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EROFS, errno.ENOENT})
"""What the place for temporary files says when it is full, gone or not to be written to."""
_ANY_SIZE = 1024 * 1024 * 1024
_PUTS_AT_ONCE = 8
_EVIDENCE_LIMIT = 8 * 1024 * 1024


@dataclass(frozen=True)
class _Found:
    """What came out of a mail and is to be verified."""

    letter_id: UUID | None
    evidence: Sequence[tuple[EvidenceRow, AtHand | None]]


class Ingestion:
    """Reads raw mails."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        jobs: InboundJobs,
        clock: Clock,
        metrics: InboundMetrics,
        budget: ByteBudget,
        verification: LetterVerification,
        settlement: EvidenceSettlement,
        periods: Periods,
        scanner: Scanner,
        precedence: Precedence,
        *,
        max_mail_bytes: int,
        attempts: int,
        verification_rules: VerificationRules,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._jobs = jobs
        self._clock = clock
        self._metrics = metrics
        self._budget = budget
        self._verification = verification
        self._settlement = settlement
        self._periods = periods
        self._scanner = scanner
        self._precedence = precedence
        self._max_mail_bytes = max_mail_bytes
        self._attempts = attempts
        self._verification_rules = verification_rules

    async def run(self, raw_mail_id: str) -> None:
        """The job. Raises ``DomainError`` only for what passes by itself."""
        await self._precedence.wait_for_storing()
        async with self._database.autocommit() as session:
            row = await session.get(RawMailRow, UUID(raw_mail_id))
        if row is None or row.state != RawState.STORED or row.sha256 is None:
            return
        try:
            found = await self._read(row, row.sha256)
        except DomainError as error:
            if error.retryable:
                raise
            await self._failed(row.raw_mail_id, error.detail)
        except OSError as error:
            if error.errno not in _MACHINE_FAULTS:
                await self._fault(row.raw_mail_id, error)
                return
            # A full disk is no fault of the mail: it waits, and is not put aside for a person.
            detail = f"there is no room to read the mail ({errno.errorcode[error.errno]})"
            raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, detail, retry_after_seconds=10) from error
        except Exception as error:  # noqa: BLE001
            # A mail must never be able to stop the next one, not even by a fault of ours (kep.md 7.38).
            await self._fault(row.raw_mail_id, error)
        else:
            await self._go_on(found)

    async def _read(self, row: RawMailRow, sha256: str) -> _Found:
        raw_mail_id, size = row.raw_mail_id, row.size
        async with (
            self._budget.hold(size),
            open_stored(self._blobs, sha256, limit=self._max_mail_bytes) as mail,
        ):
            if row.folder == documents.FOLDER:
                reading = await asyncio.to_thread(documents.read_document, mail.content)
                reading = replace(reading, references=await self._asked_about(row))
            else:
                reading = await asyncio.to_thread(read_mail, mail.content, self._verification_rules)
            reading = reading.under(await self._scanner.scan(mail.content))
            stored = await self._store(reading)
            async with self._database.unit_of_work() as work:
                letter_id, evidence = await self._write(work, raw_mail_id, reading, stored)
            if size > IN_MEMORY:
                return _Found(letter_id, [(row, None) for row, _document in evidence])
            raw, covered = bytes(mail.content), bytes(reading.mail.content.raw)
            return _Found(letter_id, [(row, AtHand(raw, covered, document)) for row, document in evidence])

    async def _asked_about(self, row: RawMailRow) -> tuple[str, ...]:
        """The Message-ID under which the document was listed: the best there is if it names none itself."""
        async with self._database.autocommit() as session:
            header = await session.scalar(
                select(OutboundRecipientRow.message_id_header)
                .join(ListedEvidenceRow, ListedEvidenceRow.recipient_id == OutboundRecipientRow.recipient_id)
                .where(ListedEvidenceRow.number == row.uid, ListedEvidenceRow.fits)
            )
        return () if header is None else (bare_message_id(header),)

    async def _go_on(self, found: _Found) -> None:
        """Verify the letter, then each piece of evidence."""
        envelope: VerificationReport | None = None
        try:
            if found.letter_id is not None:
                envelope = await self._verification.verify(found.letter_id)
            for row, at_hand in found.evidence:
                await self._settlement.settle(row, at_hand=at_hand, envelope=envelope)
        except DomainError as error:
            log.warning("left_to_the_sweeper", reason=error.detail)
        except Exception:
            log.exception("left_to_the_sweeper")

    async def _store(self, reading: MailReading) -> Stored:
        letter = reading.letter
        original = None if letter is None else await self._put(plain(letter.original))
        parts = await self._put_all([part.content for part in (letter.parts if letter else ())])
        evidence = [await self._blobs.put(part.document, limit=_EVIDENCE_LIMIT) for part in reading.mail.evidence]
        return Stored(original, tuple(parts), tuple(evidence))

    async def _put_all(self, contents: Sequence[Content]) -> list[BlobRef]:
        """A few at a time, each waits for the disk; small ones that are alike only once."""
        stored: list[BlobRef] = []
        known: dict[bytes, BlobRef] = {}
        for start in range(0, len(contents), _PUTS_AT_ONCE):
            stored += await asyncio.gather(
                *(self._put(content, known) for content in contents[start : start + _PUTS_AT_ONCE])
            )
        return stored

    async def _put(self, content: Content, known: dict[bytes, BlobRef] | None = None) -> BlobRef:
        if len(content.body) <= PIECE:
            small = content.read()
            digest = hashlib.sha256(small).digest()
            if known is not None and digest in known:
                return known[digest]
            blob = await self._blobs.put(small, limit=_ANY_SIZE)
            if known is not None:
                known[digest] = blob
            return blob
        return await self._blobs.put(_decoded_in_threads(content), limit=_ANY_SIZE)

    async def _write(
        self, work: UnitOfWork, raw_mail_id: UUID, reading: MailReading, stored: Stored
    ) -> tuple[UUID | None, list[tuple[EvidenceRow, bytes]]]:
        """The letter that is to be verified, if there is one, and new evidence with its documents."""
        raw = await work.session.get_one(RawMailRow, raw_mail_id, with_for_update=True)
        if raw.state != RawState.STORED:
            return None, []
        now = self._clock.now()
        message_id, new = None, False
        if reading.kind is not MailKind.EVIDENCE:
            message_id, new = await self._add_message(work, raw, reading, stored, now)
            if not new:
                self._metrics.duplicates.labels("letter").inc()
        added = await self._add_evidence(work, raw, reading, stored, message_id, now)
        raw.kind = reading.kind.value
        raw.message_id = message_id
        raw.ingested_at = now
        raw.next_attempt_at = None
        raw.reason_code = raw.reason = None
        raw.state = RawState.INGESTED if new or reading.kind is MailKind.EVIDENCE else RawState.DUPLICATE
        if reading.kind is MailKind.EVIDENCE and not added:
            raw.state = RawState.DUPLICATE
        self._metrics.mails.labels(reading.kind.value).inc()
        log.info(
            "mail_read", raw_mail_id=str(raw_mail_id), kind=reading.kind.value, state=raw.state, evidence=len(added),
            message_id=None if message_id is None else str(message_id), defects=list(reading.defects),
        )  # fmt: skip
        if new and reading.threat is not None:
            await tell(
                work, EventType.INBOUND_WITHHELD, ThreatNews(reading.threat.reason_code),
                institution_no=raw.institution_no, message_id=message_id, at=now,
            )  # fmt: skip
        return message_id if new else None, added

    async def _add_message(
        self, work: UnitOfWork, raw: RawMailRow, reading: MailReading, stored: Stored, now: datetime
    ) -> tuple[UUID, bool]:
        """The letter's id, and whether it is new: same mailbox, Message-ID and digest make it the same letter."""
        mailbox = await work.session.get_one(MailboxRow, raw.mailbox_id)
        values = message_values(raw, mailbox, reading, stored, now)
        inserted = await work.session.scalar(
            insert(InboundMessageRow)
            .values(values)
            .on_conflict_do_nothing(index_elements=["mailbox_id", "message_key", "original_sha256"])
            .returning(InboundMessageRow.message_id)
        )
        if inserted is None:
            existing = await work.session.scalar(
                select(InboundMessageRow.message_id).where(
                    InboundMessageRow.mailbox_id == raw.mailbox_id,
                    InboundMessageRow.message_key == values["message_key"],
                    InboundMessageRow.original_sha256 == values["original_sha256"],
                )
            )
            assert existing is not None
            return existing, False
        if reading.kind is MailKind.LETTER and raw.folder != mailbox.inbox_folder:
            # Somebody moved it before it was read here (kep.md 7.18): nothing is lost, but it could have been.
            self._metrics.found_elsewhere.inc()
            log.warning("letter_found_in_further_folder", message_id=str(inserted), folder=raw.folder)
        for part, blob in zip(reading.letter.parts if reading.letter else (), stored.parts, strict=True):
            work.session.add(
                InboundPartRow(
                    message_id=inserted,
                    number=part.number,
                    filename=part.filename,
                    media_type=part.media_type,
                    size=blob.size,
                    sha256=blob.sha256,
                    is_package=part.is_package,
                    defect=part.content.defect,
                )
            )
        if any(part.is_package for part in (reading.letter.parts if reading.letter else ())):
            await self._periods.start(work, inserted, raw.institution_no, raw.received_at)
        if reading.verification is not None:
            await work.session.flush()
            work.session.add(verification_row(inserted, raw, mailbox, reading.verification, now))
        return inserted, True

    async def _add_evidence(
        self,
        work: UnitOfWork,
        raw: RawMailRow,
        reading: MailReading,
        stored: Stored,
        message_id: UUID | None,
        now: datetime,
    ) -> list[tuple[EvidenceRow, bytes]]:
        added = []
        for part, blob in zip(reading.mail.evidence, stored.evidence, strict=True):
            row = await keep_evidence(
                work, raw, part.facts, blob, media_type=part.media_type, dispatch_id=reading.dispatch_id,
                rem_id=reading.rem_id, references=list(reading.references), inbound_message_id=message_id, now=now,
            )  # fmt: skip
            if row is None:
                self._metrics.duplicates.labels("evidence").inc()
                continue
            added.append((row, part.document))
            self._metrics.evidence.labels(UNKNOWN_CODE if part.facts.code is None else str(part.facts.code)).inc()
        return added

    async def _fault(self, raw_mail_id: UUID, error: Exception) -> None:
        log.error("mail_not_read", raw_mail_id=str(raw_mail_id), exc_info=error)
        await self._failed(raw_mail_id, f"fault while reading ({type(error).__name__})")

    async def _failed(self, raw_mail_id: UUID, reason: str) -> None:
        """Count the attempt; after the last one the mail waits for a person."""
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            raw = await work.session.get_one(RawMailRow, raw_mail_id, with_for_update=True)
            if raw.state != RawState.STORED:
                return
            raw.attempts += 1
            raw.reason_code, raw.reason = "ingest-failed", reason[:1000]
            if raw.attempts < self._attempts:
                raw.next_attempt_at = now + timedelta(seconds=2**raw.attempts)
                await self._jobs.defer_ingest(work, raw_mail_id, at=raw.next_attempt_at)
                return
            mailbox = await work.session.get_one(MailboxRow, raw.mailbox_id)
            message = InboundMessageRow(**unread_values(raw, mailbox, now))
            raw.state, raw.next_attempt_at, raw.message_id = RawState.QUARANTINED, None, message.message_id
            work.session.add(message)
        log.error("mail_quarantined", raw_mail_id=str(raw_mail_id), reason=reason)


async def _decoded_in_threads(content: Content) -> AsyncIterator[bytes]:
    pieces = content.pieces()
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
