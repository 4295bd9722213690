"""What goes into the proof of one letter, out of the rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.outbound.queries import history, one_message
from services.kep_relay.tables import EvidenceRow, EvidenceVerdictRow, ListedEvidenceRow, OutboundRecipientRow
from shared.contracts.outbound import OutboundKind, OutboundMessage
from shared.proof import ProofFileKind, canonical, chained

_K = ProofFileKind
_PACKAGES = frozenset({".eyp", ".eyps", ".eypg"})


@dataclass(frozen=True)
class Stored:
    """A file whose bytes lie in the blob store."""

    path: str
    kind: ProofFileKind
    sha256: str
    recipient_id: UUID | None = None
    evidence_id: UUID | None = None
    code: int | None = None


@dataclass(frozen=True)
class Written:
    """A file that is written from rows."""

    path: str
    kind: ProofFileKind
    content: bytes
    evidence_id: UUID | None = None
    recipient_id: UUID | None = None


@dataclass(frozen=True)
class ProofContents:
    """Everything that belongs into one proof, in the order it is written."""

    message: OutboundMessage
    events_sha256: str
    written: tuple[Written, ...]
    stored: tuple[Stored, ...]


async def contents_of(session: AsyncSession, message_id: UUID, institutions: Sequence[int]) -> ProofContents:
    """What there is by now. Raises NOT_FOUND."""
    message = await one_message(session, message_id, institutions)
    events = await history(session, message_id, institutions)
    lines = chained([event.model_dump(mode="json") for event in events])
    recipients = (
        await session.scalars(
            select(OutboundRecipientRow)
            .where(OutboundRecipientRow.message_id == message_id)
            .order_by(OutboundRecipientRow.position)
        )
    ).all()
    evidence = (
        await session.scalars(
            select(EvidenceRow)
            .where(EvidenceRow.message_id == message_id)
            .order_by(EvidenceRow.received_at, EvidenceRow.evidence_id)
        )
    ).all()
    stored = [_carried(message)]
    stored += [
        Stored(f"sent/{row.position + 1:03}.eml", _K.SENT_MESSAGE, row.composed_sha256, recipient_id=row.recipient_id)
        for row in recipients
        if row.composed_sha256 is not None
    ]
    for number, row in enumerate(evidence, 1):
        stem = f"evidence/{number:03}-{'unknown' if row.code is None else row.code}"
        known = partial(Stored, recipient_id=row.recipient_id, evidence_id=row.evidence_id, code=row.code)
        kind = "xml" if row.media_type in {"application/xml", "text/xml"} else "bin"
        stored.append(known(f"{stem}.{kind}", _K.EVIDENCE, row.sha256))
        stored.append(known(f"{stem}.eml", _K.EVIDENCE_MAIL, row.raw_sha256))
    written = [
        Written("letter.json", _K.LETTER, canonical(message.model_dump(mode="json"))),
        Written("events.json", _K.EVENTS, canonical(lines)),
        *await _verdicts(session, evidence),
        *await _listed(session, recipients),
    ]
    return ProofContents(message, lines[-1]["sha256"] if lines else "0" * 64, tuple(written), tuple(stored))


def _carried(message: OutboundMessage) -> Stored:
    if message.kind is OutboundKind.NOTICE:
        return Stored("notice/text.txt", _K.NOTICE, message.package_sha256)
    suffix = PurePath(message.package_filename).suffix.lower()
    return Stored(f"package/letter{suffix if suffix in _PACKAGES else '.eyp'}", _K.PACKAGE, message.package_sha256)


async def _listed(session: AsyncSession, recipients: Sequence[OutboundRecipientRow]) -> list[Written]:
    """What the provider's lists say; one file for each recipient that is named in any."""
    rows = (
        await session.scalars(
            select(ListedEvidenceRow)
            .where(ListedEvidenceRow.recipient_id.in_([recipient.recipient_id for recipient in recipients]))
            .order_by(ListedEvidenceRow.number)
        )
    ).all()
    entries: defaultdict[UUID, list[dict[str, object]]] = defaultdict(list)
    for row in rows:
        entries[row.recipient_id].append(
            {
                "provider_id": row.provider_id, "code": row.code, "words": row.words, "at": row.at_text,
                "provider": row.provider, "recipient": row.recipient, "counts": row.fits,
                "first_seen_at": row.first_seen_at.isoformat(),
            }
        )  # fmt: skip
    return [
        Written(
            f"listed/{recipient.position + 1:03}.json", _K.LISTED_EVIDENCE, canonical(entries[recipient.recipient_id]),
            recipient_id=recipient.recipient_id,
        )
        for recipient in recipients
        if recipient.recipient_id in entries
    ]  # fmt: skip


async def _verdicts(session: AsyncSession, evidence: Sequence[EvidenceRow]) -> list[Written]:
    numbers = {row.evidence_id: number for number, row in enumerate(evidence, 1)}
    rows = await session.scalars(
        select(EvidenceVerdictRow)
        .where(EvidenceVerdictRow.evidence_id.in_(numbers))
        .order_by(EvidenceVerdictRow.verified_at, EvidenceVerdictRow.sequence)
    )
    return [
        Written(
            f"verdicts/{numbers[row.evidence_id]:03}-{row.sequence:03}.json",
            _K.VERDICT,
            canonical(
                {
                    "evidence_id": str(row.evidence_id), "conclusion": row.conclusion, "envelope": row.envelope,
                    "signature": row.signature, "verified_at": row.verified_at.isoformat(),
                }
            ),
            evidence_id=row.evidence_id,
        )
        for row in rows
    ]  # fmt: skip
