"""Mailboxes and the running instances that share them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from services.kep_relay.tables.base import SCHEMA, Base


class MailboxRow(Base):
    """One KEP account: configuration, and what was last seen of it."""

    __tablename__ = "mailboxes"

    mailbox_id: Mapped[str] = mapped_column(Text, primary_key=True)
    institution_no: Mapped[int] = mapped_column(index=True)
    address: Mapped[str] = mapped_column(Text, unique=True)
    driver: Mapped[str] = mapped_column(Text)
    username: Mapped[str] = mapped_column(Text)
    password_token: Mapped[bytes] = mapped_column(LargeBinary)
    smtp_host: Mapped[str | None] = mapped_column(Text)
    smtp_port: Mapped[int | None]
    smtp_tls: Mapped[str | None] = mapped_column(Text)
    smtp_ca_file: Mapped[str | None] = mapped_column(Text)
    imap_host: Mapped[str | None] = mapped_column(Text)
    imap_port: Mapped[int | None]
    imap_tls: Mapped[str | None] = mapped_column(Text)
    imap_ca_file: Mapped[str | None] = mapped_column(Text)
    eyws_url: Mapped[str | None] = mapped_column(Text)
    eyws_fallback_url: Mapped[str | None] = mapped_column(Text)
    eyws_ca_file: Mapped[str | None] = mapped_column(Text)
    eyws_agent_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    eyws_second_password_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    eyws_login: Mapped[str | None] = mapped_column(Text)
    inbox_folder: Mapped[str] = mapped_column(Text)
    sent_folder: Mapped[str] = mapped_column(Text)
    poll_interval_seconds: Mapped[float]
    read_policy: Mapped[str] = mapped_column(Text)
    signing_key_id: Mapped[str | None] = mapped_column(Text)
    """None: every letter brings the signature of its message along."""
    sends: Mapped[bool]
    active: Mapped[bool]
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    stopped_at: Mapped[datetime | None]
    """Set when the provider refused the login: nothing is tried until the configuration changes."""
    stopped_code: Mapped[str | None] = mapped_column(Text)
    stopped_reason: Mapped[str | None] = mapped_column(Text)
    last_submission_at: Mapped[datetime | None]
    """When the provider last answered a submission, whatever it answered."""
    last_submission_fault: Mapped[str | None] = mapped_column(Text)
    """Why the last submission could not be spoken through; None once one was."""
    last_successful_poll_at: Mapped[datetime | None]
    last_poll_fault: Mapped[str | None] = mapped_column(Text)
    leased_by: Mapped[UUID | None]
    """The instance that drains this mailbox; exactly one at a time (kep.md 7.39)."""
    lease_expires_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("(leased_by IS NULL) = (lease_expires_at IS NULL)", name="lease_complete"),
        CheckConstraint(
            "CASE driver WHEN 'eyws' THEN eyws_url IS NOT NULL AND eyws_agent_token IS NOT NULL"
            " AND eyws_second_password_token IS NOT NULL AND eyws_login IS NOT NULL"
            " ELSE smtp_host IS NOT NULL AND smtp_port IS NOT NULL AND smtp_tls IS NOT NULL"
            " AND imap_host IS NOT NULL AND imap_port IS NOT NULL AND imap_tls IS NOT NULL END",
            name="driver_complete",
        ),
        # One account sends for an institution: which one a letter takes must not depend on luck.
        Index(
            "uq_mailboxes_sending_institution",
            "institution_no",
            unique=True,
            postgresql_where=text("sends AND active"),
        ),
    )


class ProviderNumberRow(Base):
    """The number we gave to a message of a provider whose own numbers may be used twice (kep.md 7.19, 7.20)."""

    __tablename__ = "provider_numbers"

    mailbox_id: Mapped[str] = mapped_column(ForeignKey(f"{SCHEMA}.mailboxes.mailbox_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Never given twice within the mailbox; it stands for the UID wherever mail servers have one."""
    kep_id: Mapped[str] = mapped_column(Text)
    original_id: Mapped[str | None] = mapped_column(Text)
    """Message-ID of the original message, where the list told it."""
    folder: Mapped[str] = mapped_column(Text)
    """Where it was listed last."""
    first_seen_at: Mapped[datetime]
    handed_out_at: Mapped[datetime | None]
    """When its content was first downloaded whole; until then it is asked for again, also when no longer listed."""

    __table_args__ = (
        UniqueConstraint("mailbox_id", "kep_id"),
        Index("ix_provider_numbers_open", "mailbox_id", "number", postgresql_where=text("handed_out_at IS NULL")),
    )


class InstanceRow(Base):
    """One running process of this service; dead once ``expires_at`` has passed."""

    __tablename__ = "instances"

    instance_id: Mapped[UUID] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
