"""Evidence (delil) as received, and every verdict on it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.kep_relay.tables.base import SCHEMA, Base


class EvidenceRow(Base):
    """One piece of evidence. What it says never changes; what it was found to belong to is filled in."""

    __tablename__ = "evidence"

    evidence_id: Mapped[UUID] = mapped_column(primary_key=True)
    institution_no: Mapped[int]
    mailbox_id: Mapped[str] = mapped_column(ForeignKey(f"{SCHEMA}.mailboxes.mailbox_id"))
    raw_mail_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.raw_mails.raw_mail_id"))
    raw_sha256: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Text)
    """The evidence document itself, byte for byte, in the blob store."""
    size: Mapped[int]
    media_type: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime]

    code: Mapped[int | None]
    """The national code; None when the pair of type and event is not known."""
    evidence_type: Mapped[str] = mapped_column(Text)
    event: Mapped[str] = mapped_column(Text)
    identifier: Mapped[str | None] = mapped_column(Text)
    issuer: Mapped[str | None] = mapped_column(Text)
    event_time: Mapped[datetime | None]
    event_time_text: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    sender: Mapped[str | None] = mapped_column(Text)
    recipients: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """Those it refers to."""
    dedupe_key: Mapped[str] = mapped_column(Text)

    original_id: Mapped[str | None] = mapped_column(Text)
    """UAMessageIdentifier without angle brackets."""
    dispatch_id: Mapped[str | None] = mapped_column(Text)
    """MessageIdentifierByREMMD without angle brackets."""
    digest_method: Mapped[str | None] = mapped_column(Text)
    digest_value: Mapped[str | None] = mapped_column(Text)
    """Hexadecimal."""
    rem_id: Mapped[str | None] = mapped_column(Text)
    references: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))

    inbound_message_id: Mapped[UUID | None]
    """The incoming letter it came with, for evidence inside a dispatch."""
    message_id: Mapped[UUID | None]
    recipient_id: Mapped[UUID | None]
    correlated_by: Mapped[str | None] = mapped_column(Text)
    correlate_at: Mapped[datetime | None]
    """When to look (again) for the letter it belongs to."""
    correlations: Mapped[int] = mapped_column(server_default=text("0"))

    envelope_conclusion: Mapped[str | None] = mapped_column(Text)
    signature_conclusion: Mapped[str | None] = mapped_column(Text)
    conclusion: Mapped[str | None] = mapped_column(Text)
    """Of both together; None until signer was asked."""
    provisional: Mapped[bool] = mapped_column(server_default=text("false"))
    """Indeterminate for want of revocation data alone; only such evidence may count before it is settled."""
    maturity: Mapped[str | None] = mapped_column(Text)
    """Of the verdict; None until there is one."""
    verify_at: Mapped[datetime | None]
    verifications: Mapped[int] = mapped_column(server_default=text("0"))
    folded_at: Mapped[datetime | None]
    """When it was first weighed against the letter's state (also if it changed nothing)."""

    __table_args__ = (
        UniqueConstraint("institution_no", "dedupe_key", "sha256"),
        Index("ix_evidence_recipient_id", "recipient_id"),
        Index("ix_evidence_message_id", "message_id"),
        Index("ix_evidence_inbound_message_id", "inbound_message_id"),
        Index("ix_evidence_dispatch_id", "institution_no", "dispatch_id"),
        Index("ix_evidence_verify", "verify_at", postgresql_where=text("verify_at IS NOT NULL")),
        Index("ix_evidence_correlate", "correlate_at", postgresql_where=text("correlate_at IS NOT NULL")),
    )


class EvidenceVerdictRow(Base):
    """One verdict on one piece of evidence. Rows are only added; the newest one counts."""

    __tablename__ = "evidence_verdicts"

    evidence_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.evidence.evidence_id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    conclusion: Mapped[str] = mapped_column(Text)
    envelope: Mapped[dict[str, Any]] = mapped_column(JSONB)
    signature: Mapped[dict[str, Any]] = mapped_column(JSONB)
    verified_at: Mapped[datetime]
