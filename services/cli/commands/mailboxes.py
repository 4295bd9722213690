"""``kepgw mailbox``."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli import output
from services.cli.options import FAILED, URL, Json, Key, Url, call

commands = typer.Typer(no_args_is_help=True, help="KEP mailboxes: whether they are ready, and their second factor.")
_MOST_BYTES = 256 * 1024
_NOT_READY = 1
Mailbox = Annotated[str, typer.Argument(help="Id of the mailbox.")]
By = Annotated[str, typer.Option("--by", help="Who gives the second factor, for the record.")]


@commands.command("ready")
def ready(mailbox: Mailbox, url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """Each check of a mailbox; ends with 1 when one does not hold."""
    answer = call(url, key, "GET", f"/mailboxes/{mailbox}/readiness")
    output.show(answer if as_json else {"checks": answer["checks"]}, as_json=as_json, columns=("id", "ok", "detail"))
    if not answer["ready"]:
        raise typer.Exit(_NOT_READY)


@commands.command("second-factor")
def second_factor(
    mailbox: Mailbox,
    by: By = "",
    begin: Annotated[bool, typer.Option("--begin", help="Begin a challenge; an SMS may be sent and paid for.")] = False,
    answer_sms: Annotated[bool, typer.Option("--sms", help="Ask for the key from the SMS and give it.")] = False,
    signature: Annotated[Path | None, typer.Option(help="Give this signature over the text: CAdES-BES in DER.")] = None,
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Show where a mailbox stands, begin a challenge, or answer it (scope registrations:manage)."""
    if begin + answer_sms + (signature is not None) > 1:
        output.failure("choose one of --begin, --sms and --signature")
        raise typer.Exit(FAILED)
    path = f"/mailboxes/{mailbox}/second-factor"
    if not (begin or answer_sms or signature):
        output.show(call(url, key, "GET", path), as_json=as_json)
        return
    if len(by) < 2:
        output.failure("--by is needed: who gives the second factor")
        raise typer.Exit(FAILED)
    body: dict[str, Any] = {"by": by}
    if begin:
        output.show(call(url, key, "POST", path, json=body), as_json=as_json)
        return
    if signature is not None:
        body["signature_base64"] = base64.b64encode(_read(signature)).decode()
    else:
        # Not an option: it would stand in the shell's history.
        body["sms_code"] = typer.prompt("Key from the SMS", hide_input=True).strip()
    output.show(call(url, key, "POST", f"{path}/confirm", json=body), as_json=as_json)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        output.failure(f"{file}: {error.strerror or error}")
        raise typer.Exit(FAILED) from error
    if not content or len(content) > _MOST_BYTES:
        output.failure(f"{file} is empty or too large for a signature")
        raise typer.Exit(FAILED)
    return content
