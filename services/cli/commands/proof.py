"""``kepgw proof``: what proves the way of a letter, fetched from a gateway and checked without one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli import output
from services.cli.options import FAILED, URL, Json, Key, Url, connected
from shared.proof import Checked, ProofUnreadable, check

commands = typer.Typer(no_args_is_help=True, help="The proof of a letter that was sent.")

_UNREADABLE = 3


@commands.command("get")
def get(
    message_id: str,
    into: Annotated[Path | None, typer.Option(help="The file to write; by default the letter's id.")] = None,
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Download everything that proves the way of a letter, as one file (scope messages:read)."""
    target = into or Path(f"{message_id}.kepgw-proof.zip")
    with connected(url, key) as api:
        sha256, size = api.download(f"/outbound-messages/{message_id}/proof", target)
    output.show({"file": str(target), "sha256": sha256, "size": size}, as_json=as_json)


@commands.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="The proof file.")],
    timestamp: Annotated[
        Path | None, typer.Option(help="Write the time-stamp over the manifest here, for other programs.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a proof file on this machine: every digest, and the history as a whole.

    Exit code 0: nothing was changed, taken out or put in since it was written; 1: something was; 3: it is no proof file.
    When it was written is proven by its time-stamp, whose authority you have to trust: OKU-BENI.txt in it says how.
    """
    try:
        found = check(file)
        if timestamp is not None and found.timestamp is not None:
            timestamp.write_bytes(found.timestamp)
    except ProofUnreadable as error:
        output.failure(f"{file}: {error}")
        raise typer.Exit(_UNREADABLE) from error
    except OSError as error:
        output.failure(f"{error.filename or file}: {error.strerror or error}")
        raise typer.Exit(_UNREADABLE if error.filename == str(file) else FAILED) from error
    output.show(_answer(found), as_json=as_json, columns=("path", "kind", "code", "sha256"))
    if not as_json:
        for fault in found.faults:
            output.failure(fault)
        output.say("intact" if found.intact else "NOT intact")
    raise typer.Exit(0 if found.intact else 1)


def _answer(found: Checked) -> dict[str, Any]:
    manifest = found.manifest.model_dump(mode="json")
    return {
        "intact": found.intact,
        "files": manifest["files"],
        "faults": list(found.faults),
        "message_id": manifest["message_id"],
        "institution_no": manifest["institution_no"],
        "made_at": manifest["made_at"],
        "manifest_sha256": found.manifest_sha256,
        "timestamped": found.timestamp is not None,
    }
