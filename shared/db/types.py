"""Column types that keep what the rest of the code relies on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, MetaData
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Constraint names that migrations can count on."""


class UtcDateTime(TypeDecorator[datetime]):
    """``timestamptz`` that refuses naive times and always gives back UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse a naive time: its zone would be a guess."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """The stored moment in UTC."""
        return None if value is None else value.astimezone(UTC)


TYPES: dict[Any, Any] = {datetime: UtcDateTime(), int: BigInteger()}
"""``type_annotation_map`` of every service's base class."""


def service_metadata(schema: str) -> MetaData:
    """Where the tables of one service's schema are collected.

    Each ``tables`` module starts with ``class Base(DeclarativeBase)`` carrying ``metadata =
    service_metadata(…)`` and ``type_annotation_map = TYPES``.
    """
    return MetaData(schema=schema, naming_convention=NAMING)
