"""Refreshes, their lists, and every change they made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.detsis_sync.tables.base import SCHEMA, Base


class Run(Base):
    """One refresh; its ``run_id`` names the snapshot it published."""

    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_institution_no", "institution_no", "run_id"),
        # Every answer says how old the mirror is.
        Index("ix_runs_accepted", "finished_at", postgresql_where=text("state = 'accepted'")),
        # One refresh of an account at a time, whoever starts it.
        Index("uq_runs_running", "institution_no", unique=True, postgresql_where=text("state = 'running'")),
    )

    run_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    institution_no: Mapped[int] = mapped_column(ForeignKey(f"{SCHEMA}.accounts.institution_no"))
    trigger: Mapped[str]
    """``nightly`` | ``manual`` | ``first-start``."""
    mode: Mapped[str] = mapped_column(server_default=text("'full'"))
    """``full`` | ``delta``: of a delta, the lists of units never mark anything absent."""
    state: Mapped[str]
    """``running`` → ``accepted`` | ``refused`` | ``failed``; ``refused`` → ``running`` when a person releases it."""
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    """When what it brought came into the mirror; of a released run later than ``finished_at``. History begins with the
    earliest one."""
    counts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    reason: Mapped[str | None]
    released_by: Mapped[str | None]
    """The person who let a refused run through, as the audit log names her."""
    released_at: Mapped[datetime | None]
    release_note: Mapped[str | None]


class RunList(Base):
    """One list of one refresh: what was fetched, how it was judged, what it changed."""

    __tablename__ = "run_lists"

    run_id: Mapped[int] = mapped_column(ForeignKey(f"{SCHEMA}.runs.run_id"), primary_key=True)
    list_name: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    """``staged`` → ``applied``; ``refused`` by a guard, ``failed`` while fetching, ``skipped`` (not offered)."""
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    rows: Mapped[int] = mapped_column(server_default=text("0"))
    """Distinct rows staged."""
    duplicates: Mapped[int] = mapped_column(server_default=text("0"))
    rejected: Mapped[int] = mapped_column(server_default=text("0"))
    nil_items: Mapped[int] = mapped_column(server_default=text("0"))
    unclear_flags: Mapped[int] = mapped_column(server_default=text("0"))
    repaired_characters: Mapped[int] = mapped_column(server_default=text("0"))
    bytes_read: Mapped[int] = mapped_column(server_default=text("0"))
    unknown_elements: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    unknown_texts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    """Texts of flags and states never met before, with how often."""
    row_faults: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    """The first rows that were not understood: position, field, reason."""
    changes: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    reason: Mapped[str | None]


class Change(Base):
    """One thing that became different in the mirror. Append-only; ``change_id`` orders the feed.

    Only publishing writes here, one run at a time, so identifiers appear in order.
    """

    __tablename__ = "changes"
    __table_args__ = (Index("ix_changes_detsis_no", "detsis_no", "change_id"), Index("ix_changes_run_id", "run_id"))

    change_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey(f"{SCHEMA}.runs.run_id"))
    changed_at: Mapped[datetime]
    subject: Mapped[str]
    """``unit`` | ``kep_address`` | ``certificate`` | ``certificate_owner`` | ``eyp_version`` | ``main_institution`` |
    ``code`` | ``place``."""
    subject_key: Mapped[str]
    """The key as text: a DETSİS number, ``number address``, ``number sha256``, ``kind id`` …"""
    detsis_no: Mapped[int | None]
    """The unit it concerns, if any."""
    kind: Mapped[str]
    """``created`` | ``changed`` | ``closed`` | ``reopened`` | ``absent`` | ``returned`` | ``tombstoned``."""
    old: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """The fields that changed, as they were; None for something new. The first filling of a table is no change."""
    new: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
