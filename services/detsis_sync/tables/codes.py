"""Code lists, places, budget types, contacts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.detsis_sync.tables.base import Base


class CodeRecord(Base):
    """One category (``kind`` = ``category``), status (``status``) …; ``detail`` holds what only that kind has."""

    __tablename__ = "codes"

    kind: Mapped[str] = mapped_column(primary_key=True)
    code_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    label: Mapped[str | None]
    parent_id: Mapped[int | None]
    active: Mapped[bool]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    changed_run_id: Mapped[int]
    absent_since: Mapped[datetime | None]


class PlaceRecord(Base):
    """One province, district or other place."""

    __tablename__ = "places"

    place_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str | None]
    place_code: Mapped[int]
    province_code: Mapped[int]
    province_name: Mapped[str | None]
    kind_id: Mapped[int]
    kind: Mapped[str | None]
    active: Mapped[bool]
    phone_area_code: Mapped[str | None]
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    changed_run_id: Mapped[int]
    absent_since: Mapped[datetime | None]


class MainInstitutionRecord(Base):
    """Budget type and legal person of a main institution."""

    __tablename__ = "main_institutions"

    detsis_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    budget_type_id: Mapped[int]
    budget_type: Mapped[str | None]
    legal_person_id: Mapped[int]
    legal_person: Mapped[str | None]
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    changed_run_id: Mapped[int]
    absent_since: Mapped[datetime | None]


class ContactFetch(Base):
    """When a unit's contacts were last read: a unit without any is known to have none."""

    __tablename__ = "contact_fetches"

    detsis_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    fetched_at: Mapped[datetime]


class ContactRecord(Base):
    """One contact of one unit, as last read. ``kind``: 1 web, 2 e-mail, 4 phone, 5 fax, others unknown."""

    __tablename__ = "contacts"

    detsis_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[int]
    value: Mapped[str]
    label: Mapped[str | None]
