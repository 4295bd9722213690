"""The base of kep_relay's tables."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase

from shared.db.types import TYPES, service_metadata

SCHEMA = "kep_relay"


class Base(DeclarativeBase):
    """All tables of this service's schema."""

    metadata = service_metadata(SCHEMA)
    type_annotation_map = TYPES
