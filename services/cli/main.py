"""``kepgw``: runs a whole gateway on one machine, and speaks to any gateway over its REST API."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli import output
from services.cli.api import ApiError
from services.cli.commands import (
    certificates,
    consumers,
    directory,
    inbox,
    keys,
    ledger,
    letters,
    mailboxes,
    packages,
    proof,
    refusals,
    signatures,
    trust,
)
from services.cli.commands.configuration import check_config
from services.cli.demonstration import INTERRUPTED, demonstrate, serve
from services.cli.options import FAILED
from services.cli.supervisor.processes import StartError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
letters.register(app)
ledger.register(app)
packages.register(app)
certificates.register(app)
signatures.register(app)
app.command("check-config")(check_config)
refusals.register(inbox.commands)
app.add_typer(inbox.commands, name="inbox")
app.add_typer(consumers.commands, name="consumers")
app.add_typer(mailboxes.commands, name="mailbox")
app.add_typer(directory.commands, name="directory")
app.add_typer(keys.commands, name="keys")
app.add_typer(trust.commands, name="trust")
app.add_typer(proof.commands, name="proof")


@app.command()
def up(
    state: Annotated[Path, typer.Option("--state", help="Directory for data, secrets and logs.")] = Path(".state"),
) -> None:
    """Start PostgreSQL, the sandbox and all services, send one letter end to end, then keep serving."""
    package, database_url = _package_file(), os.environ.get("KEPGW_UP_DATABASE_URL")
    _run(serve(state.resolve(), package, database_url=database_url))


@app.command()
def demo(
    state: Annotated[
        Path | None, typer.Option("--state", help="Keep everything here instead of a new directory.")
    ] = None,
) -> None:
    """Send one letter end to end on free ports, then stop; exit code 0 only if all of it held."""
    package, database_url = _package_file(), os.environ.get("KEPGW_UP_DATABASE_URL")
    if state is not None:
        _run(demonstrate(state.resolve(), package, database_url=database_url))
        return
    with tempfile.TemporaryDirectory(prefix="kepgw-demo-", ignore_cleanup_errors=True) as directory_name:
        _run(demonstrate(Path(directory_name).resolve(), package, database_url=database_url))


def _package_file() -> Path | None:
    """The user's own package; one that cannot be read is found out before anything is started."""
    given = os.environ.get("KEPGW_DEMO_PACKAGE")
    if not given:
        return None
    path = Path(given).resolve()
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        output.failure(f"KEPGW_DEMO_PACKAGE: cannot read {path}: {error.strerror}")
        raise typer.Exit(FAILED) from error


def _run(program: Coroutine[Any, Any, int]) -> None:
    try:
        code = asyncio.run(program)
    except (StartError, ApiError) as error:
        output.failure(str(error))
        code = 1
    except OSError as error:  # a full disk, a directory that may not be written
        output.failure(str(error))
        code = 1
    except KeyboardInterrupt:
        code = INTERRUPTED
    raise typer.Exit(code)


if __name__ == "__main__":
    app()
