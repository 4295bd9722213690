"""What every service's ``migrations/env.py`` does: run on the connection it is given, in its schema."""

from __future__ import annotations

from alembic import context
from sqlalchemy import MetaData


def run(metadata: MetaData) -> None:
    """Run the migrations of one service online. There is no offline mode: operators run ``--migrate``."""
    connection = context.config.attributes["connection"]
    schema = context.config.attributes["schema"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=schema,
        include_schemas=True,
        include_name=lambda name, kind, _parents: name == schema if kind == "schema" else True,
        include_object=lambda _object, name, kind, _reflected, _other: (
            not (kind == "table" and str(name).startswith("procrastinate_"))
        ),
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()
