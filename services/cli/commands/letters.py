"""``kepgw send``, ``letter`` and ``verify-online``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from services.cli import output
from services.cli.journey import MEDIA_TYPE
from services.cli.options import URL, Json, Key, Url, call, connected, readable

_INDETERMINATE = 3


def send(
    package: Path,
    to: Annotated[list[int], typer.Option(help="DETSİS number of a recipient; repeat for several.")],
    sender: Annotated[int | None, typer.Option(help="DETSİS number of the sender, if the key has several.")] = None,
    reference: Annotated[str | None, typer.Option(help="Your own reference.")] = None,
    degree: Annotated[str | None, typer.Option(help="Degree of an encrypted package, as restricted.")] = None,
    decided_by: Annotated[
        str | None, typer.Option(help="Who decided that a restricted letter goes unencrypted.")
    ] = None,
    decision_reason: Annotated[str | None, typer.Option(help="Why it does.")] = None,
    message_signature: Annotated[
        Path | None, typer.Option(help="Your own signature of the KEP message (detached CAdES, DER), see --to-sign.")
    ] = None,
    to_sign: Annotated[
        Path | None, typer.Option(help="Write to this file what --message-signature has to sign, and send nothing.")
    ] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Repeat a call safely with the same key.")] = None,
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Hand a package over for sending, or learn what is to be signed of it."""
    message: dict[str, Any] = {"recipients": [{"detsis_no": number} for number in to]}
    message |= {"institution_no": sender} if sender is not None else {}
    message |= {"client_ref": reference} if reference is not None else {}
    message |= {"security_code": degree} if degree is not None else {}
    if decided_by is not None or decision_reason is not None:
        message["unencrypted_decision"] = {"decided_by": decided_by or "", "reason": decision_reason or ""}
    with connected(url, key) as api, readable(package) as file, readable(message_signature) as signature:
        files: dict[str, Any] = {
            "message": (None, json.dumps(message), "application/json"),
            "package": (package.name, file, MEDIA_TYPE),
        }
        if to_sign is not None:
            content = api.call("POST", "/message-contents", files=files).content
            to_sign.write_bytes(content)
            answer: Any = {"file": str(to_sign), "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        else:
            files |= {"message_signature": ("smime.p7s", signature)} if signature is not None else {}
            headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
            answer = api.json("POST", "/outbound-messages", headers=headers, files=files)
    output.show(answer, as_json=as_json)


def letter(message_id: str, url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """Where a sent letter stands."""
    output.show(call(url, key, "GET", f"/outbound-messages/{message_id}"), as_json=as_json)


def verify_online(
    file: Path,
    content: Annotated[Path | None, typer.Option(help="What a detached signature covers.")] = None,
    profile: Annotated[str, typer.Option(help="Rules for the signer's certificate.")] = "qualified-signature",
    at: Annotated[str | None, typer.Option(help="Judge as of this time (RFC 3339).")] = None,
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Verify a signature by a gateway, which fetches what is missing; exit code 0 passed, 1 failed, 3 indeterminate, 2 no verdict."""
    form = {"profile": profile} | ({"moment": at} if at is not None else {})
    with connected(url, key) as api, readable(file) as signature, readable(content) as covered:
        files: dict[str, Any] = {"file": (file.name, signature)}
        files |= {"content": (content.name, covered)} if content is not None else {}
        report = api.json("POST", "/signature-verifications", files=files, data=form)
    output.show(report, as_json=as_json)
    raise typer.Exit({"passed": 0, "failed": 1}.get(report["conclusion"], _INDETERMINATE))


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    for command in (send, letter, verify_online):
        app.command()(command)
