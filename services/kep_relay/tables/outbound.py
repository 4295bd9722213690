"""Outgoing letters: the letter, one row per recipient, and the append-only history."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.kep_relay.tables.base import SCHEMA, Base


class OutboundMessageRow(Base):
    """One letter, or one notice, as it was handed over. Only ``updated_at`` and ``last_sequence`` change.

    Of a notice ``package_*`` describe its text (``text/plain``, UTF-8): it carries nothing else.
    """

    __tablename__ = "outbound_messages"

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    institution_no: Mapped[int]
    client_id: Mapped[str] = mapped_column(Text)
    client_ref: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    subject_withheld: Mapped[bool]
    document_id: Mapped[str | None] = mapped_column(Text)
    document_no: Mapped[str | None] = mapped_column(Text)
    package_sha256: Mapped[str] = mapped_column(Text)
    package_size: Mapped[int]
    package_filename: Mapped[str] = mapped_column(Text)
    mailbox_id: Mapped[str] = mapped_column(ForeignKey(f"{SCHEMA}.mailboxes.mailbox_id"))
    fingerprint: Mapped[str] = mapped_column(Text)
    """SHA-256 over what was handed over, to tell a repetition from another letter under the same id."""
    correlation_id: Mapped[str] = mapped_column(Text)
    resend_of: Mapped[UUID | None]
    kind: Mapped[str] = mapped_column(Text, server_default=text("'letter'"))
    """``OutboundKind``."""
    reply_to: Mapped[UUID | None] = mapped_column(ForeignKey(f"{SCHEMA}.inbound_messages.message_id"))
    """The incoming letter that a notice is about."""
    in_reply_to: Mapped[str | None] = mapped_column(Text)
    """Message-ID of that letter with angle brackets; None when it is none that a header could carry."""
    confidentiality: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """``LetterConfidentiality``; none for letters accepted before it was recorded."""
    message_signature: Mapped[bytes | None]
    """CMS (DER) that the client brought for the part that is signed; None: the mailbox's key signs."""
    accepted_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_sequence: Mapped[int] = mapped_column(server_default=text("0"))

    __table_args__ = (
        CheckConstraint("(kind = 'notice') = (reply_to IS NOT NULL)", name="notice_replies"),
        Index("ix_outbound_messages_changes", "institution_no", "updated_at", "message_id"),
        Index("ix_outbound_messages_newest", "institution_no", "accepted_at", "message_id"),
        Index(
            "ix_outbound_messages_client_ref",
            "institution_no",
            "client_ref",
            postgresql_where=text("client_ref IS NOT NULL"),
        ),
        Index("ix_outbound_messages_resend_of", "resend_of", postgresql_where=text("resend_of IS NOT NULL")),
    )


class OutboundRecipientRow(Base):
    """One recipient of a letter: its own KEP message, its own state, its own proof."""

    __tablename__ = "outbound_recipients"

    recipient_id: Mapped[UUID] = mapped_column(primary_key=True)
    message_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.outbound_messages.message_id"))
    institution_no: Mapped[int]
    position: Mapped[int]
    detsis_no: Mapped[int | None]
    """None of a notice, which goes to the address that the letter came from."""
    name: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    reason_code: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    attention: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))

    kep_address: Mapped[str | None] = mapped_column(Text)
    address_source: Mapped[str | None] = mapped_column(Text)
    address_rule: Mapped[str | None] = mapped_column(Text)
    address_snapshot_id: Mapped[int | None]
    address_problem: Mapped[str | None] = mapped_column(Text)
    resolved_at: Mapped[datetime | None]

    message_id_header: Mapped[str] = mapped_column(Text, unique=True)
    """Our own Message-ID with angle brackets; fixed when the letter is accepted, kept for every attempt."""
    rem_id: Mapped[str] = mapped_column(Text, unique=True)
    """X-TR-REM-iletiID: survives all hops (kep.md 2.6)."""
    composed_sha256: Mapped[str | None] = mapped_column(Text)
    """The exact bytes that are sent, once composed the same at every attempt (kep.md 7.1)."""
    composed_size: Mapped[int | None]

    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    """How often the provider was given the message."""
    setbacks: Mapped[int] = mapped_column(server_default=text("0"))
    """Waits in a row without progress, whatever part was down; chooses the next pause."""
    next_attempt_at: Mapped[datetime | None]
    """When the next step is due: attempt, re-check of what blocks, or look into the Sent folder."""
    claim_token: Mapped[UUID | None]
    claimed_by: Mapped[UUID | None]
    claim_expires_at: Mapped[datetime | None]
    last_attempt_at: Mapped[datetime | None]
    outcome_unknown_since: Mapped[datetime | None]
    submitted_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __table_args__ = (
        UniqueConstraint("message_id", "position"),
        UniqueConstraint("message_id", "detsis_no"),
        CheckConstraint(
            "(claim_token IS NULL) = (claimed_by IS NULL) AND (claim_token IS NULL) = (claim_expires_at IS NULL)",
            name="claim_complete",
        ),
        CheckConstraint("(composed_sha256 IS NULL) = (composed_size IS NULL)", name="composed_complete"),
        CheckConstraint("detsis_no IS NOT NULL OR kep_address IS NOT NULL", name="addressed"),
        # What the sweeper looks for; finished letters are not in it, however many there are.
        Index(
            "ix_outbound_recipients_due",
            "state",
            "next_attempt_at",
            postgresql_where=text("state IN ('queued', 'retry_wait', 'blocked', 'submitting', 'outcome_unknown')"),
        ),
        Index(
            "ix_outbound_recipients_awaiting",
            "submitted_at",
            postgresql_where=text("state IN ('submitted', 'accepted', 'relayed')"),
        ),
        # Few of all letters; without it every sweep would read the finished ones to find those whose flag goes.
        Index(
            "ix_outbound_recipients_overdue",
            "recipient_id",
            postgresql_where=text("'evidence_overdue' = ANY (attention)"),
        ),
        Index("ix_outbound_recipients_state", "state"),
    )


class OutboundEventRow(Base):
    """One line of a letter's history. Rows are only ever added."""

    __tablename__ = "outbound_events"

    message_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.outbound_messages.message_id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    recipient_id: Mapped[UUID | None]
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(Text)
    from_state: Mapped[str | None] = mapped_column(Text)
    to_state: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    evidence_id: Mapped[UUID | None]

    __table_args__ = (
        Index("ix_outbound_events_handed_over", "message_id", postgresql_where=text("kind = 'handed_over'")),
    )
