"""What a worker gives up before it reads anything, so that a file that breaks it gains little.

Processor time is counted for each verification by a timer of the process's own time (``ITIMER_PROF``), whose
signal ends the process: ``RLIMIT_CPU`` counts a life long, in whole seconds.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import services
from services.signer.workers.landlock import confine_to

_DESCRIPTORS = 32
"""Its channel, two files, and what an import opens."""


_ROOT = Path(services.__path__[0]).parent
_READABLE = (
    *(_ROOT / "services", _ROOT / "shared"),
    *map(Path, (sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64")),
)
"""Where programs and libraries lie: some are loaded when a file needs them."""


def confine(memory_bytes: int) -> bool:
    """Limit this process: address space, files written (none), descriptors, further processes (none), core dumps.

    Whether the kernel could also be asked to keep it from files, signals, TCP and other processes' memory.
    """
    try:
        reach = confine_to(_READABLE)
    except OSError:
        # Not where it may be asked for by whoever runs inside another's confinement: the limits hold all the same.
        reach = False
    for what, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_AS, memory_bytes),
    ):
        hard = resource.getrlimit(what)[1]
        # Whoever started signer may have set less; more cannot be had.
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (bound, bound))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    return reach


@contextmanager
def processor_time(seconds: float) -> Iterator[None]:
    """More than this, of user and system time, ends the process by ``SIGPROF``, whatever it is doing."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
