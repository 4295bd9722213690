"""Encryption certificates, who serves whom with one, and EYP versions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from services.detsis_sync.tables.base import Base


class CertificateRecord(Base):
    """One encryption certificate of one institution. Several in a renewal; the newest valid one counts."""

    __tablename__ = "certificates"

    detsis_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    """Hexadecimal, of the DER."""
    der: Mapped[bytes] = mapped_column(LargeBinary)
    registered_at: Mapped[datetime | None]
    updated_at: Mapped[datetime | None]
    active: Mapped[bool]
    stated_expiry: Mapped[str | None]
    """Text of DETSİS, of unknown form: for people. What counts is ``not_after``."""
    not_before: Mapped[datetime | None]
    not_after: Mapped[datetime | None]
    subject: Mapped[str | None]
    issuer: Mapped[str | None]
    serial: Mapped[str | None]
    """Hexadecimal."""
    unreadable: Mapped[str | None]
    """Why it could not be read as a certificate; such a one is never used."""
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    changed_run_id: Mapped[int]
    absent_since: Mapped[datetime | None]


class CertificateOwnerRecord(Base):
    """Whose certificate serves a unit that has none of its own."""

    __tablename__ = "certificate_owners"
    __table_args__ = (Index("ix_certificate_owners_owner_no", "owner_no"),)

    unit_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner_no: Mapped[int]
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    changed_run_id: Mapped[int]
    absent_since: Mapped[datetime | None]


class EypVersionRecord(Base):
    """One EYP version one institution accepts."""

    __tablename__ = "eyp_versions"

    detsis_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[str] = mapped_column(primary_key=True)
    changed_run_id: Mapped[int]
    absent_since: Mapped[datetime | None]


class EypVersionCheck(Base):
    """When an institution's EYP versions were last asked for; ``wanted_at`` set: DETSİS says they changed."""

    __tablename__ = "eyp_version_checks"

    detsis_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    wanted_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
