"""Takes letters over, cancels them, and sends them again: what the gateway asks for."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select

from services.kep_relay.mailboxes import sending_mailbox
from services.kep_relay.outbound import moves
from services.kep_relay.outbound.confidentiality import confidentiality_event, recorded_confidentiality
from services.kep_relay.outbound.history import MAX_DETAIL, EventKind
from services.kep_relay.outbound.jobs import OutboundJobs
from services.kep_relay.outbound.queries import owned_message
from services.kep_relay.tables import MailboxRow, OutboundEventRow, OutboundMessageRow, OutboundRecipientRow
from shared.blobs import BlobStore
from shared.clock import Clock
from shared.contracts.outbound import OutboundSubmission
from shared.db.session import Database, UnitOfWork
from shared.domain.identifiers import detsis_number, new_id, sha256_hex
from shared.domain.message import BEFORE_SUBMISSION, OutboundState
from shared.errors import DomainError, ErrorCode, Fault

_ENDED_BADLY = frozenset(
    {
        OutboundState.REJECTED,
        OutboundState.RELAY_FAILED,
        OutboundState.UNDELIVERED,
        OutboundState.FAILED,
        OutboundState.EXPIRED,
        OutboundState.CANCELLED,
    }
)


class Acceptance:
    """Turns a submission into durable rows and jobs, in one transaction."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: BlobStore,
        clock: Clock,
        jobs: OutboundJobs,
        ttl: timedelta,
        max_package_bytes: int,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._jobs = jobs
        self._ttl = ttl
        self._max_package_bytes = max_package_bytes

    async def accept(self, message_id: UUID, submission: OutboundSubmission, *, resend_of: UUID | None = None) -> bool:
        """Take a letter over; whether it is new. When this returns, the letter cannot get lost.

        Raises ``DomainError``: STATE_CONFLICT when the id stands for another letter, MAILBOX_MISSING,
        NOT_FOUND when the package was not put before, VALIDATION_FAILED.
        """
        fingerprint = _fingerprint(submission, resend_of)
        obstacle: DomainError | None = None
        try:
            await self._check(submission)
        except DomainError as error:
            obstacle = error  # told only if the letter is new: what is accepted stays accepted, whatever holds now
        async with self._database.unit_of_work() as work:
            # Two identical calls at once: the second waits here and then finds the first one's row.
            await work.session.execute(select(func.pg_advisory_xact_lock(message_id.int & 0x7FFF_FFFF_FFFF_FFFF)))
            existing = await work.session.get(OutboundMessageRow, message_id)
            if existing is not None:
                _require_same(existing, fingerprint)
                return False
            if obstacle is not None:
                raise obstacle
            mailbox = await sending_mailbox(work.session, submission.institution_no)
            await self._store(work, message_id, submission, mailbox, fingerprint, resend_of)
        return True

    async def cancel(self, message_id: UUID, institutions: list[int]) -> tuple[list[UUID], list[UUID]]:
        """Stop every recipient not yet handed to the provider; returns those stopped and those too late."""
        async with self._database.reading() as session:
            await owned_message(session, message_id, institutions)
            recipients = list(
                await session.scalars(
                    select(OutboundRecipientRow)
                    .where(OutboundRecipientRow.message_id == message_id)
                    .order_by(OutboundRecipientRow.position)
                )
            )
        cancelled, too_late = [], []
        for recipient in recipients:
            state = OutboundState(recipient.state)
            if state == OutboundState.CANCELLED or await self._cancel_one(recipient.recipient_id, message_id):
                cancelled.append(recipient.recipient_id)
            else:
                too_late.append(recipient.recipient_id)
        return cancelled, too_late

    async def _cancel_one(self, recipient_id: UUID, message_id: UUID) -> bool:
        for state in sorted(BEFORE_SUBMISSION):
            # A claim does not protect here: the intent is compare-and-set on the state and will not fit any more.
            async with self._database.unit_of_work() as work:
                if await moves.move(
                    work,
                    recipient_id=recipient_id,
                    message_id=message_id,
                    from_state=state,
                    to_state=OutboundState.CANCELLED,
                    kind=EventKind.CANCELLED,
                    detail=None,
                    at=self._clock.now(),
                    values={**moves.RELEASED, moves.Row.next_attempt_at: None},
                ):
                    return True
        return False

    async def resend(self, message_id: UUID, institutions: list[int], new_message_id: UUID) -> bool:
        """Send to the recipients that ended badly again, as a new letter; whether it is new.

        Raises STATE_CONFLICT when there is no such recipient.
        """
        async with self._database.reading() as session:
            known = await session.get(OutboundMessageRow, new_message_id)
            message = await owned_message(session, message_id, institutions)
            if known is not None:
                if known.resend_of != message_id:
                    raise DomainError(ErrorCode.STATE_CONFLICT, "the new id stands for another letter")
                return False
            recipients = await session.execute(
                select(OutboundRecipientRow.detsis_no, OutboundRecipientRow.state)
                .where(OutboundRecipientRow.message_id == message_id)
                .order_by(OutboundRecipientRow.position)
            )
            again = [number for number, state in recipients if OutboundState(state) in _ENDED_BADLY]
        if not again:
            raise DomainError(ErrorCode.STATE_CONFLICT, "no recipient of this letter has ended without delivery")
        submission = OutboundSubmission(
            institution_no=message.institution_no,
            client_id=message.client_id,
            client_ref=message.client_ref,
            subject=message.subject,
            subject_withheld=message.subject_withheld,
            document_id=message.document_id,
            document_no=message.document_no,
            package_sha256=message.package_sha256,
            package_size=message.package_size,
            package_filename=message.package_filename,
            recipient_nos=again,
            confidentiality=recorded_confidentiality(message),
            correlation_id=message.correlation_id,
        )
        return await self.accept(new_message_id, submission, resend_of=message_id)

    async def _check(self, submission: OutboundSubmission) -> None:
        self._validate(submission)
        size = await self._blobs.size(submission.package_sha256)
        if size is None:
            raise DomainError(ErrorCode.NOT_FOUND, "the package was not put before the letter")
        if size != submission.package_size:
            raise _invalid("/package_size", f"the stored package has {size} bytes")

    def _validate(self, submission: OutboundSubmission) -> None:
        try:
            sha256_hex(submission.package_sha256)
        except ValueError as error:
            raise _invalid("/package_sha256", str(error)) from error
        if not 0 < submission.package_size <= self._max_package_bytes:
            raise DomainError(ErrorCode.TOO_LARGE, f"a package has at most {self._max_package_bytes} bytes")
        for index, number in enumerate(submission.recipient_nos):
            try:
                detsis_number(number)
            except ValueError as error:
                raise _invalid(f"/recipient_nos/{index}", str(error)) from error
        if len(set(submission.recipient_nos)) != len(submission.recipient_nos):
            raise _invalid("/recipient_nos", "names a recipient twice")
        if submission.expires_at is not None and submission.expires_at <= self._clock.now():
            raise _invalid("/expires_at", "has passed")

    async def _store(
        self,
        work: UnitOfWork,
        message_id: UUID,
        submission: OutboundSubmission,
        mailbox: MailboxRow,
        fingerprint: str,
        resend_of: UUID | None,
    ) -> None:
        now = self._clock.now()
        confidentiality = submission.confidentiality
        notable = None if confidentiality is None else confidentiality_event(confidentiality, submission.package_sha256)
        work.session.add(
            OutboundMessageRow(
                message_id=message_id,
                institution_no=submission.institution_no,
                client_id=submission.client_id,
                client_ref=submission.client_ref,
                subject=submission.subject,
                subject_withheld=submission.subject_withheld,
                document_id=submission.document_id,
                document_no=submission.document_no,
                package_sha256=sha256_hex(submission.package_sha256),
                package_size=submission.package_size,
                package_filename=submission.package_filename,
                mailbox_id=mailbox.mailbox_id,
                fingerprint=fingerprint,
                correlation_id=submission.correlation_id,
                resend_of=resend_of,
                confidentiality=None if confidentiality is None else confidentiality.model_dump(mode="json"),
                accepted_at=now,
                updated_at=now,
                expires_at=submission.expires_at or now + self._ttl,
                last_sequence=len(submission.recipient_nos) + (notable is not None),
            )
        )
        await work.session.flush()
        domain = mailbox.address.rpartition("@")[2]
        recipient_ids = [new_id() for _ in submission.recipient_nos]
        for position, (recipient_id, number) in enumerate(zip(recipient_ids, submission.recipient_nos, strict=True)):
            work.session.add(
                OutboundRecipientRow(
                    recipient_id=recipient_id,
                    message_id=message_id,
                    institution_no=submission.institution_no,
                    position=position,
                    detsis_no=number,
                    state=OutboundState.QUEUED,
                    attention=[],
                    message_id_header=f"<{recipient_id}@{domain}>",
                    rem_id=str(recipient_id),
                    attempts=0,
                    setbacks=0,
                    next_attempt_at=now,
                    created_at=now,
                    updated_at=now,
                    version=1,
                )
            )
        await work.session.flush()
        # Not ``history.record``, which numbers lines one by one: nobody else can see this letter yet.
        work.session.add_all(
            OutboundEventRow(
                message_id=message_id, sequence=sequence, recipient_id=recipient_id, at=now, kind=EventKind.HANDED_OVER,
                to_state=OutboundState.QUEUED,
            )
            for sequence, recipient_id in enumerate(recipient_ids, 1)
        )  # fmt: skip
        if notable is not None:
            kind, detail = notable
            work.session.add(
                OutboundEventRow(
                    message_id=message_id, sequence=len(recipient_ids) + 1, recipient_id=None, at=now, kind=kind,
                    detail=detail[:MAX_DETAIL],
                )
            )  # fmt: skip
        for recipient_id in recipient_ids:
            await self._jobs.defer_submit(work, recipient_id, correlation_id=submission.correlation_id)


def _fingerprint(submission: OutboundSubmission, resend_of: UUID | None) -> str:
    content = submission.model_dump_json(exclude={"correlation_id"})
    return hashlib.sha256(f"{resend_of}|{content}".encode()).hexdigest()


def _require_same(existing: OutboundMessageRow, fingerprint: str) -> None:
    if existing.fingerprint != fingerprint:
        raise DomainError(ErrorCode.STATE_CONFLICT, "the message id stands for another letter")


def _invalid(pointer: str, detail: str) -> DomainError:
    return DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault(pointer, detail)])
