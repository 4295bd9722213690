"""Runs a program of signer's that prints a verdict: a process of its own, with limits on its time and memory.

A program and not a call: what it reads may be made to exhaust its reader, and signer's code is no part of these
commands (record 0027).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

INDETERMINATE, UNREADABLE = 2, 3
"""Exit codes: nothing final is known; a file cannot be read or the arguments make no sense."""
_SECONDS = 300
"""The program limits its own CPU time; this is for a disk or a pipe that does not answer."""

Answer = dict[str, Any]


def ask(module: str, arguments: list[str], unfinished: Callable[[], Answer]) -> tuple[int, Answer | None, str]:
    """Exit code, verdict if there is one, and what the program complained about.

    ``unfinished`` is the verdict when the program was killed, by its own limits or by the wait for it.
    """
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(  # noqa: S603
            command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return INDETERMINATE, unfinished(), ""
    if done.returncode == UNREADABLE:
        return UNREADABLE, None, done.stderr.strip()
    try:
        return done.returncode, json.loads(done.stdout), done.stderr.strip()
    except ValueError:
        return INDETERMINATE, unfinished(), ""
