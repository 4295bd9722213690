"""Brings one service's schema up to date: Alembic for tables, procrastinate's own files for jobs."""

from __future__ import annotations

import importlib
from pathlib import Path

import psycopg
import structlog
from alembic import command
from alembic.config import Config
from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, create_engine

from shared.db.session import Database

log = structlog.get_logger(__name__)
_LOCK = 0x4B45_5047  # one migrator at a time, whatever the service


def migrate(database: Database, *, package: str, with_jobs: bool) -> None:
    """Apply what is missing in ``services.<package>/migrations`` and, if asked, the job tables.

    The schema itself is created when the role may do so; in production ``deploy/postgres/roles.sql``
    has made it. Safe to run twice and from two places at once.
    """
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(database.conninfo, **database.connect_options)
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(%s)", (_LOCK,))
        try:
            schema_exists = connection.exec_driver_sql(
                "SELECT to_regnamespace(%s) IS NOT NULL", (database.schema,)
            ).scalar_one()
            if not schema_exists:
                connection.exec_driver_sql(f'CREATE SCHEMA "{database.schema}"')
            if with_jobs:
                _apply_job_tables(connection, database.schema)
            connection.commit()
            _upgrade(connection, package, database.schema)
            connection.commit()
        finally:
            connection.rollback()
            connection.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (_LOCK,))
            connection.commit()
    engine.dispose()
    log.info("migrated", schema=database.schema)


def _upgrade(connection: Connection, package: str, schema: str) -> None:
    config = Config()
    location = Path(str(importlib.import_module(f"services.{package}").__file__)).parent / "migrations"
    config.set_main_option("script_location", str(location))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, schema=schema)
    command.upgrade(config, "head")


def _apply_job_tables(connection: Connection, schema: str) -> None:
    present = connection.exec_driver_sql(
        "SELECT to_regclass(%s) IS NOT NULL", (f"{schema}.procrastinate_jobs",)
    ).scalar_one()
    if not present:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        driver.execute(SchemaManager.get_schema().encode())
