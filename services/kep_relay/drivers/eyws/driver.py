"""The driver ``eyws``: PTT KEP's SOAP service, with evidence, the account's standing and second factors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import structlog
from prometheus_client import Gauge
from pydantic import SecretStr

from services.kep_relay.drivers.eyws import wire, wire_answers
from services.kep_relay.drivers.eyws.codec import PLACEHOLDER
from services.kep_relay.drivers.eyws.codes import Meaning, outcome_of_failure
from services.kep_relay.drivers.eyws.content import Peeked, package_type
from services.kep_relay.drivers.eyws.contract import drift
from services.kep_relay.drivers.eyws.desk import FAR_BACK, EywsDesk
from services.kep_relay.drivers.eyws.failures import FaultError, RefusalError, masked
from services.kep_relay.drivers.eyws.inbox import EywsInbox
from services.kep_relay.drivers.eyws.numbers import NumberBook
from services.kep_relay.drivers.eyws.transport import Upload, spooled
from services.kep_relay.drivers.eyws.wire import Operation
from services.kep_relay.drivers.protocol import (
    Accepted,
    AccountStanding,
    Challenge,
    Envelope,
    ListedEvidence,
    MailboxAccount,
    OutcomeUnknown,
    PermanentFailure,
    SecurityIds,
    SubmissionOutcome,
)
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_LARGEST_CONTRACT = 4 * 1024 * 1024
_COMPARE_EVERY = timedelta(hours=1)


class EywsDriver:
    """See ``KepDriver``, ``EvidenceBox``, ``AccountDesk`` and ``SecondFactorDesk`` for what the methods promise."""

    def __init__(
        self, desk: EywsDesk, numbers: NumberBook, security_ids: SecurityIds, differences: Gauge | None = None
    ) -> None:
        self._desk = desk
        self._numbers = numbers
        self._security_ids = security_ids
        self._differences = differences
        self._drift: dict[str, Sequence[str]] = {}
        self._doubts: dict[tuple[str, int], str] = {}
        self._compared_at: dict[str, datetime] = {}

    async def submit(
        self, mailbox: MailboxAccount, envelope: Envelope, content: AsyncIterable[bytes], *, size: int
    ) -> SubmissionOutcome:
        """Hand over the bytes as they were composed (Yukle); the type is the one their own header says."""
        message = Peeked(content)
        try:
            call = wire.upload(mailbox, PLACEHOLDER, package_type(await message.headers(), envelope))
        except DomainError as error:
            if error.code is ErrorCode.VALIDATION_FAILED:
                return PermanentFailure(error.code, error.detail)
            return outcome_of_failure(error, handed_over=False)
        upload = Upload(message, size)
        try:
            async with self._desk.transport.call(mailbox, call, upload=upload) as answer:
                taken = wire_answers.uploaded(answer)
        except RefusalError as error:
            return self._desk.codes.outcome(error, wire.secrets(mailbox))
        except DomainError as error:
            return outcome_of_failure(error, handed_over=upload.handed_over)
        if taken.message_id is None:
            # Success outside and nothing inside has been seen to mean failure (kep.md 6.1).
            words = masked(taken.text, wire.secrets(mailbox))
            return OutcomeUnknown(
                ErrorCode.PROVIDER_UNAVAILABLE, f"the answer reports success without an id of the message: {words}"
            )
        return Accepted(masked(f"0 {taken.message_id}", ()))

    async def find_sent(self, mailbox: MailboxAccount, *, message_id_header: str, rem_id: str) -> bool:
        """Look through 30 days of the folder of sent mail, then for evidence.

        An absent entry counts only from a folder that the account has, since a wrong name may give an empty
        list as well, and only while there is no evidence either: a second letter would be the price.
        """
        entries, nameless = await self._desk.listed(mailbox, mailbox.sent_folder, FAR_BACK)
        for entry in entries:
            if message_id_header in {entry.message_id, entry.original_id} or entry.type_id == rem_id:
                return True
        if nameless:
            raise DomainError(ErrorCode.PROVIDER_UNAVAILABLE, "the list of sent mail has entries without an id")
        await self._desk.must_exist(mailbox, mailbox.sent_folder, await self._desk.folders(mailbox))
        try:
            return bool(await self.list_evidence(mailbox, message_id_header))
        except DomainError as error:
            if error.code is ErrorCode.NOT_FOUND:
                return False
            raise

    @asynccontextmanager
    async def open_inbox(self, mailbox: MailboxAccount) -> AsyncIterator[EywsInbox]:
        """Nothing is asked before the first look: each call carries the passwords, and a wrong one may lock."""
        mailbox.eyws_service  # noqa: B018 - raises for an account of another driver
        inbox = EywsInbox(mailbox, self._desk, self._numbers, self._security_ids, self._doubts)
        try:
            yield inbox
        finally:
            inbox.close()

    async def probe(self, mailbox: MailboxAccount) -> None:
        """Ask for the contract the service offers; no password goes out."""
        await self.contract_drift(mailbox)

    async def contract_drift(self, mailbox: MailboxAccount) -> Sequence[str]:
        """How the offered contract differs from the bundled one, which is used in any case (kep.md 7.26).

        Empty as well when none is offered. Raises PROVIDER_UNAVAILABLE when the service cannot be reached.
        """
        offered = await self._desk.transport.contract(mailbox, limit=_LARGEST_CONTRACT)
        try:
            found = await asyncio.to_thread(drift, offered) if offered else []
        except ValueError as error:
            found = [str(error)]
        if found and found != self._drift.get(mailbox.mailbox_id):
            log.error("contract_drift", mailbox=mailbox.mailbox_id, differences=list(found))
        self._drift[mailbox.mailbox_id] = found
        self._compared_at[mailbox.mailbox_id] = self._desk.clock.now()
        if self._differences is not None:
            self._differences.set(sum(map(len, self._drift.values())))
        return found

    async def list_evidence(self, mailbox: MailboxAccount, message_id_header: str) -> Sequence[ListedEvidence]:
        """The list with recipients; that without them where the service does not offer it (kep.md 2.9)."""
        try:
            return await self._evidence(Operation.LIST_EVIDENCE_IN_DETAIL, mailbox, message_id_header)
        except FaultError:
            return await self._evidence(Operation.LIST_EVIDENCE, mailbox, message_id_header)

    async def _evidence(
        self, operation: Operation, mailbox: MailboxAccount, message_id: str
    ) -> Sequence[ListedEvidence]:  # fmt: skip
        call = wire.about_message(operation, mailbox, mailbox.sent_folder, message_id)
        async with self._desk.asking(mailbox, call) as answer:
            found = wire_answers.evidence_listed(answer)
        return list({(entry.provider_id, entry.recipient): entry for entry in found}.values())

    async def fetch_evidence(self, mailbox: MailboxAccount, provider_id: str, *, limit: int) -> bytes:
        """The document as the service keeps it."""
        async with self._desk.asking(mailbox, wire.download_evidence(mailbox, provider_id), files=True) as answer:
            return spooled([wire_answers.evidence_file(answer)], limit)

    async def standing(self, mailbox: MailboxAccount) -> AccountStanding:
        """Credit first: a wrong password shows there in words, with the quota as nothing at all (kep.md 7.4).

        Once an hour the offered contract is compared as well.
        """
        async with self._desk.asking(mailbox, wire.about_account(Operation.CREDIT, mailbox)) as answer:
            amount, unit = wire_answers.credit(answer)
            meaning = self._desk.codes.meaning(answer.operation, None, unit or "")
            if meaning not in {None, Meaning.CREDIT} or (amount is None and unit):
                raise answer.refused(None, unit)
        async with self._desk.asking(mailbox, wire.about_account(Operation.QUOTA, mailbox)) as answer:
            quota = wire_answers.quota(answer)
        compared = self._compared_at.get(mailbox.mailbox_id)
        if compared is None or self._desk.clock.now() - compared >= _COMPARE_EVERY:
            with suppress(DomainError):  # the account was just told; another time will do
                await self.contract_drift(mailbox)
        return AccountStanding(credit=amount, credit_unit=unit, quota_kilobytes=quota)

    async def challenge(self, mailbox: MailboxAccount) -> Challenge:
        """First step of a log-in; for SMS it is not repeated by itself, because each one is paid for."""
        kind = mailbox.eyws_service.login
        if kind == "password":
            raise DomainError(ErrorCode.STATE_CONFLICT, "the account asks for no second factor")
        async with self._desk.asking(mailbox, wire.login(mailbox)) as answer:
            step = wire_answers.step(answer)
        return Challenge(kind, SecretStr(step.security_id), text=step.text, digest=step.digest)

    async def answer(self, mailbox: MailboxAccount, challenge: Challenge, answer: bytes) -> SecretStr:
        """Second step of a log-in."""
        if challenge.kind == "sms" and not (answer.isascii() and 0 < len(answer) <= 100):
            raise DomainError(ErrorCode.VALIDATION_FAILED, "an SMS key has up to 100 plain characters")
        call = wire.second_login(mailbox, challenge.security_id.get_secret_value(), answer)
        try:
            async with self._desk.transport.call(mailbox, call) as given:
                return SecretStr(wire_answers.step(given).security_id)
        except RefusalError as error:
            meaning = self._desk.codes.meaning(error.operation, error.code, error.text)
            if meaning in {None, Meaning.SECOND_FACTOR, Meaning.BLOCKED, Meaning.NOT_FOUND}:
                words = masked(error.words, (*wire.secrets(mailbox), answer.decode("latin-1")))
                detail = f"the provider does not take the answer: {words}"
                raise DomainError(ErrorCode.VALIDATION_FAILED, detail) from None
            raise self._desk.error(mailbox, error) from error

    async def aclose(self) -> None:
        """Connections end with each call; there is nothing to give back."""
