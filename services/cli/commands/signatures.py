"""``kepgw verify``: judges a signed file on this machine, by files alone; nothing leaves."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli import output
from services.cli.commands.certificates import VerdictCommand
from services.cli.commands.signature_words import Language, tell
from services.cli.options import Json
from services.cli.verdict_program import ask

_PROGRAM = "services.signer.verify_file"


class FileFormat(StrEnum):
    """What the file is; ``auto`` looks at its bytes."""

    AUTO = "auto"
    CADES = "cades"
    SMIME = "smime"
    PADES = "pades"
    XADES = "xades"
    TIMESTAMP = "timestamp"
    PACKAGE = "package"


class RulesOf(StrEnum):
    """Which rules the signature must satisfy; signer's names."""

    QUALIFIED_SIGNATURE = "qualified-signature"
    INSTITUTION_SEAL = "institution-seal"
    KEPHS_TRANSACTION = "kephs-transaction"
    TIMESTAMP = "timestamp"
    INTEGRITY_ONLY = "integrity-only"
    P1 = "p1"
    P2 = "p2"
    P3 = "p3"
    P4 = "p4"


def verify(
    file: Annotated[Path, typer.Argument(help="The signed file, time-stamp or e-Yazışma package.")],
    anchors: Annotated[
        Path | None,
        typer.Option(
            help="What is trusted: signer's trust directory, or certificates (a file or a directory) for every purpose. "
            "Without it nobody is, and a signature is at best indeterminate: only what it covers is checked."
        ),
    ] = None,
    content: Annotated[
        Path | None, typer.Option(help="What was signed or stamped, when the file does not hold it.")
    ] = None,
    profile: Annotated[
        RulesOf | None,
        typer.Option(
            help="Default: qualified-signature; of a time-stamp by itself timestamp; in a package that of each kind."
        ),
    ] = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="What the file is.")] = FileFormat.AUTO,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="The moment of judgement, RFC 3339 with its zone; default: now.")
    ] = None,
    intermediates: Annotated[
        list[Path] | None, typer.Option(help="Certificates that may lie between, or that the file left out.")
    ] = None,
    crl: Annotated[list[Path] | None, typer.Option(help="Revocation lists: a file or a directory of files.")] = None,
    ocsp: Annotated[list[Path] | None, typer.Option(help="OCSP responses (DER).")] = None,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="Fetch nothing: so it is in any case. A running signer fetches; here the files are all."
        ),
    ] = False,
    language: Annotated[Language, typer.Option(help="Of what is printed for people.")] = Language.EN,
    as_json: Json = False,
) -> None:
    """Check the signatures of a file: CAdES (.p7s, .p7m), S/MIME (.eml), PDF, XML, RFC 3161 (.tst, .tsr), .eyp.

    Exit code 0: passed; 1: failed; 2: indeterminate, something is missing; 3: a file cannot be read or the arguments
    make no sense.
    """
    single = (("--anchors", anchors), ("--content", content), ("--at", at), ("--profile", profile and profile.value))
    arguments = [
        f"--format={file_format.value}",
        *(f"--intermediates={path}" for path in intermediates or ()),
        *(f"--crl={path}" for path in crl or ()),
        *(f"--ocsp={path}" for path in ocsp or ()),
        *(f"{name}={value}" for name, value in single if value is not None),
        *(("--offline",) if offline else ()),
    ]
    code, answer, complaint = ask(_PROGRAM, [*arguments, "--", str(file)], _unfinished)
    if complaint:
        output.failure(complaint)
    if answer is not None and as_json:
        output.show(answer, as_json=True)
    elif answer is not None:
        tell(answer, language)
    raise typer.Exit(code)


def _unfinished() -> dict[str, Any]:
    step = {
        "id": "format",
        "result": "indeterminate",
        "text": "The examination exceeded its time or memory; nothing is said about the signature",
        "text_tr": "İnceleme süre veya bellek sınırını aştı; imza hakkında bir şey söylenemez",
    }
    outcome = {
        "verdict": "indeterminate",
        "indication": "INDETERMINATE",
        "sub_indication": "POLICY_PROCESSING_ERROR",
    }
    signature = {
        **outcome,
        "level": "?",
        "level_intact": None,
        "integrity": False,
        "signer": None,
        "times": {"claimed": None, "best": None, "judged_at": None},
        "steps": [step],
        "timestamps": [],
        "counter_signatures": [],
    }
    unknown = dict.fromkeys(("format", "profile", "policy_version", "trust_store_sha256", "signed_content_sha256"))
    return {**outcome, **unknown, "signatures": [signature], "retry_after_seconds": None}


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("verify", cls=VerdictCommand)(verify)
