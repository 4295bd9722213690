"""``kepgw verify-certificate``: judges a certificate on this machine, by files alone; nothing leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from services.cli import output
from services.cli.options import FAILED, Json
from services.cli.verdict_program import UNREADABLE, ask

_PROGRAM = "services.signer.verify_certificate"


class VerdictCommand(TyperCommand):
    """A command whose exit code 2 is a verdict: arguments that make no sense end with 3."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """As in the class above, but for the exit code of faults."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except Exception as error:
            # Typer keeps its own Click, and the class of its usage errors to itself.
            fault: Any = error
            if getattr(fault, "exit_code", None) == FAILED:
                fault.exit_code = UNREADABLE
            raise


def verify_certificate(
    file: Annotated[Path, typer.Argument(help="The certificate, PEM or DER; further ones in it may lie on its path.")],
    anchors: Annotated[
        Path, typer.Option(help="What is trusted: a file, a directory of files, or signer's trust directory.")
    ],
    intermediates: Annotated[
        list[Path] | None, typer.Option(help="Certificates that may lie between, or may have signed revocation lists.")
    ] = None,
    crl: Annotated[list[Path] | None, typer.Option(help="Revocation lists: a file or a directory of files.")] = None,
    ocsp: Annotated[list[Path] | None, typer.Option(help="OCSP responses (DER).")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="The moment of judgement, RFC 3339 with its zone; default: now.")
    ] = None,
    policy_set: Annotated[
        str | None, typer.Option(metavar="OID,OID", help="Acceptable policies (user-initial-policy-set).")
    ] = None,
    require_explicit_policy: Annotated[
        bool, typer.Option("--require-explicit-policy", help="The path must have one of the acceptable policies.")
    ] = False,
    inhibit_policy_mapping: Annotated[
        bool, typer.Option("--inhibit-policy-mapping", help="Policies count under their own name only.")
    ] = False,
    inhibit_any_policy: Annotated[
        bool, typer.Option("--inhibit-any-policy", help="anyPolicy in a certificate stands for nothing.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing: so it is in any case, the files given are all there is.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a certificate by RFC 5280 with the anchors and revocation lists given: path, policies, revocation.

    Exit code 0: passed; 1: failed; 2: indeterminate, a certificate or revocation list is missing; 3: a file cannot be
    read or the arguments make no sense.
    """
    flags = {
        "--require-explicit-policy": require_explicit_policy,
        "--inhibit-policy-mapping": inhibit_policy_mapping,
        "--inhibit-any-policy": inhibit_any_policy,
        "--offline": offline,
    }
    arguments = [
        f"--anchors={anchors}",
        *(f"--intermediates={path}" for path in intermediates or ()),
        *(f"--crl={path}" for path in crl or ()),
        *(f"--ocsp={path}" for path in ocsp or ()),
        *(f"{name}={value}" for name, value in (("--at", at), ("--policy-set", policy_set)) if value is not None),
        *(name for name, given in flags.items() if given),
    ]
    code, answer, complaint = ask(_PROGRAM, [*arguments, "--", str(file)], _unfinished)
    if answer is None:
        output.failure(complaint)
    else:
        output.show(answer, as_json=as_json)
    raise typer.Exit(code)


def _unfinished() -> dict[str, Any]:
    return {
        "verdict": "indeterminate",
        "indication": "INDETERMINATE",
        "sub_indication": "POLICY_PROCESSING_ERROR",
        "path": [],
        "steps": [
            {
                "number": 1,
                "id": "format",
                "result": "indeterminate",
                "text": {
                    "tr": "İnceleme süre veya bellek sınırını aştı; sertifika hakkında bir şey söylenemez",
                    "en": "The examination exceeded its time or memory; nothing is said about the certificate",
                },
            }
        ],
    }


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("verify-certificate", cls=VerdictCommand)(verify_certificate)
