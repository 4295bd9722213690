"""A person begins a challenge and answers it (kep.md 2.5); few are begun, for an SMS costs and accounts get locked."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Literal

import structlog

from services.kep_relay.drivers.choice import Desks
from services.kep_relay.drivers.protocol import Challenge, LoginRefusedError, MailboxAccount, SecondFactorDesk
from services.kep_relay.inbound.texts import clean, storable
from services.kep_relay.mailboxes import Mailboxes, stop_account
from services.kep_relay.second_factor.states import locked_row
from services.kep_relay.tables import MailboxRow, SecondFactorRow
from shared.clock import Clock
from shared.contracts.second_factor import SecondFactor, SecondFactorAnswer, SecondFactorState
from shared.db.session import Database, UnitOfWork
from shared.errors import DomainError, ErrorCode, Fault
from shared.secrets import SecretBox

log = structlog.get_logger(__name__)

_MOST_TO_SIGN = 64 * 1024
_ANSWERING = timedelta(minutes=2)
"""An answer that the provider has had for so long will not come back any more."""


class SecondFactors:
    """What is done about an account's second factor. ``most``: challenges in a row; ``pause``: after those."""

    def __init__(
        self,
        database: Database,
        mailboxes: Mailboxes,
        desks: Desks,
        secrets: SecretBox,
        clock: Clock,
        *,
        most: int,
        pause: timedelta,
    ) -> None:
        self._database = database
        self._mailboxes = mailboxes
        self._desks = desks
        self._secrets = secrets
        self._clock = clock
        self._most = most
        self._pause = pause

    async def show(self, mailbox: MailboxRow) -> SecondFactor:
        """Where the mailbox stands."""
        async with self._database.reading() as session:
            row = await session.get(SecondFactorRow, mailbox.mailbox_id)
        if row is None or row.revision != mailbox.revision:
            row = None if row is None or row.revision > mailbox.revision else _fresh(row, mailbox.revision)
        return self._view(mailbox.mailbox_id, row)

    async def begin(self, mailbox: MailboxRow, *, by: str) -> SecondFactor:
        """Begin a challenge. An earlier one that nobody answered is void.

        Raises ``DomainError``: STATE_CONFLICT when none is asked for or one is confirmed, RATE_LIMITED after too
        many in a row, MAILBOX_NOT_READY, PROVIDER_UNAVAILABLE, PROVIDER_REFUSED.
        """
        account, desk = self._desk(mailbox)
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            row = await locked_row(work, account, now)
            if row.revision != account.revision:
                raise DomainError(ErrorCode.STATE_CONFLICT, "the mailbox was changed just now")
            if row.state == SecondFactorState.CONFIRMED:
                raise DomainError(ErrorCode.STATE_CONFLICT, "the second factor is confirmed")
            self._count(row, now)
            # Before the provider is touched: whatever comes of it, an SMS may have been sent.
            row.challenges += 1
            row.challenged_at, row.challenged_by = now, by
            row.state = SecondFactorState.NEEDED
            row.security_id_token = row.kind = row.to_sign = row.digest = row.answering_at = None
            row.updated_at = now
        async with self._stopping(mailbox):
            challenge = await desk.challenge(account)
        if max(len(challenge.text or ""), len(challenge.digest or "")) > _MOST_TO_SIGN:
            raise DomainError(ErrorCode.PROVIDER_REFUSED, "what the provider wants signed is too long")
        async with self._database.unit_of_work() as work:
            row = await self._same(work, account, now)
            row.state, row.kind = SecondFactorState.CHALLENGED, challenge.kind
            row.security_id_token = self._secrets.encrypt(challenge.security_id.get_secret_value())
            row.to_sign, row.digest = storable(challenge.text), storable(challenge.digest)
            row.updated_at = self._clock.now()
            log.info("second_factor_challenged", mailbox=mailbox.mailbox_id, kind=challenge.kind)
            return self._view(mailbox.mailbox_id, row)

    async def answer(self, mailbox: MailboxRow, answer: SecondFactorAnswer) -> SecondFactor:
        """Answer the challenge that is open.

        Raises ``DomainError``: STATE_CONFLICT without one, VALIDATION_FAILED when the provider does not take the
        answer (the challenge is void then), otherwise as ``begin`` does; then the challenge stays open.
        """
        account, desk = self._desk(mailbox)
        given = _bytes(answer)
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            row = await locked_row(work, account, now)
            challenge, begun = self._open_challenge(row, account, answer, now), row.challenged_at
            row.answering_at = now
        try:
            async with self._stopping(mailbox):
                security_id = await desk.answer(account, challenge, given)
        except DomainError as error:
            refused = error.code is ErrorCode.VALIDATION_FAILED
            async with self._database.unit_of_work() as work:
                row = await self._same(work, account, begun)
                row.answering_at = None
                # Not when the same answer, given twice, was taken the first time: it confirmed this very challenge.
                if refused and row.state == SecondFactorState.CHALLENGED:
                    row.state, row.reason = SecondFactorState.NEEDED, clean(error.detail, 500)
                    row.security_id_token = row.kind = row.to_sign = row.digest = None
                    row.updated_at = self._clock.now()
                left = self._view(mailbox.mailbox_id, row).challenges_left
            if not refused:
                raise
            log.warning("second_factor_refused", mailbox=mailbox.mailbox_id, left=left)
            detail = f"{clean(error.detail, 300)}; challenges left: {left}"
            raise DomainError(
                ErrorCode.VALIDATION_FAILED, detail, faults=[Fault(f"/{_field(answer)}", "was not taken")]
            ) from error
        async with self._database.unit_of_work() as work:
            row = await self._same(work, account, begun)
            row.state = SecondFactorState.CONFIRMED
            row.security_id_token = self._secrets.encrypt(security_id.get_secret_value())
            row.confirmed_at, row.confirmed_by = self._clock.now(), answer.by
            row.kind = row.to_sign = row.digest = row.answering_at = row.reason = None
            row.challenges = 0
            row.updated_at = self._clock.now()
            log.info("second_factor_confirmed", mailbox=mailbox.mailbox_id)
            return self._view(mailbox.mailbox_id, row)

    def _desk(self, mailbox: MailboxRow) -> tuple[MailboxAccount, SecondFactorDesk]:
        if not mailbox.active or mailbox.stopped_at is not None:
            reason = "switched off" if not mailbox.active else f"stopped: {mailbox.stopped_reason}"
            raise DomainError(ErrorCode.MAILBOX_NOT_READY, f"the mailbox is {reason}")
        account = self._mailboxes.account(mailbox)
        desk = self._desks.second_factor(account)
        if desk is None:
            raise DomainError(ErrorCode.STATE_CONFLICT, "this mailbox is configured for a log-in without second factor")
        return account, desk

    def _count(self, row: SecondFactorRow, now: datetime) -> None:
        free_at = self._free_at(row)
        if free_at is None:
            return
        if free_at > now:
            raise DomainError(
                ErrorCode.RATE_LIMITED, "too many challenges in a row; the provider may lock the account",
                retry_after_seconds=max(1, int((free_at - now).total_seconds())),
            )  # fmt: skip
        row.challenges = 0

    def _free_at(self, row: SecondFactorRow) -> datetime | None:
        """When the pause after the last challenge ends; None while more may be begun."""
        if row.challenges < self._most or row.challenged_at is None:
            return None
        return row.challenged_at + self._pause

    def _open_challenge(
        self, row: SecondFactorRow, account: MailboxAccount, answer: SecondFactorAnswer, now: datetime
    ) -> Challenge:
        if (
            row.revision != account.revision
            or row.state != SecondFactorState.CHALLENGED
            or row.security_id_token is None
            or row.kind is None
        ):
            raise DomainError(ErrorCode.STATE_CONFLICT, "there is no open challenge; begin one")
        if row.answering_at is not None and now - row.answering_at < _ANSWERING:
            raise DomainError(ErrorCode.STATE_CONFLICT, "an answer to this challenge is on its way")
        wanted = "sms_code" if row.kind == "sms" else "signature_base64"
        if _field(answer) != wanted:
            detail = f"this challenge is answered with {wanted}"
            raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault(f"/{wanted}", "is missing")])
        return Challenge(row.kind, self._secrets.decrypt(row.security_id_token), row.to_sign, row.digest)

    @asynccontextmanager
    async def _stopping(self, mailbox: MailboxRow) -> AsyncIterator[None]:
        """Stop the account when its passwords are refused: no second try (kep.md 7.4)."""
        try:
            yield
        except LoginRefusedError as error:
            async with self._database.unit_of_work() as work:
                await stop_account(
                    work, mailbox.mailbox_id, revision=mailbox.revision, clock=self._clock,
                    code=error.code, reason=error.detail,
                )  # fmt: skip
            raise

    async def _same(self, work: UnitOfWork, account: MailboxAccount, begun: datetime | None) -> SecondFactorRow:
        row = await locked_row(work, account, self._clock.now())
        if row.revision != account.revision or row.challenged_at != begun:
            raise DomainError(ErrorCode.STATE_CONFLICT, "another challenge was begun meanwhile")
        return row

    def _view(self, mailbox_id: str, row: SecondFactorRow | None) -> SecondFactor:
        if row is None:
            return SecondFactor(
                mailbox_id=mailbox_id, state=SecondFactorState.NOT_NEEDED, challenges_left=self._most
            )  # fmt: skip
        now, free_at = self._clock.now(), self._free_at(row)
        waiting = free_at is not None and free_at > now
        left = 0 if waiting else self._most if free_at is not None else self._most - row.challenges
        challenged = row.state == SecondFactorState.CHALLENGED
        return SecondFactor(
            mailbox_id=mailbox_id,
            state=SecondFactorState(row.state),
            kind=_kind(row.kind) if challenged else None,
            text=row.to_sign if challenged else None,
            digest_base64=row.digest if challenged else None,
            reason=row.reason,
            needed_at=row.needed_at,
            challenged_at=row.challenged_at,
            challenged_by=row.challenged_by,
            confirmed_at=row.confirmed_at,
            confirmed_by=row.confirmed_by,
            challenges_left=left,
            next_challenge_at=free_at if waiting else None,
        )


def _fresh(row: SecondFactorRow, revision: int) -> SecondFactorRow:
    return SecondFactorRow(
        mailbox_id=row.mailbox_id, revision=revision, state=SecondFactorState.NOT_NEEDED, challenges=row.challenges,
        challenged_at=row.challenged_at, challenged_by=row.challenged_by, updated_at=row.updated_at,
    )  # fmt: skip


def _kind(kind: str | None) -> Literal["sms", "signature"] | None:
    return "sms" if kind == "sms" else "signature" if kind == "signature" else None


def _field(answer: SecondFactorAnswer) -> str:
    return "sms_code" if answer.sms_code is not None else "signature_base64"


def _bytes(answer: SecondFactorAnswer) -> bytes:
    if answer.sms_code is not None:
        return answer.sms_code.encode()
    try:
        return base64.b64decode("".join((answer.signature_base64 or "").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        fault = Fault("/signature_base64", "is no Base64")
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the signature is no Base64", faults=[fault]) from error
