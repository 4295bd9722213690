"""Deletes at the provider what is archived here, old and done with; by default nothing (kep.md 7.8).

A mail goes only after its bytes were read back from the store and have the digest they had when they
came. Deleting comes first and is noted, with an event, afterwards: after a crash in between it is done
again, which changes nothing, and then noted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable
from uuid import UUID

import structlog
from sqlalchemy import or_, select

from services.kep_relay.drivers.protocol import InboxSession, MailboxAccount
from services.kep_relay.events import CopyDeletedNews, tell
from services.kep_relay.inbound.classify import MailKind
from services.kep_relay.inbound.metrics import InboundMetrics
from services.kep_relay.inbound.rawmail import RawState
from services.kep_relay.tables import EvidenceRow, InboundMessageRow, RawMailRow
from shared.blobs import BlobStore
from shared.clock import Clock
from shared.contracts.events import EventType
from shared.db.session import Database
from shared.domain.message import InboundState
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

DELETED = "deleted-at-provider"
"""``reason_code`` of a raw mail that is only here any more."""
_AT_ONCE = 100
_PAUSE = timedelta(hours=1)
_Raw, _Letter = RawMailRow, InboundMessageRow


@runtime_checkable
class DeletingInbox(Protocol):
    """What a driver's session offers whose provider can be told to delete a mail."""

    async def delete(self, uid: int) -> None:
        """Remove one mail for good; one that is gone is no error.

        Raises PROVIDER_REFUSED when the provider will not, or could not without removing others too.
        """
        ...


class _UnreadableError(Exception):
    """The store cannot give the archived bytes now, or never again."""


class ProviderDeletion:
    """Cleans mailboxes up, as part of reading them.

    ``days``: by mailbox id, for how long a mail stays at the provider after it came; no entry: for ever.
    """

    def __init__(
        self, database: Database, blobs: BlobStore, clock: Clock, metrics: InboundMetrics, *, days: Mapping[str, float]
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._metrics = metrics
        self._days = days
        self._next: dict[str, datetime] = {}
        self._after: dict[str, int] = {}
        """By mailbox id, up to which UID this round has looked: what cannot go keeps no other from going."""

    async def clean(self, account: MailboxAccount, inbox: InboxSession) -> None:
        """Delete what is due, once an hour. Raises ``DomainError`` when the link or the database breaks."""
        now, days = self._clock.now(), self._days.get(account.mailbox_id)
        if days is None or now < self._next.get(account.mailbox_id, now):
            return
        after = self._after.pop(account.mailbox_id, 0)
        due = await self._due(account, inbox.uidvalidity, now - timedelta(days=days), after)
        if due and not isinstance(inbox, DeletingInbox):
            log.warning("provider_deletes_nothing", mailbox=account.mailbox_id, reason="the driver does not offer it")
            due = []
        goes_on = len(due) == _AT_ONCE
        for raw in due:
            try:
                await self._delete(account, inbox, raw)
            except DomainError as error:
                if error.code is not ErrorCode.PROVIDER_REFUSED:
                    raise
                self._metrics.deletions.labels("refused").inc()
                log.warning("provider_deletes_nothing", mailbox=account.mailbox_id, reason=error.detail)
            except _UnreadableError as error:
                self._metrics.deletions.labels("copy-unreadable").inc()
                log.warning("archive_copy_unreadable", raw_mail_id=str(raw.raw_mail_id), reason=str(error))
            else:
                continue
            self._after[account.mailbox_id] = raw.uid
            goes_on = False
            break
        if goes_on:
            self._after[account.mailbox_id] = due[-1].uid
        else:
            self._next[account.mailbox_id] = now + _PAUSE

    async def _due(
        self, account: MailboxAccount, uidvalidity: int, before: datetime, after: int
    ) -> Sequence[RawMailRow]:
        """Mails of this incarnation of the folder behind ``after`` that nobody needs there any more, oldest first.

        Letters once they are registered and the provider was told so; evidence and copies once they are read
        and judged. What waits for a person, or is sealed, stays.
        """
        unjudged = select(EvidenceRow.evidence_id).where(
            EvidenceRow.raw_mail_id == _Raw.raw_mail_id, EvidenceRow.conclusion.is_(None)
        )
        done = select(_Letter.message_id).where(
            _Letter.message_id == _Raw.message_id,
            _Letter.state == InboundState.CONSUMED,
            _Letter.acknowledge_at.is_(None),
        )
        async with self._database.reading() as session:
            found = await session.scalars(
                select(_Raw)
                .where(
                    _Raw.mailbox_id == account.mailbox_id,
                    _Raw.folder == account.inbox_folder,
                    _Raw.uidvalidity == uidvalidity,
                    _Raw.uid > after,
                    _Raw.state.in_([RawState.INGESTED, RawState.DUPLICATE]),
                    _Raw.kind.is_distinct_from(MailKind.DETSIS_VERIFICATION.value),
                    _Raw.sha256.is_not(None),
                    _Raw.reason_code.is_(None),
                    _Raw.received_at <= before,
                    or_(_Raw.message_id.is_(None), done.exists()),
                    ~unjudged.exists(),
                )
                .order_by(_Raw.uid)
                .limit(_AT_ONCE)
            )
            return found.all()

    async def _delete(self, account: MailboxAccount, inbox: InboxSession, raw: RawMailRow) -> None:
        assert isinstance(inbox, DeletingInbox)
        try:
            fault = await self._archive_fault(raw)
        except DomainError as error:
            # No reason to hang up on the provider: new mail is read meanwhile.
            raise _UnreadableError(error.detail) from error
        if fault is not None:
            self._metrics.deletions.labels(fault).inc()
            log.error("archive_copy_broken", raw_mail_id=str(raw.raw_mail_id), sha256=raw.sha256, fault=fault)
            return
        await inbox.delete(raw.uid)
        await self._note(account.mailbox_id, raw.raw_mail_id)
        self._metrics.deletions.labels("deleted").inc()

    async def _archive_fault(self, raw: RawMailRow) -> str | None:
        """What is wrong with the archived bytes; None when they are those that came."""
        assert raw.sha256 is not None
        if await self._blobs.size(raw.sha256) is None:
            return "copy-missing"
        digest, size = hashlib.sha256(), 0
        async for chunk in self._blobs.stream(raw.sha256):
            digest.update(chunk)
            size += len(chunk)
        return None if (digest.hexdigest(), size) == (raw.sha256, raw.size) else "copy-altered"

    async def _note(self, mailbox_id: str, raw_mail_id: UUID) -> None:
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            row = await work.session.get_one(RawMailRow, raw_mail_id, with_for_update=True)
            if row.reason_code == DELETED:
                return
            row.reason_code = DELETED
            row.reason = f"deleted at the provider at {now.isoformat()}, after the archived copy was compared"
            await tell(
                work, EventType.PROVIDER_COPY_DELETED, CopyDeletedNews(mailbox_id),
                institution_no=row.institution_no, message_id=row.message_id, at=now,
            )  # fmt: skip
        log.info("provider_copy_deleted", mailbox=mailbox_id, raw_mail_id=str(raw_mail_id))
