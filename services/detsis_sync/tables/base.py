"""What all tables of detsis_sync share."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase

from shared.db.types import TYPES, service_metadata

SCHEMA = "detsis_sync"


class Base(DeclarativeBase):
    """Tables of the schema ``detsis_sync``."""

    metadata = service_metadata(SCHEMA)
    type_annotation_map = TYPES
