from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from services.gateway.__main__ import migrate_schema
from services.gateway.tables import Base
from shared.db.session import Database
from tests.support.autogenerate import differences
from tests.support.gateway import gateway_settings


def test_the_migrated_schema_is_the_declared_one(database_url: str, tmp_path: Path) -> None:
    migrate_schema(gateway_settings(database_url, tmp_path))
    migrate_schema(gateway_settings(database_url, tmp_path))
    assert differences(Database(database_url, schema="public"), Base.metadata, "gateway") == []


def test_the_audit_log_only_grows(database_url: str, tmp_path: Path) -> None:
    migrate_schema(gateway_settings(database_url, tmp_path))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO gateway.audit_log (at, action, subject) VALUES (now(), 'a', 'b')")
        for statement in ("UPDATE gateway.audit_log SET action = 'c'", "DELETE FROM gateway.audit_log",
                          "TRUNCATE gateway.audit_log"):  # fmt: skip
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                connection.execute(statement)
