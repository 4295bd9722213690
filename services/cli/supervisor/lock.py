"""One supervisor per state directory.

The lock is the kernel's (flock), so no crash leaves it behind. The processes a supervisor starts inherit
it: as long as one of them lives, the directory's ports and data are in use, whoever started it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from services.cli.supervisor.processes import StartError

_WAIT_SECONDS = 45
"""Longer than a service whose supervisor was killed takes to finish what it has in hand."""


@asynccontextmanager
async def exclusive(
    directory: Path, tell: Callable[[str], None], *, seconds: float = _WAIT_SECONDS
) -> AsyncIterator[int]:
    """Hold ``directory``; the value is the descriptor that children are to inherit.

    Raises ``StartError`` at once if another supervisor holds it, after ``seconds`` if processes of a
    killed one do and do not end.
    """
    path = directory / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await _acquire(descriptor, directory, tell, seconds)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


async def _acquire(descriptor: int, directory: Path, tell: Callable[[str], None], seconds: float) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    told = False
    while not _locked(descriptor):
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace")
        if _runs(holder):
            raise StartError(
                f"another kepgw (process {holder}) runs in {directory}; stop it, or name another directory with --state"
            )
        if asyncio.get_running_loop().time() > deadline:
            raise StartError(
                f"processes of an earlier run in {directory} do not end; `fuser {directory / 'lock'}` names them"
            )
        if not told:
            tell("an earlier run was killed; waiting for its services to finish")
            told = True
        await asyncio.sleep(0.2)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _runs(process_id: str) -> bool:
    if not process_id.isdecimal():
        return False
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
