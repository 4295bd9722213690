"""``kepgw keys``."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli import output
from services.cli.options import URL, Json, Key, Url, call

commands = typer.Typer(no_args_is_help=True, help="API keys (scope admin).")


@commands.command("create")
def create(
    client: Annotated[str, typer.Option(help="Name of the calling system.")],
    scope: Annotated[list[str], typer.Option(help="Repeat for several.")],
    institution: Annotated[list[int] | None, typer.Option(help="DETSİS number; repeat for several.")] = None,
    label: Annotated[str | None, typer.Option(help="What the key is for.")] = None,
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Create a key. It is shown once: only its digest is stored."""
    body = {"client_id": client, "label": label, "scopes": scope, "institutions": institution or []}
    output.show(call(url, key, "POST", "/api-keys", json=body), as_json=as_json)


@commands.command("list")
def show_all(url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """All keys, without their secret part."""
    answer = call(url, key, "GET", "/api-keys")
    output.show(answer, as_json=as_json, columns=("key_id", "client_id", "institutions", "scopes", "revoked_at"))


@commands.command("revoke")
def revoke(key_id: str, url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """Revoke a key; calls with it fail within seconds."""
    call(url, key, "DELETE", f"/api-keys/{key_id}")
    output.show({"key_id": key_id, "revoked": True}, as_json=as_json)
