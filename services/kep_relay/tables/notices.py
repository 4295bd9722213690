"""Notices of refusal that were ordered for incoming letters."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from services.kep_relay.tables.base import SCHEMA, Base


class RefusalNoticeRow(Base):
    """The one notice of a refused letter. Written with the message that carries it; never changed."""

    __tablename__ = "refusal_notices"

    message_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.inbound_messages.message_id"), primary_key=True)
    notice_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.outbound_messages.message_id"), unique=True)
    institution_no: Mapped[int]
    client_id: Mapped[str] = mapped_column(Text)
    decided_by: Mapped[str] = mapped_column(Text)
    """The person who had it sent."""
    text: Mapped[str | None] = mapped_column(Text)
    """What that person added."""
    ordered_at: Mapped[datetime]
