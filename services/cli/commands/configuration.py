"""``kepgw check-config``."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated, Any

import typer

from services.cli import output
from services.cli.options import FAILED, Json
from services.cli.supervisor.state import SERVICES


def check_config(
    service: Annotated[list[str] | None, typer.Argument(help=", ".join(SERVICES) + "; all if none.")] = None,
    as_json: Json = False,
) -> None:
    """List every fault in the KEPGW_* environment of the services; exit code 2 if there is one."""
    for name in service or ():
        if name not in SERVICES:
            raise typer.BadParameter(f"{name} is none of {', '.join(SERVICES)}")
    faults = {name: _faults(name) for name in service or SERVICES}
    if as_json:
        output.show({"services": [{"service": name, "faults": found} for name, found in faults.items()]}, as_json=True)
    else:
        for name, found in faults.items():
            for fault in found:
                output.failure(f"{name}: {fault}")
            if not found:
                output.say(f"{name}: configuration is complete")
    raise typer.Exit(FAILED if any(faults.values()) else 0)


def _faults(name: str) -> list[str]:
    arguments: list[Any] = [sys.executable, "-m", f"services.{name}", "--check-config"]
    done = subprocess.run(arguments, check=False, capture_output=True, text=True)  # noqa: S603
    lines = [line.removeprefix(f"{name}: ") for line in done.stderr.splitlines() if line.strip()]
    return lines or ([] if done.returncode == 0 else [f"the check ended with exit code {done.returncode}"])
