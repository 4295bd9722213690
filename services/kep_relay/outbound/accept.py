"""Takes letters over, cancels them, and sends them again: what the gateway asks for."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.accounts.checks import require_ready
from services.kep_relay.mailboxes import sending_mailbox
from services.kep_relay.outbound import moves
from services.kep_relay.outbound.client_signature import ClientSignature, ClientSignatures
from services.kep_relay.outbound.confidentiality import confidentiality_event, recorded_confidentiality
from services.kep_relay.outbound.enter import ADDRESS_RULE, Addressee, enter
from services.kep_relay.outbound.history import EventKind
from services.kep_relay.outbound.jobs import OutboundJobs
from services.kep_relay.outbound.queries import owned_message
from services.kep_relay.tables import MailboxRow, OutboundMessageRow, OutboundRecipientRow
from shared.blobs import BlobStore
from shared.clock import Clock
from shared.contracts.outbound import OutboundKind, OutboundSubmission
from shared.db.session import Database, UnitOfWork
from shared.domain.identifiers import KepAddress, detsis_number, sha256_hex
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

_SENT_AGAIN = "sent again already: if the later letter has ended without delivery as well, send that one again"


class Acceptance:
    """Turns a submission into durable rows and jobs, in one transaction."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: BlobStore,
        clock: Clock,
        jobs: OutboundJobs,
        signatures: ClientSignatures,
        ttl: timedelta,
        max_package_bytes: int,
        refuse_unready: bool = False,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._jobs = jobs
        self._signatures = signatures
        self._ttl = ttl
        self._max_package_bytes = max_package_bytes
        self._refuse_unready = refuse_unready

    async def accept(self, message_id: UUID, submission: OutboundSubmission, *, resend_of: UUID | None = None) -> bool:
        """Take a letter over; whether it is new. When this returns, the letter cannot get lost.

        Raises ``DomainError``: STATE_CONFLICT when the id stands for another letter, MAILBOX_MISSING,
        NOT_FOUND when the package was not put before, VALIDATION_FAILED; as ``ClientSignatures.judged``; with
        ``refuse_unready`` as ``accounts.checks.require_ready`` does.
        """
        fingerprint = _fingerprint(submission, resend_of)
        obstacle: DomainError | None = None
        signature: ClientSignature | None = None
        try:
            await self._check(submission)
            signature = await self._signatures.judged(submission)
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
            if resend_of is not None:
                # Whoever sends it again at the same time waits here and is told.
                await work.session.get_one(OutboundMessageRow, resend_of, with_for_update=True)
                if await _sent_again(work.session, resend_of) & set(submission.recipient_nos):
                    raise DomainError(ErrorCode.STATE_CONFLICT, _SENT_AGAIN)
            mailbox = await sending_mailbox(work.session, submission.institution_no)
            if signature is None and mailbox.signing_key_id is None:
                raise _invalid("/message_signature", "the mailbox has no key: each letter brings its signature along")
            if self._refuse_unready:
                await require_ready(work.session, mailbox)
            await self._store(work, message_id, submission, mailbox, fingerprint, resend_of, signature)
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
        async with self._database.unit_of_work() as work:
            # Locked: what waits goes from one state to another and back, and must be met in none of them too late.
            found = await work.session.scalar(
                select(moves.Row.state).where(moves.Row.recipient_id == recipient_id).with_for_update()
            )
            if found not in BEFORE_SUBMISSION:
                return False
            # A claim does not protect here: the intent is compare-and-set on the state and will not fit any more.
            return await moves.move(
                work,
                recipient_id=recipient_id,
                message_id=message_id,
                from_state=OutboundState(found),
                to_state=OutboundState.CANCELLED,
                kind=EventKind.CANCELLED,
                detail=None,
                at=self._clock.now(),
                values={**moves.RELEASED, moves.Row.next_attempt_at: None},
            )

    async def resend(self, message_id: UUID, institutions: list[int], new_message_id: UUID) -> bool:
        """Send to the recipients that ended badly again, as a new letter; whether it is new.

        Each recipient of a letter is sent to again once: of the new letter, if that ends badly as well, it is done
        again. Raises STATE_CONFLICT when there is no such recipient.
        """
        async with self._database.reading() as session:
            known = await session.get(OutboundMessageRow, new_message_id)
            message = await owned_message(session, message_id, institutions)
            if known is not None:
                return _repeated(known, message_id)
            recipients = await session.execute(
                select(OutboundRecipientRow.detsis_no, OutboundRecipientRow.state)
                .where(OutboundRecipientRow.message_id == message_id)
                .order_by(OutboundRecipientRow.position)
            )
            # Only a notice has none, and that is sent again by itself.
            ended = [number or 0 for number, state in recipients if OutboundState(state) in _ENDED_BADLY]
            if not ended:
                raise DomainError(ErrorCode.STATE_CONFLICT, "no recipient of this letter has ended without delivery")
            before = await _sent_again(session, message_id)
            again = [number for number in ended if number not in before]
        if message.kind == OutboundKind.NOTICE:
            return await self._notice_again(message, new_message_id)
        if not again:
            raise DomainError(ErrorCode.STATE_CONFLICT, _SENT_AGAIN)
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
            message_signature=None
            if message.message_signature is None
            else base64.b64encode(message.message_signature).decode(),
            correlation_id=message.correlation_id,
        )
        return await self.accept(new_message_id, submission, resend_of=message_id)

    async def _notice_again(self, message: OutboundMessageRow, new_message_id: UUID) -> bool:
        """The same text to the same address, once: one notice of a letter is on its way at a time."""
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            # Whoever asks at the same time waits here and finds this one's row.
            await work.session.get_one(OutboundMessageRow, message.message_id, with_for_update=True)
            known = await work.session.get(OutboundMessageRow, new_message_id)
            if known is not None:
                return _repeated(known, message.message_id)
            later = select(OutboundMessageRow.message_id).where(OutboundMessageRow.resend_of == message.message_id)
            if await work.session.scalar(later) is not None:
                raise DomainError(ErrorCode.STATE_CONFLICT, "the notice was sent again already")
            mailbox = await work.session.get_one(MailboxRow, message.mailbox_id)
            address = await work.session.scalar(
                select(OutboundRecipientRow.kep_address).where(OutboundRecipientRow.message_id == message.message_id)
            )
            assert address is not None
            again = OutboundMessageRow(
                message_id=new_message_id, kind=message.kind, reply_to=message.reply_to,
                in_reply_to=message.in_reply_to, institution_no=message.institution_no, client_id=message.client_id,
                client_ref=message.client_ref, subject=message.subject, subject_withheld=message.subject_withheld,
                document_id=message.document_id, document_no=message.document_no,
                package_sha256=message.package_sha256, package_size=message.package_size,
                package_filename=message.package_filename, mailbox_id=message.mailbox_id,
                fingerprint=message.fingerprint, correlation_id=message.correlation_id, resend_of=message.message_id,
                accepted_at=now, updated_at=now, expires_at=now + self._ttl,
            )  # fmt: skip
            addressee = Addressee(None, KepAddress(address), ADDRESS_RULE)
            await enter(work, self._jobs, again, [addressee], domain=mailbox.address.rpartition("@")[2])
        return True

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
        signature: ClientSignature | None,
    ) -> None:
        now = self._clock.now()
        confidentiality = submission.confidentiality
        degree = None if confidentiality is None else confidentiality_event(confidentiality, submission.package_sha256)
        signed = None if signature is None else (EventKind.CLIENT_SIGNED, signature.signed_by)
        message = OutboundMessageRow(
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
            kind=OutboundKind.LETTER,
            confidentiality=None if confidentiality is None else confidentiality.model_dump(mode="json"),
            message_signature=None if signature is None else signature.der,
            accepted_at=now,
            updated_at=now,
            expires_at=submission.expires_at or now + self._ttl,
        )
        addressees = [Addressee(number) for number in submission.recipient_nos]
        domain = mailbox.address.rpartition("@")[2]
        notable = [line for line in (degree, signed) if line is not None]
        await enter(work, self._jobs, message, addressees, domain=domain, notable=notable)


