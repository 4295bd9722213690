"""``kepgw consumers``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli import output
from services.cli.options import FAILED, URL, Json, Key, Url, call, connected, page

commands = typer.Typer(
    no_args_is_help=True,
    help="Systems of one institution among which its incoming letters are divided (scope inbound:consume).",
)
_MOST_BYTES = 1_000_000
Institution = Annotated[int | None, typer.Option(help="DETSİS number; needed when the key has several institutions.")]


@commands.command("list")
def show_all(institution: Institution = None, url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """Consumers in the order in which their rules count, and what waits for each."""
    answer = call(url, key, "GET", "/consumers", params=page(institution=institution))
    shown = answer if as_json else {"consumers": [_row(item) for item in answer["consumers"]]}
    output.show(shown, as_json=as_json, columns=("name", "position", "rules", "letters", "copies", "dead"))


@commands.command("set")
def set_one(
    name: str,
    rules: Annotated[
        Path | None, typer.Option(help="JSON file with a list of rules; left out: only people give it letters.")
    ] = None,
    position: Annotated[
        int, typer.Option(min=0, max=100_000, help="The lowest whose rule fits gets the letter.")
    ] = 100,
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
    institution: Institution = None,
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Enter or change a consumer. Letters that are offered already stay where they are."""
    body = {"position": position, "description": description, "institution_no": institution, "rules": _read(rules)}
    output.show(call(url, key, "PUT", f"/consumers/{name}", json=page(**body)), as_json=as_json)


@commands.command("delete")
def delete(name: str, institution: Institution = None, url: Url = URL, key: Key = "") -> None:
    """End a consumer: the letters it has not registered go to `default`, its copies are withdrawn."""
    with connected(url, key) as api:
        api.json("DELETE", f"/consumers/{name}", params=page(institution=institution))
    output.say(f"{name} is deleted")


def _read(rules: Path | None) -> Any:
    if rules is None:
        return []
    try:
        with rules.open("rb") as file:
            return json.loads(file.read(_MOST_BYTES + 1)[:_MOST_BYTES])
    except OSError as error:
        output.failure(f"{rules}: {error.strerror or error}")
    except (ValueError, RecursionError):
        output.failure(f"{rules} is not JSON")
    raise typer.Exit(FAILED)


def _row(item: dict[str, Any]) -> dict[str, Any]:
    letters, copies = item["letters"], item["copies"]
    return {
        "name": item["name"],
        "position": item["position"],
        "rules": len(item["rules"]),
        "letters": letters["available"] + letters["leased"],
        "copies": copies["available"] + copies["leased"],
        "dead": letters["dead_lettered"] + copies["dead_lettered"],
    }
