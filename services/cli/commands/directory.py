"""``kepgw directory``."""

from __future__ import annotations

import typer

from services.cli import output
from services.cli.options import URL, Cursor, Json, Key, Url, call, page

commands = typer.Typer(no_args_is_help=True, help="The mirror of DETSİS (scope directory:read).")


@commands.command("search")
def search(query: str, cursor: Cursor = None, url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """Find units by name, in any order of words, with or without Turkish letters."""
    answer = call(url, key, "GET", "/directory/units", params=page(q=query, cursor=cursor))
    output.show(answer, as_json=as_json, columns=("detsis_no", "name", "sendable", "kep_addresses"))


@commands.command("unit")
def unit(detsis_no: int, url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """One unit of the register."""
    output.show(call(url, key, "GET", f"/directory/units/{detsis_no}"), as_json=as_json)


@commands.command("status")
def status(url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """Age and size of the mirror."""
    output.show(call(url, key, "GET", "/directory/status"), as_json=as_json)
