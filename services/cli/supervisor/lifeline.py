"""Runs one service as ``python -m services.<name>`` would, and ends it when the supervisor is gone.

The supervisor holds the other end of standard input and never writes to it. The kernel closes it however
the supervisor dies, SIGKILL included, so nothing stays behind that holds ports or a database.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable


def watch(lost: Callable[[], None]) -> None:
    """Call ``lost``, in a thread of its own, once the supervisor is gone."""

    def wait() -> None:
        try:
            while os.read(0, 64):
                pass
        except OSError:
            pass  # a reset is an end as well
        lost()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def terminate() -> None:
    """SIGTERM to this very process: it stops as if the supervisor had asked it to."""
    os.kill(os.getpid(), signal.SIGTERM)


def main(name: str, *arguments: str) -> None:
    """Become the service."""
    watch(terminate)
    sys.argv = [f"services.{name}", *arguments]
    runpy.run_module(f"services.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
