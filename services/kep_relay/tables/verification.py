"""Mails with which DETSİS asks whether a mailbox is read, beside their rows in ``inbound_messages``."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.kep_relay.tables.base import SCHEMA, Base


class VerificationMailRow(Base):
    """A mail that is a verification mail (``recognised_by = 'sender'``), or may be one (``'hint'``)."""

    __tablename__ = "verification_mails"

    message_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.inbound_messages.message_id"), primary_key=True)
    institution_no: Mapped[int]
    mailbox_id: Mapped[str] = mapped_column(ForeignKey(f"{SCHEMA}.mailboxes.mailbox_id"))
    recognised_by: Mapped[str] = mapped_column(Text)
    links: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    """``[{"url": …, "host": …}]``, in ASCII, bounded in number and length."""
    links_left_out: Mapped[int] = mapped_column(server_default=text("0"))
    sender_disagrees: Mapped[bool] = mapped_column(server_default=text("false"))
    received_at: Mapped[datetime]
    announce_at: Mapped[datetime | None]
    """When detsis_sync is to be told (again) that it arrived; None once it was, and for hints."""
    settled_at: Mapped[datetime | None]
    """When somebody said that an authorised person dealt with it."""
    settled_by: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("ix_verification_mails_mailbox", "institution_no", "mailbox_id", "received_at"),
        Index("ix_verification_mails_announce", "announce_at", postgresql_where=text("announce_at IS NOT NULL")),
        Index("ix_verification_mails_waiting", "recognised_by", postgresql_where=text("settled_at IS NULL")),
    )
