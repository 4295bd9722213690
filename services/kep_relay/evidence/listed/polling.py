"""The job ``kep_relay.ask_for_evidence``: everything that is due about one mailbox's letters, one call at a time.

Rows say what is due, so the job may die anywhere and run twice: an entry is written once however
often it is listed, and a document has one place in ``raw_mails``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from services.kep_relay.drivers.choice import Desks
from services.kep_relay.drivers.protocol import EvidenceBox, ListedEvidence, LoginRefusedError, MailboxAccount
from services.kep_relay.evidence.fold import Policy
from services.kep_relay.evidence.listed.documents import FOLDER
from services.kep_relay.evidence.listed.metrics import ListedMetrics
from services.kep_relay.evidence.listed.schedule import Step, complete, fetch_pause, next_pause, setback_pause
from services.kep_relay.evidence.listed.weighing import fold_listed, known, names
from services.kep_relay.inbound.rawmail import Place, RawMailStore
from services.kep_relay.inbound.texts import clean
from services.kep_relay.mailboxes import Mailboxes, stop_account
from services.kep_relay.metrics import TransitionTimes
from services.kep_relay.tables import (
    EvidencePollRow,
    ListedEvidenceRow,
    MailboxRow,
    OutboundMessageRow,
    OutboundRecipientRow,
)
from shared.clock import Clock
from shared.db.session import Database, UnitOfWork
from shared.domain.message import OutboundState
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
_AT_ONCE = 200
"""Questions in one run; what is left is due at the next sweep."""
_ABOUT_THE_LETTER = frozenset({ErrorCode.PROVIDER_REFUSED, ErrorCode.NOT_FOUND, ErrorCode.TOO_LARGE})
"""Answers that say nothing about the account's other letters."""
_MAX_ID = 500
_MAX_ENTRIES = 5000
"""In one list about one message with one recipient; an honest one has a handful."""


@dataclass(frozen=True)
class AskingTimes:
    """When what is asked again."""

    polls: Sequence[Step]
    fetches: Sequence[float]
    fetch_for: timedelta


