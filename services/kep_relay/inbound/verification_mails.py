"""Verification mails of DETSİS: kept with their links, shown with what speaks against them, settled by a person.

One from a configured sender stays ``quarantined``, where no lease ever takes it, until somebody says
that its link was opened; then it is ``archived``. A hint changes nothing about the mail it stands for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.inbound.classify import MailKind
from services.kep_relay.inbound.judged import ENVELOPE
from services.kep_relay.inbound.reading import VerificationTraits
from services.kep_relay.inbound.verification_links import is_expected
from services.kep_relay.tables import (
    InboundMessageRow,
    InboundVerificationRow,
    MailboxRow,
    RawMailRow,
    VerificationMailRow,
)
from shared.contracts.inbound import InboundVerification
from shared.contracts.verification_mails import LinkWarning, MailWarning, VerificationLink, VerificationMail
from shared.db.session import UnitOfWork
from shared.domain.message import InboundState
from shared.domain.verdict import Conclusion, Indication
from shared.errors import DomainError, ErrorCode

_Row = VerificationMailRow
_USUAL_PORTS = frozenset({None, 80, 443})


def verification_row(
    message_id: UUID, raw: RawMailRow, mailbox: MailboxRow, traits: VerificationTraits, now: datetime
) -> VerificationMailRow:
    """The row of a mail that was just read."""
    return VerificationMailRow(
        message_id=message_id,
        institution_no=raw.institution_no,
        mailbox_id=mailbox.mailbox_id,
        recognised_by=traits.recognised_by,
        links=[{"url": link.url, "host": link.host} for link in traits.links.links],
        links_left_out=traits.links.left_out,
        sender_disagrees=traits.sender_disagrees,
        received_at=raw.received_at,
        announce_at=now if traits.recognised_by == "sender" else None,
    )


async def listed(
    session: AsyncSession,
    institutions: Sequence[int],
    *,
    address: str | None,
    waiting: bool,
    limit: int,
    expected_hosts: Collection[str],
) -> list[VerificationMail]:
    """Newest first; ``address`` confines them to one mailbox, ``waiting`` to those nobody has dealt with."""
    query = select(_Row, InboundMessageRow).join(InboundMessageRow, InboundMessageRow.message_id == _Row.message_id)
    query = query.where(_Row.institution_no.in_(institutions))
    if address is not None:
        query = query.where(InboundMessageRow.mailbox_address == address)
    if waiting:
        query = query.where(_Row.settled_at.is_(None))
    rows = (await session.execute(query.order_by(_Row.received_at.desc(), _Row.message_id.desc()).limit(limit))).all()
    verdicts = await envelopes(session, [row.message_id for row, _message in rows])
    return [_describe(row, message, verdicts.get(row.message_id), expected_hosts) for row, message in rows]


async def one(
    session: AsyncSession, message_id: UUID, institutions: Sequence[int], expected_hosts: Collection[str]
) -> VerificationMail:
    """NOT_FOUND if it is none of ``institutions``', or neither a verification mail nor like one."""
    row = await session.get(_Row, message_id)
    if row is None or row.institution_no not in institutions:
        raise DomainError(ErrorCode.NOT_FOUND, "no such verification mail")
    message = await session.get_one(InboundMessageRow, message_id)
    return _describe(row, message, (await envelopes(session, [message_id])).get(message_id), expected_hosts)


