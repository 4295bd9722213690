"""The database that migrations make is the one the tables declare."""

from __future__ import annotations

import importlib

import psycopg
import pytest

from shared.db.migrate import migrate
from shared.db.session import Database
from tests.architecture.sources import ROOT
from tests.support.autogenerate import differences

WITH_TABLES = sorted(
    path.parent.name
    for pattern in ("services/*/tables.py", "services/*/tables/")
    for path in ROOT.glob(pattern)
    if path.suffix == ".py" or (path / "__init__.py").exists()
)


def test_the_services_that_keep_rows() -> None:
    assert WITH_TABLES == ["detsis_sync", "gateway", "kep_relay"]


@pytest.mark.parametrize("service", WITH_TABLES)
def test_migrations_make_what_the_tables_declare(service: str, database_url: str) -> None:
    metadata = importlib.import_module(f"services.{service}.tables").Base.metadata
    database = Database(database_url, schema=service)
    migrate(database, package=service, with_jobs=True)
    assert differences(database, metadata, service) == []
    with psycopg.connect(database_url) as connection:
        elsewhere = connection.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables"
            " WHERE table_schema NOT IN (%s, 'pg_catalog', 'information_schema')",
            (service,),
        ).fetchall()
    assert elsewhere == []


@pytest.mark.parametrize("service", WITH_TABLES)
def test_every_table_lies_in_the_schema_of_its_service(service: str) -> None:
    metadata = importlib.import_module(f"services.{service}.tables").Base.metadata
    assert {table.schema for table in metadata.tables.values()} == {service}


@pytest.mark.parametrize("service", WITH_TABLES)
def test_versions_form_one_line(service: str) -> None:
    versions = sorted((ROOT / "services" / service / "migrations" / "versions").glob("[0-9]*.py"))
    previous = None
    for file in versions:
        module = importlib.import_module(f"services.{service}.migrations.versions.{file.stem}")
        assert file.stem.startswith(f"{module.revision}_")
        assert module.down_revision == previous
        previous = module.revision