async def _sent_again(session: AsyncSession, message_id: UUID) -> set[int]:
    """Recipients for whom a later letter takes this one's place, whatever became of that."""
    found = await session.scalars(
        select(OutboundRecipientRow.detsis_no)
        .join(OutboundMessageRow, OutboundMessageRow.message_id == OutboundRecipientRow.message_id)
        .where(OutboundMessageRow.resend_of == message_id, OutboundRecipientRow.detsis_no.is_not(None))
    )
    return {number for number in found if number is not None}


def _fingerprint(submission: OutboundSubmission, resend_of: UUID | None) -> str:
    # Absent, a letter has the fingerprint it had before messages could bring their signature along.
    absent = {"message_signature"} if submission.message_signature is None else set[str]()
    content = submission.model_dump_json(exclude={"correlation_id"} | absent)
    return hashlib.sha256(f"{resend_of}|{content}".encode()).hexdigest()


def _require_same(existing: OutboundMessageRow, fingerprint: str) -> None:
    if existing.fingerprint != fingerprint:
        raise DomainError(ErrorCode.STATE_CONFLICT, "the message id stands for another letter")


def _repeated(known: OutboundMessageRow, resend_of: UUID) -> bool:
    if known.resend_of != resend_of:
        raise DomainError(ErrorCode.STATE_CONFLICT, "the new id stands for another letter")
    return False


def _invalid(pointer: str, detail: str) -> DomainError:
    return DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault(pointer, detail)])
