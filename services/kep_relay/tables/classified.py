"""Letters that arrived more secret than KEP may carry: what happened, and what a person decided. Rows are only added."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from services.kep_relay.tables.base import SCHEMA, Base


class ClassifiedIncidentRow(Base):
    """One sealed letter; written in the transaction that seals it, and without a word from inside it."""

    __tablename__ = "classified_incidents"

    incident_id: Mapped[UUID] = mapped_column(primary_key=True)
    message_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.inbound_messages.message_id"), unique=True)
    institution_no: Mapped[int]
    mailbox_address: Mapped[str] = mapped_column(Text)
    sender_address: Mapped[str | None] = mapped_column(Text)
    degree: Mapped[str] = mapped_column(Text)
    found_in: Mapped[str] = mapped_column(Text)
    raw_sha256: Mapped[str] = mapped_column(Text)
    raw_size: Mapped[int]
    package_sha256: Mapped[str | None] = mapped_column(Text)
    state_before: Mapped[str] = mapped_column(Text)
    rule: Mapped[str] = mapped_column(Text)
    rules_of: Mapped[date]
    """Since when the rules that were applied are in force."""
    measure: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime]
    detected_at: Mapped[datetime]

    __table_args__ = (Index("ix_classified_incidents_page", "institution_no", "incident_id"),)


class IncidentClosingRow(Base):
    """A person's decision about an incident; there is one at most."""

    __tablename__ = "incident_closings"

    incident_id: Mapped[UUID] = mapped_column(
        ForeignKey(f"{SCHEMA}.classified_incidents.incident_id"), primary_key=True
    )
    decision: Mapped[str] = mapped_column(Text)
    decided_by: Mapped[str] = mapped_column(Text)
    closed_at: Mapped[datetime]
