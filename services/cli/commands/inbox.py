"""``kepgw inbox``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli import output
from services.cli.api import Api, ApiError
from services.cli.options import URL, Cursor, Json, Key, Url, call, connected, page

commands = typer.Typer(no_args_is_help=True, help="Letters that came in (scope inbound:consume).")

_SUFFIXES = frozenset({".eyp", ".eyps", ".eypg"})


@commands.command("list")
def show_all(
    state: Annotated[list[str] | None, typer.Option(help="Only letters in this state; repeat for several.")] = None,
    cursor: Cursor = None,
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Letters that came in. Looking does not take them."""
    answer = call(url, key, "GET", "/inbound-messages", params=page(state=state or None, cursor=cursor))
    output.show(answer, as_json=as_json, columns=("message_id", "state", "conclusion", "sender_address", "subject"))


@commands.command("take")
def take(
    into: Annotated[Path, typer.Option(help="Directory for the packages.")],
    maximum: Annotated[int, typer.Option("--max", min=1, max=100, help="At most so many letters.")] = 10,
    seconds: Annotated[int, typer.Option(help="Length of the lease.", min=5, max=3600)] = 300,
    consumer: Annotated[str, typer.Option(help="Whose letters, see `kepgw consumers`.")] = "default",
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Lease letters and download their packages; acknowledge each with `kepgw inbox ack`.

    A package that could not be fetched is named, its letter returns when the lease ends, and the exit code is 1.
    """
    with connected(url, key) as api:
        into.mkdir(parents=True, exist_ok=True)  # before anything is taken
        asked = {"max": maximum, "seconds": seconds, "consumer": consumer}
        leased = api.json("POST", "/inbound-messages/leases", json=asked)
        answer: dict[str, Any] = leased or {"lease_token": None, "expires_at": None, "messages": []}
        # What was leased is shown whatever happens to the files: without the token it would be out of reach.
        whole = [_fetched(api, item, into) for item in answer["messages"]]
    output.show(answer, as_json=as_json, columns=("message_id", "conclusion", "sender_address", "subject"))
    if leased and not as_json:
        output.say(f"lease token {leased['lease_token']}, until {leased['expires_at']}")
        if leased.get("role") == "copy":
            output.say("these are copies: somebody else registers the letters")
    if not all(whole):
        raise typer.Exit(1)


def _fetched(api: Api, item: dict[str, Any], into: Path) -> bool:
    """Download one package; False, and a line on stderr, if that failed."""
    if item["package_sha256"] is None:
        return True
    suffix = Path(item["package_filename"] or "").suffix.lower()
    # The name a sender chose never becomes a path.
    target = into / f"{item['message_id']}{suffix if suffix in _SUFFIXES else '.eyp'}"
    try:
        digest, _size = api.download(f"/inbound-messages/{item['message_id']}/package", target)
    except (ApiError, OSError) as error:
        output.failure(f"{target}: {error}")
        return False
    if digest != item["package_sha256"]:
        target.unlink()
        output.failure(f"{target} was damaged on the way")
        return False
    return True


@commands.command("ack")
def acknowledge(
    message_id: str,
    lease_token: Annotated[str, typer.Option(help="As `kepgw inbox take` showed it.")],
    registry_no: Annotated[
        str | None, typer.Option(help="Number under which you registered the letter; of a copy it may be left out.")
    ] = None,
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Tell the gateway that a letter is safe and registered, or that a copy was dealt with."""
    body = page(lease_token=lease_token, registry_no=registry_no)
    output.show(call(url, key, "POST", f"/inbound-messages/{message_id}/ack", json=body), as_json=as_json)
