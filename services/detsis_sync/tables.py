"""Tables of detsis_sync: accounts, refresh runs and the mirror of the register."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Identity, Index, LargeBinary, func, text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import Computed

from shared.db.types import TYPES, service_metadata


class Base(DeclarativeBase):
    """Tables of the schema ``detsis_sync``."""

    metadata = service_metadata("detsis_sync")
    type_annotation_map = TYPES


class Account(Base):
    """One institution's access to DETSİS."""

    __tablename__ = "accounts"

    institution_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[str]
    endpoint: Mapped[str]
    password_token: Mapped[bytes] = mapped_column(LargeBinary)
    next_run_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class Run(Base):
    """One refresh; its ``run_id`` names the snapshot it published."""

    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_institution_no", "institution_no", "run_id"),
        # One refresh of an account at a time, whoever starts it.
        Index("uq_runs_running", "institution_no", unique=True, postgresql_where=text("state = 'running'")),
    )

    run_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    institution_no: Mapped[int] = mapped_column(ForeignKey("detsis_sync.accounts.institution_no"))
    trigger: Mapped[str]
    state: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    counts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    reason: Mapped[str | None]


class UnitRecord(Base):
    """One unit. Never deleted: letters in the archive point to its number."""

    __tablename__ = "units"
    __table_args__ = (
        Index("ix_units_search", "search_words", postgresql_using="gin"),
        Index("ix_units_parent_no", "parent_no"),
        Index("ix_units_main_institution_no", "main_institution_no"),
    )

    detsis_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    folded_name: Mapped[str]
    search_words: Mapped[Any] = mapped_column(
        TSVECTOR, Computed("to_tsvector('simple'::regconfig, folded_name)", persisted=True)
    )
    parent_no: Mapped[int | None]
    second_parent_no: Mapped[int | None]
    main_institution_no: Mapped[int | None]
    category_id: Mapped[int]
    status_id: Mapped[int]
    kinds: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    place_id: Mapped[int | None]
    place_name: Mapped[str | None]
    postal_address: Mapped[str | None]
    path_text: Mapped[str | None]
    level: Mapped[int]
    active: Mapped[bool]
    active_text: Mapped[str | None]
    operating: Mapped[bool]
    external_addressee: Mapped[bool]
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    first_run_id: Mapped[int]
    changed_run_id: Mapped[int]


class UnitSighting(Base):
    """In which account's which list a unit was last seen: absence counts per list, never overall (detsis.md 12.5)."""

    __tablename__ = "unit_sightings"

    institution_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    list_name: Mapped[str] = mapped_column(primary_key=True)
    detsis_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    absent_since: Mapped[datetime | None]
    tombstoned_at: Mapped[datetime | None]


class KepAddressRecord(Base):
    """One KEP address of one unit; a unit may have two while an address is being replaced."""

    __tablename__ = "kep_addresses"
    __table_args__ = (Index("ix_kep_addresses_address", "address"),)

    detsis_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    address: Mapped[str] = mapped_column(primary_key=True)
    active: Mapped[bool]
    status_text: Mapped[str | None]
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    changed_run_id: Mapped[int]
    absent_since: Mapped[datetime | None]


Index("ix_units_by_name", func.left(UnitRecord.__table__.c.folded_name, 200), UnitRecord.__table__.c.detsis_no)
