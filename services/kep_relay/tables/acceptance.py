"""The period of every letter of another administration, and how it ended."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.kep_relay.tables.base import SCHEMA, Base


class AcceptanceRow(Base):
    """One letter's period. What was decided is never changed; events tell each step."""

    __tablename__ = "acceptances"

    message_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.inbound_messages.message_id"), primary_key=True)
    institution_no: Mapped[int]
    state: Mapped[str] = mapped_column(Text)
    rule: Mapped[str] = mapped_column(Text)
    rules_of: Mapped[date]
    """Since when that rule is in force."""
    started_at: Mapped[datetime]
    due_at: Mapped[datetime]
    last_day: Mapped[date]
    estimated: Mapped[bool]
    next_at: Mapped[datetime | None]
    """When to remind, or when it ends; None once it has, except of a refused letter whose sender nobody had told."""
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(Text)
    decided_rule: Mapped[str | None] = mapped_column(Text)
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))

    __table_args__ = (
        CheckConstraint(
            "CASE state WHEN 'pending' THEN next_at IS NOT NULL WHEN 'refused' THEN true ELSE next_at IS NULL END",
            name="pending_goes_on",
        ),
        CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name="decided_has_a_time"),
        Index("ix_acceptances_next", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    )
