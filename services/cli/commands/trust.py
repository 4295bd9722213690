"""``kepgw trust``: keeps signer's managed trust store on this machine, by files alone; nothing leaves."""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from services.cli import output
from services.cli.options import Json

commands = typer.Typer(no_args_is_help=True, help="Trust anchors: proposals, approvals by officers, versions.")

_PROGRAM = "services.signer.trust_store"
_UNREADABLE = 3
_SECONDS = 300
"""The program limits its own CPU time; this is for a disk or a pipe that does not answer."""
_FINGERPRINTS_LIMIT = 256 * 1024

Store = Annotated[Path, typer.Option("--store", envvar="KEPGW_SIGNER_TRUST_DIRECTORY", help="The store's directory.")]
OfficersFile = Annotated[
    Path,
    typer.Option("--officers", envvar="KEPGW_SIGNER_TRUST_OFFICERS", help="The officers' file, outside the store."),
]
By = Annotated[str, typer.Option("--by", help="Who you are; default: the name of this account.")]
Comment = Annotated[str, typer.Option("--comment", help="Why.")]
Source = Annotated[str, typer.Option("--source", help="Where the certificates were taken from.")]
Purpose = Annotated[
    list[str] | None,
    typer.Option(
        "--purpose", help="qualified, seal, kephs, timestamp, encryption or intermediates; repeat for several."
    ),
]
Passphrase = Annotated[Path | None, typer.Option("--passphrase-file", help="The key's passphrase; asked for without.")]
ProposalId = Annotated[str, typer.Argument(help="Id of the proposal.")]


@commands.command("propose")
def propose(
    store: Store,
    officers: OfficersFile,
    add: Annotated[list[Path] | None, typer.Option("--add", help="Certificates, PEM or DER.")] = None,
    purpose: Purpose = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="SHA-256 of a certificate.")] = None,
    until: Annotated[
        list[str] | None,
        typer.Option(
            "--until", metavar="SHA256=TIME", help="Count only for signatures proven before; none takes it away."
        ),
    ] = None,
    renew: Annotated[bool, typer.Option("--renew", help="The same set again, for new signatures.")] = False,
    source: Source = "",
    comment: Comment = "",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Propose a change; nothing is trusted until officers have approved and somebody activates it."""
    arguments = [
        *_each("add", add),
        *_each("purpose", purpose),
        *_each("remove", remove),
        *_each("until", until),
        *(["--renew"] if renew else []),
        *(f"--source={source}", f"--comment={comment}", f"--by={by or getpass.getuser()}"),
    ]
    _show(_ask("propose", store, officers, arguments), as_json=as_json)


@commands.command("import")
def import_from(
    source_path: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A directory, a PEM file or SertifikaDeposu.xml.")
    ],
    store: Store,
    officers: OfficersFile,
    purpose: Purpose = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Beginning of a SHA-256, 16 digits or more.")] = None,
    purpose_of: Annotated[
        list[str] | None, typer.Option("--purpose-of", metavar="SHA256=PURPOSE,PURPOSE", help="Instead of --purpose.")
    ] = None,
    source: Source = "",
    comment: Comment = "",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Propose the certificates of a source; it is read as it lies there, nothing is fetched."""
    arguments = [
        *_each("purpose", purpose),
        *_each("only", only),
        *_each("purpose-of", purpose_of),
        *(f"--source={source}", f"--comment={comment}", f"--by={by or getpass.getuser()}"),
    ]
    _show(_ask("import", store, officers, arguments, operand=str(source_path)), as_json=as_json)


@commands.command("pending")
def pending(store: Store, officers: OfficersFile, as_json: Json = False) -> None:
    """What waits for approval."""
    _show(_ask("pending", store, officers), as_json=as_json)


@commands.command("show")
def show(proposal: ProposalId, store: Store, officers: OfficersFile, as_json: Json = False) -> None:
    """A proposal: every difference to the set in use, with fingerprints to read aloud and warnings."""
    _show(_ask("show", store, officers, operand=proposal), as_json=as_json)


commands.command("diff", hidden=True)(show)


@commands.command("approve")
def approve(
    proposal: ProposalId,
    store: Store,
    officers: OfficersFile,
    key: Annotated[Path, typer.Option("--key", help="Your key (PKCS#8, PEM).")],
    fingerprints: Annotated[
        Path | None,
        typer.Option(
            "--fingerprints", help="SHA-256 fingerprints as the issuers publish them, one a line; asked for without."
        ),
    ] = None,
    passphrase_file: Passphrase = None,
    as_json: Json = False,
) -> None:
    """Sign a proposal, after every fingerprint that would gain trust was compared with the issuer's publication."""
    shown = _ask("show", store, officers, operand=proposal)
    if not as_json:
        output.show(shown, as_json=False)
    if fingerprints is not None:
        compared = _lines(fingerprints)
    else:
        compared = [
            str(typer.prompt(f"SHA-256 of {_plain(item['subject'])}, as its issuer publishes it", err=True))
            for item in shown["changes"]
            if item["compare_fingerprint"]
        ]
    typed = {"passphrase": _passphrase(passphrase_file, confirm=False), "fingerprints": compared}
    arguments = [f"--key={key}", f"--manifest-sha256={shown['manifest_sha256']}"]
    _show(_ask("approve", store, officers, arguments, operand=proposal, typed=typed), as_json=as_json)


