"""KEP addresses on their way into DETSİS (EK-1/2–6, EK-2/2–5)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.detsis_sync.tables.base import SCHEMA, Base

_OPEN = "state NOT IN ('active', 'cancelled', 'superseded')"


class Registration(Base):
    """One KEP address being entered for one unit, until DETSİS shows it active."""

    __tablename__ = "registrations"
    __table_args__ = (
        Index("ix_registrations_institution_no", "institution_no", "opened_at"),
        Index("ix_registrations_check_at", "check_at", postgresql_where=text("check_at IS NOT NULL")),
        Index("ix_registrations_kep_address", "kep_address"),
        Index("uq_registrations_open", "institution_no", "detsis_no", unique=True, postgresql_where=text(_OPEN)),
    )

    registration_id: Mapped[UUID] = mapped_column(primary_key=True)
    institution_no: Mapped[int]
    detsis_no: Mapped[int]
    """The unit whose address it becomes."""
    unit_name: Mapped[str | None]
    kep_address: Mapped[str]
    previous_address: Mapped[str | None]
    """The address DETSİS listed as active when the registration was opened: it stays open until the new one is."""
    mailbox_id: Mapped[str | None]
    step: Mapped[str]
    """The adapter that enters the address: ``portal`` means a person does."""
    state: Mapped[str]
    note: Mapped[str | None]
    opened_by: Mapped[str]
    opened_at: Mapped[datetime]
    checked_at: Mapped[datetime | None]
    """When DETSİS was last asked about it."""
    listed_state: Mapped[str | None]
    """What DETSİS then said: ``not_listed`` | ``waiting`` | ``active`` | ``elsewhere``."""
    unit_addresses: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    """All addresses of the unit as DETSİS then listed them: ``[{"address": …, "standing": …}]``."""
    check_at: Mapped[datetime | None]
    """When DETSİS is to be asked (again); None once nothing more is waited for."""
    updated_at: Mapped[datetime]


class RegistrationEvent(Base):
    """One step of a registration, append-only."""

    __tablename__ = "registration_events"

    registration_id: Mapped[UUID] = mapped_column(
        ForeignKey(f"{SCHEMA}.registrations.registration_id"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    happened_at: Mapped[datetime]
    actor: Mapped[str]
    what: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
