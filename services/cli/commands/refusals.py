"""``kepgw inbox accept``, ``refuse``, ``notify`` and ``release``: what an authorised person decides about a letter."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

import typer

from services.cli import output
from services.cli.options import URL, Json, Key, Url, call

By = Annotated[str, typer.Option("--by", help="The authorised person, for the record and for the sender.")]
_OTHER = "other"


def accept(message_id: str, by: By, url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """Write down that a letter of another administration is accepted (scope inbound:consume)."""
    _decide(message_id, {"decision": "accepted", "decided_by": by}, url, key, as_json=as_json)


def refuse(
    message_id: str,
    by: By,
    reason: Annotated[
        list[str],
        typer.Option(help="`RULE: text for the sender`, as `R.30: …`; without a rule `other`. Repeat for several."),
    ],
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Write down that a letter of another administration is refused (scope inbound:consume); nothing is sent."""
    reasons = [_reason(text) for text in reason]
    _decide(message_id, {"decision": "refused", "decided_by": by, "reasons": reasons}, url, key, as_json=as_json)


def notify(
    message_id: str,
    by: By,
    text: Annotated[str | None, typer.Option(help="What else the sender is told.")] = None,
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Send the notice of a refusal that was written down to the letter's sender, once (scope messages:send).

    Again with the same words it names the notice there is; `kepgw letter` follows it.
    """
    body = {"decided_by": by} | ({} if text is None else {"text": text})
    # The letter allows one notice, whatever key an order comes with.
    headers = {"Idempotency-Key": str(uuid4())}
    path = f"/inbound-messages/{message_id}/refusal-notice"
    output.show(call(url, key, "POST", path, json=body, headers=headers), as_json=as_json)


def release(
    message_id: str,
    by: By,
    reason: Annotated[str, typer.Option(help="Why it may be handed out, for the record.")],
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Hand out a mail that the virus scanner withheld by a false alarm (scope admin); a letter is offered then."""
    body = {"decided_by": by, "reason": reason}
    output.show(call(url, key, "POST", f"/inbound-messages/{message_id}/release", json=body), as_json=as_json)


def _reason(text: str) -> dict[str, str]:
    rule, colon, rest = (part.strip() for part in text.partition(":"))
    if colon and rule and rest and " " not in rule:
        return {"rule": rule, "text": rest}
    return {"rule": _OTHER, "text": text}


def _decide(message_id: str, body: dict[str, Any], url: str, key: str, *, as_json: bool) -> None:
    output.show(call(url, key, "POST", f"/inbound-messages/{message_id}/acceptance", json=body), as_json=as_json)


def register(commands: typer.Typer) -> None:
    """Add the commands to ``commands``."""
    for command in (accept, refuse, notify, release):
        commands.command()(command)
