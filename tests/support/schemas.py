"""A service's schema in a test's database: copied from one that this process migrated once.

Applying all migrations takes a second or more, copying a database a tenth of one. That the migrations themselves do
what they should is shown by tests/architecture/test_migrations.py and the tests of processes.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from shared.db.migrate import migrate
from shared.db.session import Database

_WITHOUT_JOBS = frozenset({"gateway"})
_ANYTHING = """
SELECT EXISTS (
    SELECT FROM pg_class WHERE relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
)
"""
_templates: dict[tuple[str, str], str] = {}


def bring_up(database_url: str, service: str) -> None:
    """As the service's ``--migrate``; nobody else may be connected to a database that is still empty."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        (used,) = connection.execute(_ANYTHING).fetchone() or (True,)
    if used:
        _migrate(database_url, service)
        return
    address = urlsplit(database_url)
    server_url, name = urlunsplit(address._replace(path="/postgres")), address.path.removeprefix("/")
    with psycopg.connect(server_url, autocommit=True) as connection:
        template = _templates.get((server_url, service))
        if template is None:
            template = f"{name}_{service}"
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(template)))
            _migrate(urlunsplit(address._replace(path=f"/{template}")), service)
            _templates[server_url, service] = template
        connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )


def drop_templates(server_url: str) -> None:
    """Remove what ``bring_up`` left on a server that lives on."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        for template in _templates.values():
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(template)))


def _migrate(database_url: str, service: str) -> None:
    migrate(Database(database_url, schema=service), package=service, with_jobs=service not in _WITHOUT_JOBS)
