"""A fresh PostgreSQL database per test, on one embedded server per test process."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import psycopg

from services.cli.supervisor.postgres import keep
from tests.support.schemas import copied, drop_templates


class KeptServer:
    """An embedded PostgreSQL that stops by itself when this process is gone, however it ended.

    ``disposable``: then its directory goes as well.
    """

    def __init__(self, directory: Path, *, disposable: bool = False) -> None:
        self._directory, self._disposable = directory, disposable
        self._keeper: subprocess.Popen[str] | None = None
        self.superuser_url = ""
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it unless it runs; the same data, the same address."""
        if self._keeper is not None:
            return
        command = [sys.executable, "-m", __name__, str(self._directory), *(["--dispose"] if self._disposable else [])]
        log_file = self._directory.with_suffix(".log")
        with log_file.open("ab") as log:
            self._keeper = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True, text=True
            )
        assert self._keeper.stdout is not None
        self.superuser_url = self._keeper.stdout.readline().strip()
        assert self.superuser_url, f"PostgreSQL did not start:\n{log_file.read_text(errors='replace')}"

    def stop(self) -> None:
        """Stop it; sessions are cut off."""
        if self._keeper is None:
            return
        keeper, self._keeper = self._keeper, None
        with keeper:
            keeper.terminate()
            # Before its input is closed, which it would take for our end: then it waits for every session.
            keeper.wait()


@contextmanager
def embedded_server() -> Iterator[str]:
    """URL of a PostgreSQL superuser; ``KEPGW_TEST_DATABASE_URL`` names a running server to use instead."""
    if given := os.environ.get("KEPGW_TEST_DATABASE_URL"):
        try:
            yield given
        finally:
            drop_templates(given)
        return
    # Not pytest's directory: the path of the server's socket must be short, and its user must get there.
    with KeptServer(Path(tempfile.mkdtemp(prefix="kepgw-pg-")) / "data", disposable=True) as server:
        # Nothing here has to outlive a power cut; what is committed still outlives a killed process.
        with psycopg.connect(server.superuser_url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.superuser_url


@contextmanager
def fresh_database(server_url: str, like: str | None = None) -> Iterator[str]:
    """URL of an empty database, or of a copy of the one at ``like``; dropped afterwards."""
    name = f"t_{secrets.token_hex(6)}"
    template = "template1" if like is None else urlsplit(like).path.removeprefix("/")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
    url = server_url.replace("/postgres?", f"/{name}?")
    if like is not None:
        copied(like, url)
    try:
        yield url
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def unreachable(url: str) -> Iterator[None]:
    """The database at ``url`` ends every session and takes no new one for the length of the block."""
    name = urlsplit(url).path.removeprefix("/")
    with psycopg.connect(url.replace(f"/{name}?", "/postgres?"), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            yield
        finally:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


if __name__ == "__main__":
    data = Path(sys.argv[1])
    try:
        keep(data)
    finally:
        if "--dispose" in sys.argv:
            with contextlib.suppress(OSError):
                shutil.rmtree(data.parent)