@commands.command("reject")
def reject(
    proposal: ProposalId,
    store: Store,
    officers: OfficersFile,
    comment: Annotated[str, typer.Option("--comment", help="Why.")],
    by: By = "",
    as_json: Json = False,
) -> None:
    """Take a proposal out of the queue; it is kept with the reason."""
    _show(
        _ask("reject", store, officers, [f"--comment={comment}", f"--by={by or getpass.getuser()}"], operand=proposal),
        as_json=as_json,
    )


@commands.command("activate")
def activate(proposal: ProposalId, store: Store, officers: OfficersFile, as_json: Json = False) -> None:
    """Make a proposal the version in use, once enough persons have approved it."""
    _show(_ask("activate", store, officers, operand=proposal), as_json=as_json)


@commands.command("history")
def history(store: Store, officers: OfficersFile, as_json: Json = False) -> None:
    """All versions: what each changed, and who approved it."""
    _show(_ask("history", store, officers), as_json=as_json)


@commands.command("verify")
def verify(store: Store, officers: OfficersFile, as_json: Json = False) -> None:
    """Check the whole chain of versions; exit code 1 when the last one may not be used, 3 when something is altered."""
    _show(_ask("verify", store, officers), as_json=as_json)


@commands.command("export")
def export(
    store: Store,
    officers: OfficersFile,
    to: Annotated[Path, typer.Option("--to", help="The directory to make.")],
    version: Annotated[int | None, typer.Option("--version", help="Default: the last.")] = None,
    as_json: Json = False,
) -> None:
    """Write a version as a plain directory of anchors by purpose, for verify-certificate --anchors."""
    wanted = [] if version is None else [f"--version={version}"]
    _show(_ask("export", store, officers, [f"--to={to}", *wanted]), as_json=as_json)


@commands.command("new-officer")
def new_officer(
    name: Annotated[str, typer.Option("--name", help="The person, as in the officers' file.")],
    key: Annotated[Path, typer.Option("--key", help="Where the new key goes.")],
    passphrase_file: Passphrase = None,
    as_json: Json = False,
) -> None:
    """Make an officer's key; what is printed belongs into the officers' file."""
    typed = {"passphrase": _passphrase(passphrase_file, confirm=True)}
    _show(_run(["new-officer", f"--name={name}", f"--key={key}"], typed), as_json=as_json)


def _ask(
    command: str,
    store: Path,
    officers: Path,
    arguments: Iterable[str] = (),
    *,
    operand: str | None = None,
    typed: dict[str, Any] | None = None,
) -> dict[str, Any]:
    operands = [] if operand is None else ["--", operand]
    return _run([command, f"--store={store}", f"--officers={officers}", *arguments, *operands], typed or {})


def _run(arguments: list[str], typed: dict[str, Any]) -> dict[str, Any]:
    """What the program answers; ends the command when it refuses.

    A program of its own and not a call: what is proposed may be made to exhaust its reader, and signer's code is no
    part of this command's (record 0027). Secrets go through the pipe, never through an argument.
    """
    command = [sys.executable, "-m", _PROGRAM, *arguments]
    try:
        done = subprocess.run(  # noqa: S603
            command, check=False, input=json.dumps(typed), capture_output=True, text=True, timeout=_SECONDS
        )
        answer: dict[str, Any] | None = json.loads(done.stdout) if done.stdout.strip() else None
    except (subprocess.TimeoutExpired, ValueError):
        _fail("the examination exceeded its time or memory; nothing was changed that kepgw trust verify does not show")
    if answer is None:
        _fail(done.stderr.strip() or "ended without an answer", code=done.returncode)
    return answer | ({"exit_code": done.returncode} if done.returncode else {})


def _fail(complaint: str, *, code: int = _UNREADABLE) -> NoReturn:
    output.failure(complaint)
    raise typer.Exit(code if code > 0 else _UNREADABLE)


def _show(answer: dict[str, Any], *, as_json: bool) -> None:
    code = answer.pop("exit_code", 0)
    output.show(answer, as_json=as_json)
    raise typer.Exit(code)


def _each(name: str, values: Iterable[object] | None) -> list[str]:
    return [f"--{name}={value}" for value in values or ()]


def _passphrase(file: Path | None, *, confirm: bool) -> str:
    if file is None:
        return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))
    return _read(file).rstrip("\r\n")


def _lines(file: Path) -> list[str]:
    return [line.strip() for line in _read(file).splitlines() if line.strip() and not line.startswith("#")]


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(_FINGERPRINTS_LIMIT + 1)
        if len(data) > _FINGERPRINTS_LIMIT:
            _fail(f"{file}: larger than {_FINGERPRINTS_LIMIT} bytes")
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{file}: {getattr(error, 'strerror', None) or 'not a text'}")


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
