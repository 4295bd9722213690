"""Everything a letter needs before the provider is touched: a mailbox, an address, the exact bytes."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import TypeAlias

from services.kep_relay.mailboxes import AddressBook
from services.kep_relay.outbound import compose, moves
from services.kep_relay.outbound.client_signature import micalg_of
from services.kep_relay.outbound.confidentiality import recorded_confidentiality
from services.kep_relay.outbound.content import letter_filename, size_limit
from services.kep_relay.outbound.history import EventKind
from services.kep_relay.outbound.moves import LetterInHand, Row
from shared.blobs import BlobStore, checked
from shared.clock import Clock
from shared.contracts.directory import ResolutionAnswer, ResolutionRequest, ResolvedAddress
from shared.contracts.outbound import OutboundKind
from shared.db.session import Database
from shared.domain.identifiers import KepAddress, kep_address
from shared.errors import DomainError, ErrorCode

Resolve: TypeAlias = Callable[[ResolutionRequest], Awaitable[ResolutionAnswer]]
MakeSigner: TypeAlias = Callable[[str, int], compose.Sign]
"""From a key's id and its institution's number: the function that signs with it."""


class NotOursError(Exception):
    """The recipient was cancelled or taken over meanwhile: nothing more is to be done here."""


class Preparation:
    """Resolves and composes; both once per recipient, both written down before they are used."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: BlobStore,
        clock: Clock,
        addresses: AddressBook,
        resolve: Resolve,
        signer: MakeSigner,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._addresses = addresses
        self._resolve_addresses = resolve
        self._signer = signer

    async def prepare(self, letter: LetterInHand) -> None:
        """Bring ``letter`` to where it can be submitted.

        Raises ``DomainError`` with the reason when it cannot be, ``NotOursError`` when it is not
        this process's business any more.
        """
        self._require_mailbox(letter)
        if letter.recipient.composed_sha256 is None:
            # Until the message is composed the address is asked for at every try: it may have changed.
            await self._resolve(letter)
            await self._compose(letter)

    def _require_mailbox(self, letter: LetterInHand) -> None:
        mailbox = letter.mailbox
        if not (mailbox.active and mailbox.sends):
            raise DomainError(ErrorCode.MAILBOX_MISSING, "the mailbox this letter goes from does not send any more")
        if mailbox.stopped_at is not None:
            raise DomainError(ErrorCode.MAILBOX_NOT_READY, mailbox.stopped_reason or "the mailbox is stopped")
        if not self._addresses.allows(mailbox.address):
            raise DomainError(ErrorCode.MAILBOX_NOT_READY, "the sender is outside the configured KEP domains")

    async def _resolve(self, letter: LetterInHand) -> None:
        recipient = letter.recipient
        if recipient.detsis_no is None:
            self._require_allowed(recipient.kep_address or "")
            return
        answer = await self._resolve_addresses(
            ResolutionRequest(sender_no=letter.message.institution_no, recipient_nos=[recipient.detsis_no])
        )
        if len(answer.recipients) != 1 or answer.recipients[0].detsis_no != recipient.detsis_no:
            raise DomainError(ErrorCode.DIRECTORY_UNAVAILABLE, "the directory answered about someone else")
        found = answer.recipients[0]
        address, problem = self._judged(found)
        async with self._database.unit_of_work() as work:
            kept = await moves.note(
                work,
                letter,
                kind=EventKind.RESOLVED,
                detail=_why(found, address),
                at=self._clock.now(),
                values={
                    Row.kep_address: address,
                    Row.name: found.name or recipient.name,
                    Row.address_source: found.source.value,
                    Row.address_rule: found.rule,
                    Row.address_snapshot_id: found.snapshot_id,
                    Row.address_problem: None if found.problem is None else found.problem.value,
                    Row.resolved_at: found.resolved_at,
                },
            )
        if not kept:
            raise NotOursError
        if problem is not None:
            raise problem
        recipient.kep_address = address

    def _require_allowed(self, address: str) -> None:
        if not self._addresses.allows(address):
            detail = "the recipient's address is outside the configured KEP domains"
            raise DomainError(ErrorCode.RECIPIENT_KEP_INACTIVE, detail)

    def _judged(self, found: ResolvedAddress) -> tuple[KepAddress | None, DomainError | None]:
        if found.problem is not None:
            return None, DomainError(ErrorCode(found.problem.value), "the directory gives no usable KEP address")
        try:
            address = kep_address(found.address or "")
        except ValueError:
            return None, DomainError(ErrorCode.RECIPIENT_KEP_MISSING, "the directory's entry is not a KEP address")
        try:
            self._require_allowed(address)
        except DomainError as error:
            return address, error
        return address, None

    async def _package(self, sha256: str) -> AsyncIterator[bytes]:
        try:
            async for chunk in checked(self._blobs, sha256):
                yield chunk
        except DomainError as error:
            if error.code != ErrorCode.NOT_FOUND:
                raise
            detail = "the package is missing in the blob store"
            raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, detail) from error

    def _signature(self, letter: LetterInHand) -> compose.Sign:
        given, key_id = letter.message.message_signature, letter.mailbox.signing_key_id
        if given is not None:

            async def as_given(_content: AsyncIterable[bytes]) -> bytes:
                return given

            return as_given
        if key_id is None:
            raise DomainError(ErrorCode.SIGNING_KEY_UNAVAILABLE, "the mailbox has no key, and no signature came along")
        return self._signer(key_id, letter.message.institution_no)

    async def _compose(self, letter: LetterInHand) -> None:
        recipient, message = letter.recipient, letter.message
        content = compose.Letter(
            sender=KepAddress(letter.mailbox.address),
            recipient=KepAddress(recipient.kep_address or ""),
            subject=None if message.subject_withheld else message.subject,
            date=self._clock.now(),
            message_id_header=recipient.message_id_header,
            rem_id=recipient.rem_id,
            filename=None
            if message.kind == OutboundKind.NOTICE
            else letter_filename(
                message.document_id,
                recorded_confidentiality(message),
                message.package_filename,
                message.package_sha256,
            ),
            micalg="sha-256" if message.message_signature is None else micalg_of(message.message_signature),
            in_reply_to=message.in_reply_to,
        )
        stored = await compose.compose(
            content,
            self._package(message.package_sha256),
            sign=self._signature(letter),
            blobs=self._blobs,
            limit=size_limit(message.package_size),
        )
        async with self._database.unit_of_work() as work:
            kept = await moves.note(
                work,
                letter,
                kind=EventKind.COMPOSED,
                detail=f"sha256 {stored.sha256}, {stored.size} bytes",
                at=self._clock.now(),
                values={Row.composed_sha256: stored.sha256, Row.composed_size: stored.size},
            )
        if not kept:
            raise NotOursError
        recipient.composed_sha256, recipient.composed_size = stored.sha256, stored.size


def _why(found: ResolvedAddress, address: KepAddress | None) -> str:
    """For the letter's history: the address, who named it by which rule, at which snapshot, and what was doubtful."""
    snapshot = "" if found.snapshot_id is None else f", snapshot {found.snapshot_id}"
    doubts = "".join(f"; {warning.code}: {warning.detail}" for warning in found.warnings)
    return f"{address or found.problem or 'no usable address'} ({found.source}, {found.rule}{snapshot}){doubts}"[:2000]
