"""The services' schemas in a test's database: copied from one that this process migrated once.

Applying all migrations takes a second or more, copying a database a twentieth of one. That the migrations themselves
do what they should is shown by tests/architecture/test_migrations.py and the tests of processes.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from shared.db.migrate import migrate
from shared.db.session import Database

_WITH_JOBS = {"gateway": False, "detsis_sync": True, "kep_relay": True}
_ANYTHING = """
SELECT EXISTS (
    SELECT FROM pg_class WHERE relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
)
"""
_templates: dict[str, str] = {}
_copies: set[str] = set()


def bring_up(database_url: str, service: str) -> None:
    """As the service's ``--migrate``; nobody else may be connected to a database that is still empty.

    An empty one gets the schemas of all services in one go, because most tests that ask for one ask for another.
    """
    if database_url in _copies:
        return
    with psycopg.connect(database_url, autocommit=True) as connection:
        (used,) = connection.execute(_ANYTHING).fetchone() or (True,)
    if used:
        _migrate(database_url, service)
        return
    address = urlsplit(database_url)
    server_url, name = urlunsplit(address._replace(path="/postgres")), address.path.removeprefix("/")
    with psycopg.connect(server_url, autocommit=True) as connection:
        template = _templates.get(server_url)
        if template is None:
            template = f"{name}_template"
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(template)))
            for each in _WITH_JOBS:
                _migrate(urlunsplit(address._replace(path=f"/{template}")), each)
            _templates[server_url] = template
        connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    _copies.add(database_url)


def copied(original_url: str, copy_url: str) -> None:
    """Say that the database at ``copy_url`` was made from the one at ``original_url``: it needs no more than that."""
    if original_url in _copies:
        _copies.add(copy_url)


def drop_templates(server_url: str) -> None:
    """Remove what ``bring_up`` left on a server that lives on."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        for template in _templates.values():
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(template)))


def _migrate(database_url: str, service: str) -> None:
    migrate(Database(database_url, schema=service), package=service, with_jobs=_WITH_JOBS[service])
