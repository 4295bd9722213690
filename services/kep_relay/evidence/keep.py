"""Writes evidence down once, whoever sends it how often."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from services.kep_relay.evidence.parse import EvidenceFacts
from services.kep_relay.inbound.texts import index_key
from services.kep_relay.reverifying import IN_HAND
from services.kep_relay.tables import EvidenceRow, RawMailRow
from shared.blobs import BlobRef
from shared.db.session import UnitOfWork
from shared.domain.identifiers import bare_message_id, new_id


def dedupe_key(facts: EvidenceFacts, sha256: str) -> str:
    """What makes two pieces of evidence the same: issuer and identifier, else the document's digest (kep.md 3.6)."""
    if facts.identifier and facts.issuer:
        return "id:" + hashlib.sha256(f"{facts.issuer}\0{facts.identifier}".encode()).hexdigest()
    return f"sha256:{sha256}"


async def keep_evidence(
    work: UnitOfWork,
    raw_mail: RawMailRow,
    facts: EvidenceFacts,
    document: BlobRef,
    *,
    media_type: str,
    dispatch_id: str | None,
    rem_id: str | None,
    references: list[str],
    inbound_message_id: UUID | None,
    now: datetime,
) -> EvidenceRow | None:
    """Add a row and return it; None if the institution has this evidence already.

    The same issuer and identifier with other bytes is a row of its own: otherwise a forgery that
    arrives first would suppress the genuine piece. Folding both changes nothing twice.
    """
    named = facts.dispatch_id or bare_message_id(dispatch_id or "")
    return await work.session.scalar(
        insert(EvidenceRow)
        .values(
            evidence_id=new_id(),
            institution_no=raw_mail.institution_no,
            mailbox_id=raw_mail.mailbox_id,
            raw_mail_id=raw_mail.raw_mail_id,
            raw_sha256=raw_mail.sha256,
            sha256=document.sha256,
            size=document.size,
            media_type=media_type,
            received_at=raw_mail.received_at,
            code=facts.code,
            evidence_type=facts.evidence_type,
            event=facts.event,
            identifier=facts.identifier,
            issuer=facts.issuer,
            event_time=facts.event_time,
            event_time_text=facts.event_time_text,
            reason=facts.reason,
            sender=facts.sender,
            recipients=list(facts.recipients),
            dedupe_key=dedupe_key(facts, document.sha256),
            original_id=facts.original_id,
            dispatch_id=index_key(named) if named else None,
            digest_method=facts.digest_method,
            digest_value=facts.digest_value,
            rem_id=rem_id,
            references=references,
            inbound_message_id=inbound_message_id,
            verify_at=now + IN_HAND,
        )
        .on_conflict_do_nothing(index_elements=["institution_no", "dedupe_key", "sha256"])
        .returning(EvidenceRow)
    )