async def settle(
    work: UnitOfWork, message_id: UUID, institutions: Sequence[int], *, settled_by: str, now: datetime
) -> None:
    """An authorised person opened its link; so older ones to the same mailbox need nobody any more.

    Again is harmless: the first time counts. Raises NOT_FOUND.
    """
    row = await work.session.get(_Row, message_id, with_for_update=True)
    if row is None or row.institution_no not in institutions:
        raise DomainError(ErrorCode.NOT_FOUND, "no such verification mail")
    settled = (
        await work.session.scalars(
            update(_Row)
            .where(
                _Row.mailbox_id == row.mailbox_id,
                _Row.received_at <= row.received_at,
                _Row.settled_at.is_(None),
                (_Row.recognised_by == "sender") | (_Row.message_id == message_id),
            )
            .values(settled_at=now, settled_by=settled_by)
            .returning(_Row.message_id)
            .execution_options(synchronize_session=False)
        )
    ).all()
    await work.session.execute(
        update(InboundMessageRow)
        .where(
            InboundMessageRow.message_id.in_(settled),
            InboundMessageRow.kind == MailKind.DETSIS_VERIFICATION.value,
            InboundMessageRow.state == InboundState.QUARANTINED,
        )
        .values(state=InboundState.ARCHIVED, updated_at=now, version=InboundMessageRow.version + 1)
        .execution_options(synchronize_session=False)
    )


async def envelopes(session: AsyncSession, message_ids: Sequence[UUID]) -> dict[UUID, Conclusion]:
    """What was last found about the provider's signature around each; without one it failed."""
    rows = await session.execute(
        select(InboundVerificationRow.message_id, InboundVerificationRow.verdict)
        .where(InboundVerificationRow.message_id.in_(message_ids))
        .order_by(InboundVerificationRow.message_id, InboundVerificationRow.sequence)
    )
    found: dict[UUID, Conclusion] = {}
    for message_id, verdict in rows:
        for item in InboundVerification.model_validate(verdict).components:
            if item.component == ENVELOPE:
                unsigned = item.report.indication is Indication.NO_SIGNATURE_FOUND
                found[message_id] = Conclusion.FAILED if unsigned else item.report.conclusion
    return found


def _describe(
    row: VerificationMailRow, message: InboundMessageRow, envelope: Conclusion | None, expected_hosts: Collection[str]
) -> VerificationMail:
    links = [_link(item, expected_hosts) for item in row.links]
    return VerificationMail(
        message_id=row.message_id,
        institution_no=row.institution_no,
        mailbox_id=row.mailbox_id,
        mailbox_address=message.mailbox_address,
        recognised_by="sender" if row.recognised_by == "sender" else "hint",
        sender_address=message.sender_address,
        subject=message.subject,
        received_at=row.received_at,
        raw_sha256=message.raw_sha256 or "",
        envelope=envelope,
        links=links,
        links_left_out=row.links_left_out,
        warnings=_warnings(row, envelope, links),
        settled_at=row.settled_at,
        settled_by=row.settled_by,
    )


def _link(item: dict[str, Any], expected_hosts: Collection[str]) -> VerificationLink:
    url, host = str(item["url"]), str(item["host"])
    parts = urlsplit(url)
    found = {
        LinkWarning.UNEXPECTED_HOST: not is_expected(host, expected_hosts),
        LinkWarning.NOT_ENCRYPTED: parts.scheme != "https",
        LinkWarning.USER_INFO: "@" in parts.netloc,
        LinkWarning.UNUSUAL_PORT: parts.port not in _USUAL_PORTS,
        LinkWarning.FOREIGN_LETTERS: any(label.startswith("xn--") for label in host.split(".")),
    }
    return VerificationLink(url=url, host=host, warnings=[warning for warning, holds in found.items() if holds])


def _warnings(
    row: VerificationMailRow, envelope: Conclusion | None, links: Sequence[VerificationLink]
) -> list[MailWarning]:
    expected = any(LinkWarning.UNEXPECTED_HOST not in link.warnings for link in links)
    found = {
        MailWarning.ENVELOPE_NOT_VERIFIED: envelope is Conclusion.FAILED,
        MailWarning.ENVELOPE_PENDING: envelope is None or envelope is Conclusion.INDETERMINATE,
        MailWarning.SENDER_NOT_CONFIGURED: row.recognised_by != "sender",
        MailWarning.SENDER_DISAGREES: row.sender_disagrees,
        MailWarning.NO_LINK: not links,
        MailWarning.LINKS_LEFT_OUT: row.links_left_out > 0,
        MailWarning.NO_EXPECTED_LINK: bool(links) and not expected,
    }
    return [warning for warning, holds in found.items() if holds]