class EvidencePolling:
    """Asks providers that list evidence."""

    def __init__(
        self,
        database: Database,
        mailboxes: Mailboxes,
        desks: Desks,
        store: RawMailStore,
        clock: Clock,
        metrics: ListedMetrics,
        transitions: TransitionTimes,
        *,
        times: AskingTimes,
        policy: Policy,
    ) -> None:
        self._database = database
        self._mailboxes = mailboxes
        self._desks = desks
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._transitions = transitions
        self._times = times
        self._policy = policy

    async def run(self, mailbox_id: str) -> None:
        """The job. Raises ``DomainError`` only when the database or the blob store is away."""
        async with self._database.autocommit() as session:
            row = await session.get(MailboxRow, mailbox_id)
        if row is None or not row.active or row.stopped_at is not None:
            return
        account = self._mailboxes.account(row)
        box = self._desks.evidence_box(account)
        if box is None:
            return
        try:
            if await self._poll(account, box):
                await self._fetch(account, box)
        except LoginRefusedError as error:
            async with self._database.unit_of_work() as work:
                await stop_account(
                    work, mailbox_id, revision=row.revision, clock=self._clock, code=error.code, reason=error.detail
                )

    async def _poll(self, account: MailboxAccount, box: EvidenceBox) -> bool:
        """Ask about every letter that is due; False when the provider cannot be asked now."""
        async with self._database.autocommit() as session:
            due = (
                await session.execute(
                    select(EvidencePollRow.recipient_id, OutboundRecipientRow.message_id_header)
                    .join(OutboundRecipientRow, OutboundRecipientRow.recipient_id == EvidencePollRow.recipient_id)
                    .where(
                        EvidencePollRow.mailbox_id == account.mailbox_id,
                        EvidencePollRow.next_at <= self._clock.now(),
                    )
                    .order_by(EvidencePollRow.next_at)
                    .limit(_AT_ONCE)
                )
            ).all()
        for recipient_id, header in due:
            try:
                listed = await box.list_evidence(account, header)
            except LoginRefusedError:
                raise
            except DomainError as error:
                if not await self._not_answered(account, recipient_id, error):
                    return False
                continue
            await self._write(account, recipient_id, listed)
            self._metrics.polls.labels("answered").inc()
        return True

    async def _not_answered(self, account: MailboxAccount, recipient_id: UUID, error: DomainError) -> bool:
        """Put the question off; False when no other question would be answered either."""
        if error.code is ErrorCode.DURABILITY_UNAVAILABLE:
            raise error
        refused = error.code in _ABOUT_THE_LETTER
        self._metrics.polls.labels("refused" if refused else "unavailable").inc()
        log.warning("evidence_not_listed", mailbox=account.mailbox_id, code=error.code, reason=error.detail)
        async with self._database.unit_of_work() as work:
            poll = await work.session.get_one(EvidencePollRow, recipient_id, with_for_update=True)
            poll.setbacks += 1
            poll.fault = clean(error.detail, 500)
            poll.next_at = self._clock.now() + setback_pause(poll.setbacks - 1)
            if not refused:
                await self._rest(work, account.mailbox_id, setback_pause(min(poll.setbacks - 1, 3)))
        return refused

    async def _rest(self, work: UnitOfWork, mailbox_id: str, pause: timedelta) -> None:
        """Leave an account alone whose provider does not answer: every question would meet the same."""
        now = self._clock.now()
        for table, column in (
            (EvidencePollRow, EvidencePollRow.next_at),
            (ListedEvidenceRow, ListedEvidenceRow.fetch_at),
        ):
            await work.session.flush()
            await work.session.execute(
                update(table)
                .where(table.mailbox_id == mailbox_id, column <= now)
                .values({column: now + pause})
                .execution_options(synchronize_session=False)
            )

    async def _write(self, account: MailboxAccount, recipient_id: UUID, listed: Sequence[ListedEvidence]) -> None:
        """Keep what is new in a list, let it act on the letter, and say when to ask again."""
        now = self._clock.now()
        reached: list[OutboundState] = []
        async with self._database.unit_of_work() as work:
            recipient = await work.session.get_one(OutboundRecipientRow, recipient_id, with_for_update=True)
            for item in sorted(listed[:_MAX_ENTRIES], key=lambda item: item.code or 0):
                if not 0 < len(item.provider_id) <= _MAX_ID or clean(item.provider_id, _MAX_ID) != item.provider_id:
                    self._metrics.entries.labels("unreadable").inc()
                    log.warning("listed_evidence_unreadable", mailbox=account.mailbox_id)
                    continue
                entry = await self._keep(work, account, recipient, item)
                if entry is not None:
                    self._metrics.entries.labels(_word(entry)).inc()
                    before = recipient.state
                    after = await fold_listed(work, recipient, entry, policy=self._policy, at=now)
                    reached += [] if after == before else [after]
            codes = await work.session.scalars(
                select(ListedEvidenceRow.code).where(
                    ListedEvidenceRow.recipient_id == recipient_id, ListedEvidenceRow.fits
                )
            )
            poll = await work.session.get_one(EvidencePollRow, recipient_id, with_for_update=True)
            pause = None if complete(codes.all()) else next_pause(self._times.polls, poll.asked + 1)
            poll.asked += 1
            poll.setbacks = 0
            poll.asked_at, poll.fault = now, None
            poll.next_at = None if pause is None else now + pause
            accepted_at = (await work.session.get_one(OutboundMessageRow, recipient.message_id)).accepted_at
        for state in reached:
            self._transitions.outbound(state, accepted_at, now)

    async def _keep(
        self, work: UnitOfWork, account: MailboxAccount, recipient: OutboundRecipientRow, item: ListedEvidence
    ) -> ListedEvidenceRow | None:
        """A new entry; None of one that is known already (kep.md 7.11)."""
        now = self._clock.now()
        return await work.session.scalar(
            insert(ListedEvidenceRow)
            .values(
                mailbox_id=account.mailbox_id,
                provider_id=item.provider_id,
                recipient_id=recipient.recipient_id,
                code=item.code if item.code is None or abs(item.code) < 2**31 else None,
                words=clean(item.text, 1000),
                at=item.at,
                at_text=clean(item.at_text, 100),
                provider=clean(item.provider, 200),
                recipient=None if item.recipient is None else clean(item.recipient, 320),
                fits=names(item.recipient, recipient.kep_address),
                first_seen_at=now,
                fetch_at=now,
            )
            .on_conflict_do_nothing(index_elements=["mailbox_id", "provider_id"])
            .returning(ListedEvidenceRow)
        )

    async def _fetch(self, account: MailboxAccount, box: EvidenceBox) -> None:
        """Get the documents that are due. Each is durable before its row says so."""
        async with self._database.autocommit() as session:
            due = (
                await session.scalars(
                    select(ListedEvidenceRow)
                    .where(
                        ListedEvidenceRow.mailbox_id == account.mailbox_id,
                        ListedEvidenceRow.fetch_at <= self._clock.now(),
                    )
                    .order_by(ListedEvidenceRow.fetch_at)
                    .limit(_AT_ONCE)
                )
            ).all()
        for entry in due:
            try:
                document = await _document(box, account, entry.provider_id)
            except LoginRefusedError:
                raise
            except DomainError as error:
                if not await self._not_fetched(account, entry, error):
                    return
                continue
            place = Place(
                account.mailbox_id, account.institution_no, account.address, FOLDER, uidvalidity=0, uid=entry.number
            )
            await self._store.keep(place, document)
            await self._fetched(entry)
            self._metrics.fetches.labels("fetched").inc()

    async def _fetched(self, entry: ListedEvidenceRow) -> None:
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                update(ListedEvidenceRow)
                .where(ListedEvidenceRow.number == entry.number)
                .values(fetched_at=self._clock.now(), fetch_at=None, fetch_fault=None)
                .execution_options(synchronize_session=False)
            )

    async def _not_fetched(self, account: MailboxAccount, entry: ListedEvidenceRow, error: DomainError) -> bool:
        """Try a document again later, for days (kep.md 7.15); False when no other could be had either."""
        if error.code is ErrorCode.DURABILITY_UNAVAILABLE:
            raise error
        now, unavailable = self._clock.now(), error.code is ErrorCode.PROVIDER_UNAVAILABLE
        next_at: object = now + fetch_pause(self._times.fetches, entry.fetches + 1)
        if error.code is ErrorCode.TOO_LARGE or now - entry.first_seen_at > self._times.fetch_for:
            next_at = None
        self._metrics.fetches.labels("failed" if next_at is not None else "given-up").inc()
        log.warning("evidence_not_fetched", mailbox=account.mailbox_id, code=error.code, reason=error.detail)
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                update(ListedEvidenceRow)
                .where(ListedEvidenceRow.number == entry.number)
                .values(fetches=ListedEvidenceRow.fetches + 1, fetch_at=next_at, fetch_fault=clean(error.detail, 500))
                .execution_options(synchronize_session=False)
            )
            if unavailable:
                await self._rest(work, account.mailbox_id, setback_pause(min(entry.fetches, 3)))
        return not unavailable


async def _document(box: EvidenceBox, account: MailboxAccount, provider_id: str) -> bytes:
    document = await box.fetch_evidence(account, provider_id, limit=MAX_DOCUMENT_BYTES)
    if not document:
        raise DomainError(ErrorCode.PROVIDER_REFUSED, "the document is empty")
    return document


def _word(entry: ListedEvidenceRow) -> str:
    if not entry.fits:
        return "other-recipient"
    return "known" if known(entry.code) else "unknown-code"
