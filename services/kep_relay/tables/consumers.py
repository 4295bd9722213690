"""Consumers of incoming letters: their rules, who got which letter and why, and the copies of others."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.kep_relay.tables.base import SCHEMA, Base


class ConsumerRow(Base):
    """One consumer of an institution. Whoever routes a letter holds the row, so that it cannot go away meanwhile."""

    __tablename__ = "consumers"

    institution_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    description: Mapped[str | None] = mapped_column(Text)
    position: Mapped[int]
    rules: Mapped[list[Any]] = mapped_column(JSONB)
    """``shared.contracts.consumers.ConsumerRule`` as JSON."""
    updated_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("name <> 'default'", name="default_has_no_rules"),)


class InboundRoutingRow(Base):
    """One decision about who gets a letter. Rows are only added; a sealed letter's lose their reasons."""

    __tablename__ = "inbound_routings"

    message_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.inbound_messages.message_id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    consumer: Mapped[str] = mapped_column(Text)
    copies: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    decided_at: Mapped[datetime]
    decided_by: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    rules: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    """``shared.contracts.consumers.RoutingReason`` as JSON."""


class InboundCopyRow(Base):
    """A letter offered to a consumer that is not responsible for it. Nothing in it moves the letter."""

    __tablename__ = "inbound_copies"

    message_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.inbound_messages.message_id"), primary_key=True)
    consumer: Mapped[str] = mapped_column(Text, primary_key=True)
    institution_no: Mapped[int]
    state: Mapped[str] = mapped_column(Text)
    offered_at: Mapped[datetime]
    visible_at: Mapped[datetime]
    """Given back with a delay it is not leased again before this."""
    delivery_count: Mapped[int] = mapped_column(server_default=text("0"))
    lease_token: Mapped[str | None] = mapped_column(Text)
    lease_client_id: Mapped[str | None] = mapped_column(Text)
    lease_expires_at: Mapped[datetime | None]
    last_rejection: Mapped[str | None] = mapped_column(Text)
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None] = mapped_column(Text)
    acknowledged_token: Mapped[str | None] = mapped_column(Text)
    """Of the lease it was acknowledged with: the same again is the same answer."""
    reference: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("(lease_token IS NULL) = (lease_expires_at IS NULL)", name="lease_complete"),
        CheckConstraint("(state = 'leased') = (lease_token IS NOT NULL)", name="leased_has_token"),
        Index(
            "ix_inbound_copies_queue",
            "institution_no",
            "consumer",
            "offered_at",
            "message_id",
            postgresql_where=text("state = 'available'"),
        ),
        Index("ix_inbound_copies_leases", "lease_expires_at", postgresql_where=text("state = 'leased'")),
        Index("ix_inbound_copies_state", "state"),
    )
