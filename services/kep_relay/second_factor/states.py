"""Where each account stands with its second factor; what the driver and the drain ask and tell."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from pydantic import SecretStr
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from services.kep_relay.drivers.protocol import MailboxAccount
from services.kep_relay.events import SecondFactorNews, tell
from services.kep_relay.inbound.texts import clean
from services.kep_relay.tables import SecondFactorRow
from shared.clock import Clock
from shared.contracts.events import EventType
from shared.contracts.second_factor import SecondFactorState
from shared.db.session import Database, UnitOfWork
from shared.secrets import SecretBox

log = structlog.get_logger(__name__)

_CLOSED = frozenset({SecondFactorState.NEEDED, SecondFactorState.CHALLENGED})
_TRY_AGAIN = timedelta(minutes=15)
"""An account whose log-in is configured without one is tried again after so long: the provider may ask no more."""


class Door(StrEnum):
    """Whether messages may be downloaded now."""

    OPEN = "open"
    CLOSED = "closed"
    AJAR = "ajar"
    """It was closed and is worth a try; ``passed`` is to be told if it works."""


class SecondFactorStates:
    """The table of second factors."""

    def __init__(self, database: Database, secrets: SecretBox, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock

    async def security_id(self, account: MailboxAccount) -> SecretStr | None:
        """What reading needs now (``drivers.protocol.SecurityIds``); raises ``DomainError`` as the database does."""
        row = await self._row(account)
        if row is None or row.state != SecondFactorState.CONFIRMED or row.security_id_token is None:
            return None
        return self._secrets.decrypt(row.security_id_token)

    async def door(self, account: MailboxAccount) -> Door:
        """Whether to download. Nothing is asked of a provider that is known to refuse: that may lock the account."""
        if account.eyws is None:
            return Door.OPEN
        row = await self._row(account)
        if row is None or SecondFactorState(row.state) not in _CLOSED:
            return Door.OPEN
        unattended = account.eyws.login == "password"
        if unattended and self._clock.now() - row.updated_at >= _TRY_AGAIN:
            return Door.AJAR
        return Door.CLOSED

    async def passed(self, account: MailboxAccount) -> None:
        """A message was handed out although a second factor had been asked for: it is needed no more."""
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                delete(SecondFactorRow).where(
                    SecondFactorRow.mailbox_id == account.mailbox_id, SecondFactorRow.state == SecondFactorState.NEEDED
                )
            )
        log.info("second_factor_needed_no_more", mailbox=account.mailbox_id)

    async def need(self, account: MailboxAccount, *, reason: str, asked_at: datetime) -> None:
        """The provider refused a message that was asked for at ``asked_at``; told once until it is confirmed again."""
        async with self._database.unit_of_work() as work:
            row = await locked_row(work, account, self._clock.now())
            if (
                row.confirmed_at is not None
                and row.state == SecondFactorState.CONFIRMED
                and row.confirmed_at >= asked_at
            ):
                return  # answered while the refusal was on its way
            if row.state == SecondFactorState.CHALLENGED:
                return
            news = row.state != SecondFactorState.NEEDED
            row.state, row.reason = SecondFactorState.NEEDED, clean(reason, 500)
            row.security_id_token = row.kind = row.to_sign = row.digest = None
            row.updated_at = self._clock.now()
            if news:
                row.needed_at = self._clock.now()
                await tell(
                    work, EventType.SECOND_FACTOR_NEEDED, SecondFactorNews(account.mailbox_id),
                    institution_no=account.institution_no, message_id=None, at=self._clock.now(),
                )  # fmt: skip
        if news:
            log.warning("second_factor_needed", mailbox=account.mailbox_id, reason=clean(reason, 500))

    async def _row(self, account: MailboxAccount) -> SecondFactorRow | None:
        async with self._database.autocommit() as session:
            return await session.scalar(
                select(SecondFactorRow).where(
                    SecondFactorRow.mailbox_id == account.mailbox_id, SecondFactorRow.revision == account.revision
                )
            )


async def locked_row(work: UnitOfWork, account: MailboxAccount, now: datetime) -> SecondFactorRow:
    """The account's row, locked; a new one if there is none for this revision of its configuration.

    How many challenges were begun outlives a change: the provider counts them all the same.
    """
    await work.session.execute(
        insert(SecondFactorRow)
        .values(
            mailbox_id=account.mailbox_id, revision=account.revision, state=SecondFactorState.NOT_NEEDED, updated_at=now
        )
        .on_conflict_do_nothing(index_elements=["mailbox_id"])
    )
    row = await work.session.get_one(
        SecondFactorRow, account.mailbox_id, with_for_update=True, populate_existing=True
    )  # fmt: skip
    if row.revision < account.revision:
        row.revision, row.state = account.revision, SecondFactorState.NOT_NEEDED
        row.security_id_token = row.kind = row.to_sign = row.digest = row.reason = None
        row.needed_at = row.answering_at = row.confirmed_at = row.confirmed_by = None
        row.updated_at = now
    return row
