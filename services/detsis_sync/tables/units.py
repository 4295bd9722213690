"""The mirror of the tree and of the KEP addresses."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, SmallInteger, func, text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import Computed

from services.detsis_sync.tables.base import Base


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
    reachable: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether the unit has an active KEP address; kept by publishing, so that no search has to join."""
    search_rank: Mapped[int] = mapped_column(
        SmallInteger,
        Computed(
            "CASE WHEN active AND operating AND external_addressee AND reachable THEN 0"
            " WHEN active AND operating THEN 1 WHEN active OR operating THEN 2 ELSE 3 END",
            persisted=True,
        ),
    )
    """0: can be written to, 1: open, 2: half open, 3: closed."""
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    wire_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Digest of the row as it came: a row that comes the same again needs no second look."""
    first_run_id: Mapped[int]
    changed_run_id: Mapped[int]


class UnitSighting(Base):
    """In which account's which list a unit was last seen: absence counts per list, never overall (detsis.md 12.5)."""

    __tablename__ = "unit_sightings"
    __table_args__ = (Index("ix_unit_sightings_detsis_no", "detsis_no"),)

    institution_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    list_name: Mapped[str] = mapped_column(primary_key=True)
    detsis_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    absent_since: Mapped[datetime | None]
    tombstoned_at: Mapped[datetime | None]
    first_run_id: Mapped[int | None]
    """The run whose list named it first; None: before history began."""


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


Index(
    "ix_units_ranked",
    UnitRecord.__table__.c.search_rank,
    func.length(UnitRecord.__table__.c.folded_name),
    UnitRecord.__table__.c.level,
    UnitRecord.__table__.c.detsis_no,
)
Index("ix_units_by_name", func.left(UnitRecord.__table__.c.folded_name, 200), UnitRecord.__table__.c.detsis_no)
