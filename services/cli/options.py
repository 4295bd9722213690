"""What all commands that call a gateway share: their options, the call, and how it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from services.cli import output
from services.cli.api import Api, ApiError

Url = Annotated[str, typer.Option("--url", envvar="KEPGW_CLI_URL", help="Base URL of the gateway.")]
Key = Annotated[str, typer.Option("--key", envvar="KEPGW_CLI_KEY", help="API key.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, for programs.")]
Cursor = Annotated[str | None, typer.Option(help="Where the page before ended.")]
URL = "http://127.0.0.1:8080"
FAILED = 2
"""Exit code when there is no answer, or none but a problem."""


@contextmanager
def connected(url: str, key: str) -> Iterator[Api]:
    """The gateway; its problems, and files that cannot be read or written, end the command."""
    try:
        yield Api(url, key or None)
    except ApiError as error:
        output.problem(error.problem)
        raise typer.Exit(FAILED) from error
    except OSError as error:
        output.failure(f"{error.filename or 'file'}: {error.strerror or error}")
        raise typer.Exit(FAILED) from error


def call(url: str, key: str, method: str, path: str, **options: Any) -> Any:
    """One call whose answer is JSON; ``options`` are httpx's."""
    with connected(url, key) as api:
        return api.json(method, path, **options)


@contextmanager
def readable(path: Path | None) -> Iterator[BinaryIO | None]:
    """A file to send, read as it is sent; None for none."""
    if path is None:
        yield None
        return
    with path.open("rb") as file:
        yield file


def page(**given: Any) -> dict[str, Any]:
    """Query parameters without those nobody gave."""
    return {name: value for name, value in given.items() if value is not None}
