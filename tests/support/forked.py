"""Starts a service over and over from one process that has imported it already: what dies is a real process all the same.

``python -m tests.support.forked``: each line of standard input starts one detsis_sync; its number is the answer.
"""

from __future__ import annotations

import os
import signal
import sys

from services.detsis_sync.app import NAME, build, migrate_schema
from services.detsis_sync.settings import Settings
from services.detsis_sync.soap.codec import load_contract
from shared.service import main


def serve_lines() -> None:
    """Fork once for each line, until there are no more."""
    load_contract("1.1")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for what was killed
    for _line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(main(NAME, Settings, build, migrate=migrate_schema, argv=[]))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve_lines()
