"""``kepgw inspect`` and ``kepgw schemas``: packages on this machine; no gateway is asked and nothing leaves."""

from __future__ import annotations

import hashlib
import io
import sys
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from services.cli import output
from services.cli.options import FAILED, Json
from shared.errors import DomainError
from shared.eyp import DEFAULT_LIMITS, INTEROP, STRICT, Generation, Inspection, inspect, inspect_decrypted
from shared.eyp.wire.report import report
from shared.eyp.wire.xsd import schema_documents

_FATAL = 1
_STANDARD_INPUT = Path("-")


class ProfileName(StrEnum):
    """How strictly findings weigh."""

    STRICT = "strict"
    INTEROP = "interop"


_PROFILES = {ProfileName.STRICT: STRICT, ProfileName.INTEROP: INTEROP}


def inspect_package(
    package: Annotated[Path, typer.Argument(help="The file; - is standard input.")],
    recipient: Annotated[
        str | None, typer.Option(help="Number of the recipient this copy is for: its withheld annexes may be absent.")
    ] = None,
    profile: Annotated[
        ProfileName, typer.Option(help="strict: every rule with its own weight; interop: what the field sends passes.")
    ] = ProfileName.INTEROP,
    decrypted: Annotated[
        Path | None, typer.Option(help="What was decrypted from an .eyps, to be held against it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check an e-Yazışma package on this machine: contents, rules, digests.

    Exit code 0: no fatal finding; 1: fatal findings; 2: not a package that can be read. Signatures are named, not
    verified: that takes trust anchors and revocation lists (POST /v1/package-inspections, or ``kepgw verify``).
    """
    try:
        with ExitStack() as stack:
            file = _opened(package, stack)
            inside = stack.enter_context(decrypted.open("rb")) if decrypted is not None else None
            found = _inspection(file, inside, package, recipient, profile)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            answer: dict[str, Any] = {"sha256": digest, "size": file.tell(), **report(found)}
    except DomainError as error:
        output.failure(f"{package}: {error.detail} [{error.code}]")
        raise typer.Exit(FAILED) from error
    except OSError as error:
        output.failure(f"{error.filename or package}: {error.strerror or error}")
        raise typer.Exit(FAILED) from error
    output.show(answer, as_json=as_json)
    raise typer.Exit(0 if found.acceptable else _FATAL)


def _opened(path: Path, stack: ExitStack) -> io.BytesIO | io.BufferedReader:
    """A seekable file; what comes by a pipe is read no further than a package may be long."""
    if path == _STANDARD_INPUT:
        return io.BytesIO(sys.stdin.buffer.read(DEFAULT_LIMITS.package_size + 1))
    return stack.enter_context(path.open("rb"))


def _inspection(
    file: BinaryIO, decrypted: BinaryIO | None, path: Path, recipient: str | None, profile: ProfileName
) -> Inspection:
    if decrypted is not None:
        return inspect_decrypted(file, decrypted, profile=_PROFILES[profile], recipient=recipient)
    name = None if path == _STANDARD_INPUT else path.name
    return inspect(file, profile=_PROFILES[profile], file_name=name, recipient=recipient)


def write_schemas(directory: Path) -> None:
    """Write the XML Schemas of e-Yazışma 1.x and 2.x, without the defects of the official ones, into a directory."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for generation in Generation:
            for name, text in schema_documents(generation).items():
                (directory / name).write_text(text, encoding="utf-8")
                typer.echo(directory / name)
    except OSError as error:
        output.failure(f"{error.filename or directory}: {error.strerror or error}")
        raise typer.Exit(FAILED) from error


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("inspect")(inspect_package)
    app.command("schemas")(write_schemas)
