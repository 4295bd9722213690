"""What came in: raw mails, the letters found in them, their parts and what was checked about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.kep_relay.tables.base import SCHEMA, Base


class RawMailRow(Base):
    """One mail as the provider gave it, written before anything looks into it.

    ``state``: ``stored`` → ``ingested`` | ``duplicate`` | ``quarantined``. Every row that is neither
    a duplicate nor pure evidence has exactly one letter in ``inbound_messages``.
    """

    __tablename__ = "raw_mails"

    raw_mail_id: Mapped[UUID] = mapped_column(primary_key=True)
    mailbox_id: Mapped[str] = mapped_column(ForeignKey(f"{SCHEMA}.mailboxes.mailbox_id"))
    institution_no: Mapped[int]
    folder: Mapped[str] = mapped_column(Text)
    uidvalidity: Mapped[int]
    uid: Mapped[int]
    sha256: Mapped[str | None] = mapped_column(Text)
    """None when the mail was over the size limit or could not be fetched: then only this row exists."""
    size: Mapped[int]
    received_at: Mapped[datetime]
    """When it was safe here. Legal times stand inside the evidence."""
    state: Mapped[str] = mapped_column(Text)
    kind: Mapped[str | None] = mapped_column(Text)
    reason_code: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime | None]
    ingested_at: Mapped[datetime | None]
    message_id: Mapped[UUID | None]
    """The letter it carries; of a duplicate: the letter that was already there."""
    seen_at: Mapped[datetime | None]
    """When the provider was told that we took it."""

    __table_args__ = (
        UniqueConstraint("mailbox_id", "folder", "uidvalidity", "uid"),
        Index("ix_raw_mails_content", "mailbox_id", "sha256"),
        Index("ix_raw_mails_message_id", "message_id"),
        Index("ix_raw_mails_pending", "next_attempt_at", postgresql_where=text("state = 'stored'")),
        Index("ix_raw_mails_unseen", "mailbox_id", postgresql_where=text("seen_at IS NULL")),
    )


class DrainProgressRow(Base):
    """How far one folder has been read. Only a short cut: ``raw_mails`` is what counts."""

    __tablename__ = "drain_progress"

    mailbox_id: Mapped[str] = mapped_column(ForeignKey(f"{SCHEMA}.mailboxes.mailbox_id"), primary_key=True)
    folder: Mapped[str] = mapped_column(Text, primary_key=True)
    uidvalidity: Mapped[int]
    complete_uid: Mapped[int]
    """Every UID up to here is in ``raw_mails`` or gone."""
    rescanned_at: Mapped[datetime]


class InboundMessageRow(Base):
    """One incoming letter, or a mail that only a person can make sense of (``quarantined``)."""

    __tablename__ = "inbound_messages"

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    institution_no: Mapped[int]
    mailbox_id: Mapped[str] = mapped_column(ForeignKey(f"{SCHEMA}.mailboxes.mailbox_id"))
    mailbox_address: Mapped[str] = mapped_column(Text)
    raw_mail_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.raw_mails.raw_mail_id"), unique=True)
    raw_sha256: Mapped[str | None] = mapped_column(Text)
    raw_size: Mapped[int]
    kind: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    reason_code: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)

    sender_address: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    message_key: Mapped[str] = mapped_column(Text)
    """Message-ID of the original without angle brackets, or empty."""
    message_id_header: Mapped[str | None] = mapped_column(Text)
    rem_id: Mapped[str | None] = mapped_column(Text)
    dispatch_id: Mapped[str | None] = mapped_column(Text)
    original_sha256: Mapped[str] = mapped_column(Text)
    original_size: Mapped[int]
    document_id: Mapped[str | None] = mapped_column(Text)
    document_no: Mapped[str | None] = mapped_column(Text)
    package_sha256: Mapped[str | None] = mapped_column(Text)
    package_size: Mapped[int | None]
    package_filename: Mapped[str | None] = mapped_column(Text)
    conclusion: Mapped[str | None] = mapped_column(Text)
    from_administration: Mapped[bool | None]
    """False once a verdict found that only persons or companies wrote it; None before, and where it was not recorded."""
    security_code: Mapped[str | None] = mapped_column(Text)
    """Degree of confidentiality in force; None while it is not known."""
    opening: Mapped[str | None] = mapped_column(Text)
    """What became of the envelope of an encrypted package (``PackageOpening``)."""
    opened_sha256: Mapped[str | None] = mapped_column(Text)
    opened_size: Mapped[int | None]
    """Of the package inside, which itself is stored nowhere."""

    received_at: Mapped[datetime]
    consumer: Mapped[str] = mapped_column(Text, server_default=text("'default'"))
    """Who is responsible for it; of a letter that is done, who was."""
    available_at: Mapped[datetime | None]
    visible_at: Mapped[datetime | None]
    """A letter given back with a delay is not leased again before this."""
    delivery_count: Mapped[int] = mapped_column(server_default=text("0"))
    lease_token: Mapped[str | None] = mapped_column(Text)
    lease_client_id: Mapped[str | None] = mapped_column(Text)
    lease_expires_at: Mapped[datetime | None]
    last_rejection: Mapped[str | None] = mapped_column(Text)
    consumed_at: Mapped[datetime | None]
    consumed_by: Mapped[str | None] = mapped_column(Text)
    registry_no: Mapped[str | None] = mapped_column(Text)
    provider_acknowledged_at: Mapped[datetime | None]
    acknowledge_at: Mapped[datetime | None]
    """When the provider is to be told (again); None while it must not be, and once it was."""
    maturity: Mapped[str | None] = mapped_column(Text)
    """Of the verdict; None until there is one."""
    verify_at: Mapped[datetime | None]
    """When to verify (again); None when there is nothing to wait for."""
    verifications: Mapped[int] = mapped_column(server_default=text("0"))
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __table_args__ = (
        UniqueConstraint("mailbox_id", "message_key", "original_sha256"),
        CheckConstraint("(lease_token IS NULL) = (lease_expires_at IS NULL)", name="lease_complete"),
        CheckConstraint("(state = 'leased') = (lease_token IS NOT NULL)", name="leased_has_token"),
        Index("ix_inbound_messages_page", "institution_no", "message_id"),
        Index(
            "ix_inbound_messages_queue",
            "institution_no",
            "consumer",
            "available_at",
            "message_id",
            postgresql_where=text("state = 'available'"),
        ),
        Index("ix_inbound_messages_leases", "lease_expires_at", postgresql_where=text("state = 'leased'")),
        Index("ix_inbound_messages_verify", "verify_at", postgresql_where=text("verify_at IS NOT NULL")),
        Index("ix_inbound_messages_acknowledge", "acknowledge_at", postgresql_where=text("acknowledge_at IS NOT NULL")),
        Index("ix_inbound_messages_state", "state"),
        Index("ix_inbound_messages_unopened", "opening", postgresql_where=text("opening <> 'opened'")),
    )


class InboundPartRow(Base):
    """One leaf part of a letter's original message, decoded."""

    __tablename__ = "inbound_parts"

    message_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.inbound_messages.message_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    filename: Mapped[str | None] = mapped_column(Text)
    media_type: Mapped[str] = mapped_column(Text)
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(Text)
    is_package: Mapped[bool]
    defect: Mapped[str | None] = mapped_column(Text)


class InboundVerificationRow(Base):
    """One verdict on one letter. Rows are only added; the newest one counts."""

    __tablename__ = "inbound_verifications"

    message_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.inbound_messages.message_id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    conclusion: Mapped[str] = mapped_column(Text)
    verdict: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """``InboundVerification`` as JSON."""
    verified_at: Mapped[datetime]
