"""What the declared tables of a service have that its migrations do not: must be nothing.

Also writes a first migration: ``python -m tests.support.autogenerate <service>`` prints it.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine

from shared.db.session import Database
from tests.support.database import embedded_server, fresh_database


def _context(database: Database, schema: str) -> tuple[Any, MigrationContext]:
    import psycopg

    # Not with the service's search path: Alembic would take its schema for the default one, which has no name.
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database.conninfo))
    connection = engine.connect()
    return connection, MigrationContext.configure(
        connection,
        opts={
            "include_schemas": True,
            "include_name": lambda name, kind, _parents: name == schema if kind == "schema" else True,
            "include_object": lambda _object, name, kind, _reflected, _other: (
                not (kind == "table" and (str(name).startswith("procrastinate_") or name == "alembic_version"))
            ),
            "compare_type": True,
        },
    )


def differences(database: Database, metadata: MetaData, schema: str) -> list[Any]:
    """Alembic's differences between a migrated database and the declared tables."""
    connection, context = _context(database, schema)
    with connection:
        return list(compare_metadata(context, metadata))


_HEADER = '''"""First tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db.types import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
'''


def main(service: str) -> None:
    """Print the operations of a first migration."""
    metadata: MetaData = importlib.import_module(f"services.{service}.tables").Base.metadata
    with embedded_server() as server, fresh_database(server) as url:
        connection, context = _context(Database(url, schema=service), service)
        with connection:
            script = produce_migrations(context, metadata)
            body = render_python_code(script.upgrade_ops).replace("shared.db.types.", "").replace("op.f(", "(")
            print(_HEADER + "\n".join(line for line in body.splitlines() if not line.strip().startswith("#")))


if __name__ == "__main__":
    main(sys.argv[1])
