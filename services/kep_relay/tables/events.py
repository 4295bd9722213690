"""The numbered list of events of each institution."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.kep_relay.tables.base import Base


class EventPositionRow(Base):
    """The last number given out. Its row is locked until the event is committed, so readers never see a later one first."""

    __tablename__ = "event_positions"

    institution_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last_position: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class EventRow(Base):
    """One event. Rows are only added."""

    __tablename__ = "events"

    institution_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    type: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    message_id: Mapped[UUID | None]
    evidence_id: Mapped[UUID | None]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """The other fields of ``shared.contracts.events.Event``."""
